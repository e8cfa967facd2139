//! What may go wrong with a PostgreSQL server, told so that a person knows what to do.

use std::io;

use sqlx::error::DatabaseError;

/// Why the databases of a shop are not as they should be. None of them holds a password.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Nobody answers at the address, or only to say that it is not a good time.
    #[error("the PostgreSQL server {server} can't be reached: {problem}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// As the system or the server says it.
        problem: String,
    },
    /// The server doesn't take the administrator's name and password.
    #[error("the PostgreSQL server {server} refuses the administrator's login: {problem}")]
    WrongPassword {
        /// Host and port.
        server: String,
        /// As the server says it.
        problem: String,
    },
    /// The administrator's account may not do what is needed.
    #[error("the PostgreSQL administrator is not allowed to {doing}: {problem}")]
    NotAllowed {
        /// What was tried.
        doing: String,
        /// As the server says it.
        problem: String,
    },
    /// A database or role of the name is there and is not this shop's. It is left as it is.
    #[error("{object} is there already and does not belong to this shop ({mark})")]
    Taken {
        /// Its kind and name.
        object: String,
        /// What says whose it is.
        mark: String,
    },
    /// There is no connection as safe as asked for.
    #[error("no TLS connection to the PostgreSQL server {server}: {problem}")]
    TlsRefused {
        /// Host and port.
        server: String,
        /// As the TLS library says it.
        problem: String,
    },
    /// The server asks for the password itself, where others could read it.
    #[error(
        "the PostgreSQL server {server} asks for the password in clear over a connection without TLS, and is not given it: \
         let it ask by scram-sha-256, or connect by TLS that verifies it"
    )]
    CleartextPassword {
        /// Host and port.
        server: String,
    },
    /// The server took too long.
    #[error("the PostgreSQL server {server} gave no answer in time when asked to {doing}")]
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
        /// As the server says it.
        problem: String,
    },
}

impl PostgresError {
    /// The reason of a Kubernetes condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "PostgresUnreachable",
            Self::WrongPassword { .. } => "PostgresWrongPassword",
            Self::NotAllowed { .. } => "PostgresNotAllowed",
            Self::Taken { .. } => "PostgresNameTaken",
            Self::TlsRefused { .. } => "PostgresTlsRefused",
            Self::CleartextPassword { .. } => "PostgresCleartextRefused",
            Self::NoAnswer { .. } => "PostgresNoAnswer",
            Self::Other { .. } => "PostgresFailed",
        }
    }

    /// What an error of sqlx means. Only the server's message is kept: its details may hold a value.
    pub(super) fn new(server: &str, doing: &str, error: &sqlx::Error) -> Self {
        let (server, doing) = (server.to_owned(), doing.to_owned());
        match error {
            sqlx::Error::Database(error) => Self::of_server(server, doing, error.as_ref()),
            sqlx::Error::Tls(error) => Self::TlsRefused {
                server,
                problem: error.to_string(),
            },
            // So rustls reports what it thinks of the other side's certificate.
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::TlsRefused {
                server,
                problem: error.to_string(),
            },
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                Self::NoAnswer { server, doing }
            }
            sqlx::Error::Io(error) => Self::Unreachable {
                server,
                problem: error.to_string(),
            },
            other => Self::Other {
                doing,
                problem: other.to_string(),
            },
        }
    }

    fn of_server(server: String, doing: String, error: &dyn DatabaseError) -> Self {
        let problem = error.message().to_owned();
        let code = error.code().unwrap_or_default();
        match code.as_ref() {
            "28P01" | "28000" => Self::WrongPassword { server, problem },
            "42501" => Self::NotAllowed { doing, problem },
            // A statement that the server itself ended for its length, or one that waited for a lock.
            "57014" | "55P03" => Self::NoAnswer { server, doing },
            // Connections lost, too many of them, starting up, shutting down.
            code if ["08", "53300", "57P"].iter().any(|class| code.starts_with(class)) => {
                Self::Unreachable { server, problem }
            }
            _ => Self::Other { doing, problem },
        }
    }
}
