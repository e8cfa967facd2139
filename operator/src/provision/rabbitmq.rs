//! A shop's virtual host on a RabbitMQ server: its exchanges, queues and bindings, which are those of
//! [`chassis::amqp::topology`], and a user for each service that is a client of the broker. Everything goes through
//! the management API.
//!
//! [`ensure`] compares before it writes: a broker that is as it should be gets questions only. Whose something is,
//! the broker itself tells: a virtual host by its description `shop-operator: <uid of the shop>`, a user by its tag
//! `shop-operator-<uid of the shop>`. What does not carry the shop's mark is never touched, whatever its name. Inside
//! the shop's virtual host only what the topology names is looked at; others' queues there are left alone.
//!
//! Nothing that may hold messages is deleted to be made again: a queue with other arguments than it should have is an
//! error that a person has to deal with.

mod error;
mod management;
mod topology;
mod users;

use std::fmt;

use chassis::amqp::topology::DEAD_LETTER_QUEUE;
use rabbitmq_http_client::requests::{Permissions, VirtualHostParams};
use secrecy::SecretString;
use url::Url;

pub use self::error::RabbitmqError;
use self::management::Management;
pub use super::Changes;

/// A broker, and an administrator's account on it.
#[derive(Clone)]
pub struct Server {
    /// Of the management API, without `/api`. A user or password in it is ignored.
    pub management_url: Url,
    /// With the tag `administrator`: nobody else may make virtual hosts and users.
    pub user: String,
    /// Of that user.
    pub password: SecretString,
    /// The only authorities to be trusted, for `https`; those of the system if there are none.
    pub ca_pem: Option<Vec<u8>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL may bring a password along, which must not get into a log.
        f.debug_struct("Server")
            .field(
                "management_url",
                &management::without_secrets(&self.management_url).as_str(),
            )
            .field("user", &self.user)
            .field("ca_pem", &self.ca_pem.is_some())
            .finish_non_exhaustive()
    }
}

/// The account of a service.
#[derive(Clone, Debug)]
pub struct User {
    /// Users are the whole broker's: the name must tell the shop.
    pub name: String,
    /// What the service logs in with. The broker is only given its salted hash.
    pub password: SecretString,
    /// What it may do.
    pub role: UserRole,
}

/// What a user may do, in the shop's virtual host alone. Neither may declare or delete anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRole {
    /// Publishes to the exchange of the events, and that is all.
    Producer,
    /// Reads the queue and the dead letters. May publish through the default exchange, by which `consumer-service
    /// dead-letters redrive` puts a dead letter back into the one queue that it came from. RabbitMQ can't narrow this
    /// down to one queue, so that this user reaches every queue of its virtual host that way, but no exchange.
    Consumer,
}

/// Makes the broker hold the virtual host, what is in it, and exactly these users of the shop: one that carries its
/// mark and is not among them is deleted. Changes nothing if one of the names is somebody else's or a queue differs,
/// and writes nothing if all is as it should be.
pub async fn ensure(
    server: &Server,
    shop_uid: &str,
    vhost: &str,
    users: &[User],
) -> Result<Changes, RabbitmqError> {
    let mut run = Run::begin(server, shop_uid, vhost)?;
    let exists = run.vhost_is_ours().await?;
    let stored = run.list_users().await?;
    run.look_for_others(users, &stored)?;
    if exists {
        run.let_operator_in().await?;
        run.look_for_different_queues().await?;
    } else {
        run.create_vhost().await?;
        run.let_operator_in().await?;
    }
    run.ensure_topology().await?;
    for user in users {
        run.ensure_user(user, &stored).await?;
    }
    run.delete_unwanted_users(users, &stored).await?;
    Ok(run.changes)
}

/// Deletes the virtual host with all the messages in it and the shop's users, also those not named. What is gone
/// already is no error. What is somebody else's is left, and told when all that is the shop's is gone:
/// [`RabbitmqError::Taken`].
pub async fn remove(
    server: &Server,
    shop_uid: &str,
    vhost: &str,
    users: &[User],
) -> Result<(), RabbitmqError> {
    let mut run = Run::begin(server, shop_uid, vhost)?;
    // The users first: none of them can then be in the way of the virtual host's end.
    let stored = run.list_users().await?;
    run.delete_unwanted_users(&[], &stored).await?;
    let ours = run.vhost_is_ours().await;
    if matches!(ours, Ok(true)) {
        run.delete_vhost().await?;
    }
    ours?;
    run.look_for_others(users, &stored)
}

/// How many messages wait in the dead letters of a shop, those included that somebody is looking at. The broker counts
/// every five seconds or so, and this is its latest count.
pub async fn dead_letters(server: &Server, vhost: &str) -> Result<u64, RabbitmqError> {
    let management = Management::new(server)?;
    let doing =
        format!("count the messages of the queue {DEAD_LETTER_QUEUE:?} of the virtual host {vhost:?}");
    let queue = management.api.get_queue_info(vhost, DEAD_LETTER_QUEUE);
    Ok(management.ask(&doing, queue).await?.message_count)
}

/// One shop's turn.
struct Run<'a> {
    management: Management<'a>,
    shop_uid: &'a str,
    vhost: &'a str,
    changes: Changes,
}

impl<'a> Run<'a> {
    fn begin(server: &'a Server, shop_uid: &'a str, vhost: &'a str) -> Result<Self, RabbitmqError> {
        Ok(Self {
            management: Management::new(server)?,
            shop_uid,
            vhost,
            changes: Changes::default(),
        })
    }

    fn changed(&mut self, what: String) {
        self.changes.0.push(what);
    }

    /// What the description of the virtual host has to be.
    fn vhost_mark(&self) -> String {
        format!("shop-operator: {}", self.shop_uid)
    }

    /// Whether it is there, and the shop's.
    async fn vhost_is_ours(&self) -> Result<bool, RabbitmqError> {
        let doing = format!("look at the virtual host {:?}", self.vhost);
        let vhost = self.management.api.get_vhost(self.vhost);
        let Some(found) = self.management.find(&doing, vhost).await? else {
            return Ok(false);
        };
        let description = found.description.unwrap_or_default();
        if description == self.vhost_mark() {
            return Ok(true);
        }
        Err(RabbitmqError::Taken {
            object: format!("the virtual host {:?}", self.vhost),
            mark: format!("its description is {description:?}, not {:?}", self.vhost_mark()),
        })
    }

    async fn create_vhost(&mut self) -> Result<(), RabbitmqError> {
        let mark = self.vhost_mark();
        let vhost = VirtualHostParams::named(self.vhost).with_description(&mark);
        let doing = format!("create the virtual host {:?}", self.vhost);
        self.management
            .ask(&doing, self.management.api.create_vhost(&vhost))
            .await?;
        self.changed(format!("created the virtual host {:?}", self.vhost));
        Ok(())
    }

    /// Nobody may declare anything in a virtual host without a permission there, administrators included. The broker
    /// gives it to who creates the virtual host; it may have been taken away, or another administrator be at work now.
    async fn let_operator_in(&mut self) -> Result<(), RabbitmqError> {
        let wanted = Permissions::full_access(self.management.user, self.vhost);
        let doing = format!("let {:?} into the virtual host {:?}", wanted.user, self.vhost);
        let api = &self.management.api;
        let present = api.get_permissions(self.vhost, wanted.user);
        let present = self.management.find(&doing, present).await?;
        let all = |it: &rabbitmq_http_client::responses::Permissions| {
            [&it.configure, &it.write, &it.read]
                .iter()
                .all(|pattern| *pattern == ".*")
        };
        if !present.as_ref().is_some_and(all) {
            self.management
                .ask(&doing, api.declare_permissions(&wanted))
                .await?;
            self.changed(doing);
        }
        Ok(())
    }

    async fn delete_vhost(&mut self) -> Result<(), RabbitmqError> {
        let doing = format!("delete the virtual host {:?}", self.vhost);
        let delete = self.management.api.delete_vhost(self.vhost, true);
        self.management.ask(&doing, delete).await
    }
}
