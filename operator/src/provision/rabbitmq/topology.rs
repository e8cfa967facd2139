//! The exchanges, queues and bindings of [`chassis::amqp::topology`] in a shop's virtual host.

use chassis::amqp::topology::{Argument, BINDINGS, Binding, EXCHANGES, QUEUES, Queue};
use rabbitmq_http_client::{
    commons::{BindingDestinationType, ExchangeType, QueueType},
    requests::{ExchangeParams, QueueParams},
    responses::QueueInfo,
};
use serde_json::{Map, Value};

use super::{Run, error::RabbitmqError};

impl Run<'_> {
    /// Before anything is written: a virtual host that a person has to look at is left as it is.
    pub(super) async fn look_for_different_queues(&self) -> Result<(), RabbitmqError> {
        for queue in QUEUES {
            self.queue_exists(&queue).await?;
        }
        Ok(())
    }

    pub(super) async fn ensure_topology(&mut self) -> Result<(), RabbitmqError> {
        for exchange in EXCHANGES {
            self.ensure_exchange(exchange).await?;
        }
        // Each with its bindings, in the order that the topology gives.
        for queue in QUEUES {
            self.ensure_queue(&queue).await?;
            self.ensure_bindings(&queue).await?;
        }
        Ok(())
    }

    async fn ensure_exchange(&mut self, name: &str) -> Result<(), RabbitmqError> {
        let wanted = ExchangeParams::durable_topic(name, None);
        let api = &self.management.api;
        let doing = format!(
            "create the exchange {name:?} in the virtual host {:?}",
            self.vhost
        );
        let present = api.get_exchange_info(self.vhost, name);
        let Some(present) = self.management.find(&doing, present).await? else {
            let declare = api.declare_exchange(self.vhost, &wanted);
            self.management.ask(&doing, declare).await?;
            self.changed(format!("created the exchange {name:?}"));
            return Ok(());
        };
        let alike = ExchangeType::from(present.exchange_type.as_str()) == wanted.exchange_type
            && present.durable
            && !present.auto_delete
            && present.arguments.0.is_empty();
        if alike {
            return Ok(());
        }
        // Others' bindings would be lost with it.
        Err(RabbitmqError::Other {
            doing,
            problem: "one of that name is there which is no durable topic exchange without arguments: delete it, and \
                      it is created as it should be"
                .to_owned(),
        })
    }

    /// Whether it is there, and as it should be.
    async fn queue_exists(&self, queue: &Queue) -> Result<bool, RabbitmqError> {
        let doing = format!(
            "look at the queue {:?} of the virtual host {:?}",
            queue.name, self.vhost
        );
        let present = self.management.api.get_queue_info(self.vhost, queue.name);
        let Some(present) = self.management.find(&doing, present).await? else {
            return Ok(false);
        };
        match difference(queue, &present) {
            None => Ok(true),
            Some(difference) => Err(RabbitmqError::DifferentQueue {
                queue: queue.name.to_owned(),
                vhost: self.vhost.to_owned(),
                difference,
            }),
        }
    }

    async fn ensure_queue(&mut self, queue: &Queue) -> Result<(), RabbitmqError> {
        if self.queue_exists(queue).await? {
            return Ok(());
        }
        let doing = format!(
            "create the queue {:?} in the virtual host {:?}",
            queue.name, self.vhost
        );
        let wanted = QueueParams::new_quorum_queue(queue.name, Some(arguments(queue)));
        let declare = self.management.api.declare_queue(self.vhost, &wanted);
        self.management.ask(&doing, declare).await?;
        self.changed(format!("created the queue {:?}", queue.name));
        Ok(())
    }

    /// Others' bindings of the queue are left: they may be somebody's way to put something in.
    async fn ensure_bindings(&mut self, queue: &Queue) -> Result<(), RabbitmqError> {
        let doing = format!(
            "bind the queue {:?} in the virtual host {:?}",
            queue.name, self.vhost
        );
        let present = self.management.api.list_queue_bindings(self.vhost, queue.name);
        let present = self.management.ask(&doing, present).await?;
        let missing = |wanted: &&Binding| {
            wanted.queue == queue.name
                && !present.iter().any(|binding| {
                    binding.destination_type == BindingDestinationType::Queue
                        && binding.source == wanted.exchange
                        && binding.routing_key == wanted.routing_key
                        && binding.arguments.0.is_empty()
                })
        };
        for wanted in BINDINGS.iter().filter(missing) {
            let key = Some(wanted.routing_key);
            let api = &self.management.api;
            let bind = api.bind_queue(self.vhost, wanted.queue, wanted.exchange, key, None);
            self.management.ask(&doing, bind).await?;
            self.changed(format!(
                "bound the queue {:?} to {:?} with {:?}",
                wanted.queue, wanted.exchange, wanted.routing_key
            ));
        }
        Ok(())
    }
}

fn arguments(queue: &Queue) -> Map<String, Value> {
    let arguments = queue.arguments.iter().map(|(name, argument)| {
        let value = match argument {
            Argument::Text(text) => Value::from(*text),
            Argument::Number(number) => Value::from(*number),
        };
        ((*name).to_owned(), value)
    });
    arguments.collect()
}

/// What a person has to know of a queue that is otherwise than it should be.
fn difference(queue: &Queue, present: &QueueInfo) -> Option<String> {
    let wanted = arguments(queue);
    let mut differences = Vec::new();
    if QueueType::from(present.queue_type.as_str()) != QueueType::Quorum {
        differences.push(format!("its type is {}, not quorum", present.queue_type));
    }
    if !present.durable || present.auto_delete || present.exclusive {
        differences.push("it is not durable, or deletes itself".to_owned());
    }
    for (name, value) in &wanted {
        match present.arguments.0.get(name) {
            Some(other) if other == value => {}
            Some(other) => differences.push(format!("{name} is {other}, not {value}")),
            None => differences.push(format!("{name} is not set, and should be {value}")),
        }
    }
    for (name, value) in &present.arguments.0 {
        if !wanted.contains_key(name) {
            differences.push(format!("{name} is {value}, and should not be set"));
        }
    }
    (!differences.is_empty()).then(|| differences.join("; "))
}
