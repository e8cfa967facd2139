//! What may go wrong with a RabbitMQ server, told so that a person knows what to do.

use std::error::Error;

use rabbitmq_http_client::error::HttpClientError;
use reqwest::StatusCode;

/// Why the broker does not hold what it should. None of them holds a password.
#[derive(Debug, thiserror::Error)]
pub enum RabbitmqError {
    /// Nobody answers at the address, or only to say that it is not a good time.
    #[error("RabbitMQ's management API at {server} can't be reached: {problem}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// As the system or the server says it.
        problem: String,
    },
    /// The broker doesn't take the administrator's name and password.
    #[error(
        "RabbitMQ at {server} refuses the administrator's login: is the password of the user {user:?} right?"
    )]
    WrongPassword {
        /// Host and port.
        server: String,
        /// The name that was tried.
        user: String,
    },
    /// The administrator's account may not do what is needed.
    #[error(
        "RabbitMQ does not allow the user {user:?} to {doing}: {problem}; the user needs the tag \"administrator\""
    )]
    NotAllowed {
        /// The administrator's account.
        user: String,
        /// What was tried.
        doing: String,
        /// As the broker says it.
        problem: String,
    },
    /// A virtual host or user of the name is there and is not this shop's. It is left as it is.
    #[error("{object} is there already and does not belong to this shop ({mark})")]
    Taken {
        /// Its kind and name.
        object: String,
        /// What says whose it is.
        mark: String,
    },
    /// A queue is there with other arguments, which can't be changed. It is left as it is, with its messages.
    #[error(
        "the queue {queue:?} of the virtual host {vhost:?} is not as it should be ({difference}), and it may hold \
         messages: move them away if they are needed and delete the queue, and it is created as it should be"
    )]
    DifferentQueue {
        /// Its name.
        queue: String,
        /// Where it is.
        vhost: String,
        /// What is otherwise.
        difference: String,
    },
    /// The broker took too long.
    #[error("RabbitMQ at {server} gave no answer in time when asked to {doing}")]
    NoAnswer {
        /// Host and port.
        server: String,
        /// What was tried.
        doing: String,
    },
    /// Anything else.
    #[error("can't {doing}: {problem}")]
    Other {
        /// What was tried.
        doing: String,
        /// As the broker says it.
        problem: String,
    },
}

impl RabbitmqError {
    /// The reason of a Kubernetes condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "RabbitmqUnreachable",
            Self::WrongPassword { .. } => "RabbitmqWrongPassword",
            Self::NotAllowed { .. } => "RabbitmqNotAllowed",
            Self::Taken { .. } => "RabbitmqNameTaken",
            Self::DifferentQueue { .. } => "RabbitmqQueueDiffers",
            Self::NoAnswer { .. } => "RabbitmqNoAnswer",
            Self::Other { .. } => "RabbitmqFailed",
        }
    }
}

/// What was asked, of whom and by whom.
pub(super) struct Question<'a> {
    pub(super) server: &'a str,
    pub(super) user: &'a str,
    pub(super) doing: &'a str,
}

impl Question<'_> {
    pub(super) fn failed(&self, error: &HttpClientError) -> RabbitmqError {
        if let Some(error) = error.as_reqwest_error() {
            return self.not_answered(error);
        }
        match error.status_code() {
            Some(status) => {
                let reason = error.error_details().and_then(|details| details.reason());
                self.refused(status, reason.unwrap_or_default())
            }
            None => self.other(&error.user_message()),
        }
    }

    /// No answer, or none that can be read.
    pub(super) fn not_answered(&self, error: &reqwest::Error) -> RabbitmqError {
        // The innermost error says what happened; the outer ones say where, and with which URL.
        let mut innermost: &dyn Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        let problem = innermost.to_string();
        // A time limit on connecting is a timeout too.
        if error.is_connect() {
            self.unreachable(problem)
        } else if error.is_timeout() {
            RabbitmqError::NoAnswer {
                server: self.server.to_owned(),
                doing: self.doing.to_owned(),
            }
        } else if error.is_request() {
            self.unreachable(problem)
        } else {
            self.other(&format!("is this RabbitMQ's management API? {problem}"))
        }
    }

    /// An answer that is none of success.
    pub(super) fn refused(&self, status: StatusCode, reason: &str) -> RabbitmqError {
        let problem = match (status, reason) {
            (StatusCode::NOT_FOUND, _) => "it does not exist".to_owned(),
            (status, "") => status.to_string(),
            (_, reason) => reason.to_owned(),
        };
        match status {
            // Also the answer to a login that is right, of a user who may not: "Not administrator user".
            StatusCode::UNAUTHORIZED if !problem.to_lowercase().contains("user") => {
                RabbitmqError::WrongPassword {
                    server: self.server.to_owned(),
                    user: self.user.to_owned(),
                }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RabbitmqError::NotAllowed {
                user: self.user.to_owned(),
                doing: self.doing.to_owned(),
                problem,
            },
            // Of a broker that starts or stops, or of a proxy before one that does.
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                self.unreachable(problem)
            }
            _ => self.other(&problem),
        }
    }

    fn unreachable(&self, problem: String) -> RabbitmqError {
        RabbitmqError::Unreachable {
            server: self.server.to_owned(),
            problem,
        }
    }

    pub(super) fn other(&self, problem: &str) -> RabbitmqError {
        RabbitmqError::Other {
            doing: self.doing.to_owned(),
            problem: problem.to_owned(),
        }
    }
}
