//! What a Shop's status says: pure, from what the stages of a reconciliation found.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

/// How one part of a Shop is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// As it should be.
    Ready,
    /// As it should be, with something that a person should know.
    ReadyBut(Cause),
    /// On its way, or waiting for something that will come by itself.
    Waiting(Cause),
    /// Needs a person, or a back end that is down.
    Failed(Cause),
    /// Not looked at: something before it is not ready.
    NotReached,
}

impl Stage {
    /// Whether it is as it should be.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready | Self::ReadyBut(_))
    }
}

/// Why a part is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// One word in camel case, for a program.
    pub reason: &'static str,
    /// A sentence, for a person, without secrets.
    pub message: String,
}

impl Cause {
    /// A reason and its sentence.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// What a reconciliation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// PostgreSQL: its server, the databases and roles.
    pub database: Stage,
    /// RabbitMQ: its server, the virtual host, users and queues.
    pub messaging: Stage,
    /// The six services.
    pub services: Stage,
}

impl Findings {
    /// Nothing could be looked at, for one reason.
    pub fn failed(cause: Cause) -> Self {
        Self {
            database: Stage::NotReached,
            messaging: Stage::NotReached,
            services: Stage::Failed(cause),
        }
    }

    fn stages(&self) -> [&Stage; 3] {
        [&self.database, &self.messaging, &self.services]
    }

    /// The first part that needs help, or else the first that is on its way.
    fn first_cause(&self) -> Option<&Cause> {
        let failed = self.stages().into_iter().find_map(|stage| match stage {
            Stage::Failed(cause) => Some(cause),
            _ => None,
        });
        failed.or_else(|| {
            self.stages().into_iter().find_map(|stage| match stage {
                Stage::Waiting(cause) => Some(cause),
                _ => None,
            })
        })
    }
}

/// The conditions that the findings mean. One whose status is as it was keeps its time of transition.
pub fn conditions(
    findings: &Findings,
    generation: i64,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let unchanged = before
            .iter()
            .find(|condition| condition.type_ == kind && condition.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation: Some(generation),
            last_transition_time: unchanged
                .map_or_else(|| Time(now), |condition| condition.last_transition_time.clone()),
        }
    };
    let part = |kind: &str, stage: &Stage| match stage {
        Stage::Ready => condition(kind, "True", "Ready", ""),
        Stage::ReadyBut(cause) => condition(kind, "True", cause.reason, &cause.message),
        Stage::Waiting(cause) | Stage::Failed(cause) => {
            condition(kind, "False", cause.reason, &cause.message)
        }
        Stage::NotReached => condition(kind, "Unknown", "NotReached", "something before it is not ready"),
    };
    let failed = findings.stages().into_iter().find_map(|stage| match stage {
        Stage::Failed(cause) => Some(cause),
        _ => None,
    });
    let waiting = findings.stages().into_iter().find_map(|stage| match stage {
        Stage::Waiting(cause) => Some(cause),
        _ => None,
    });
    vec![
        match findings.first_cause() {
            None => condition("Ready", "True", "Ready", "every part is ready"),
            Some(cause) => condition("Ready", "False", cause.reason, &cause.message),
        },
        match waiting {
            Some(cause) => condition("Progressing", "True", cause.reason, &cause.message),
            None => condition("Progressing", "False", "Settled", ""),
        },
        match failed {
            Some(cause) => condition("Degraded", "True", cause.reason, &cause.message),
            None => condition("Degraded", "False", "AsDesired", ""),
        },
        part("DatabaseReady", &findings.database),
        part("MessagingReady", &findings.messaging),
        part("ServicesReady", &findings.services),
    ]
}

/// The conditions of a Shop that is to be left as it is: what they said stands, and that nothing is done.
pub fn paused(generation: i64, before: &[Condition], now: Timestamp) -> Vec<Condition> {
    const REASON: &str = "Paused";
    const MESSAGE: &str = "spec.paused is true: nothing is changed or looked at until it is false";
    let mut conditions = before.to_vec();
    for kind in ["Ready", "Progressing"] {
        if !conditions.iter().any(|condition| condition.type_ == kind) {
            conditions.push(Condition {
                type_: kind.to_owned(),
                status: "Unknown".to_owned(),
                reason: REASON.to_owned(),
                message: MESSAGE.to_owned(),
                observed_generation: None,
                last_transition_time: Time(now),
            });
        }
    }
    for condition in &mut conditions {
        condition.observed_generation = Some(generation);
        if ["Ready", "Progressing"].contains(&condition.type_.as_str()) {
            REASON.clone_into(&mut condition.reason);
            MESSAGE.clone_into(&mut condition.message);
        }
        if condition.type_ == "Progressing" && condition.status != "False" {
            "False".clone_into(&mut condition.status);
            condition.last_transition_time = Time(now);
        }
    }
    conditions
}
