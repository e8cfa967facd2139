//! The shop's users: their passwords, their tags, their permissions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chassis::amqp::topology::{DEAD_LETTER_QUEUE, EXCHANGE, QUEUE};
use rabbitmq_http_client::{
    password_hashing::{base64_encoded_salted_password_hash_sha256 as hash, salt},
    requests::Permissions,
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{Run, User, UserRole, error::RabbitmqError};

/// RabbitMQ's default, named nevertheless: a broker configured otherwise would take the hash for one of another kind.
const ALGORITHM: &str = "rabbit_password_hashing_sha256";

/// The default exchange, as permissions name it.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// As the broker tells of it.
#[derive(Deserialize)]
pub(super) struct StoredUser {
    name: String,
    tags: Vec<String>,
    #[serde(default)]
    password_hash: String,
    #[serde(default)]
    hashing_algorithm: String,
}

/// As the broker is told of it. The library's has no algorithm.
#[derive(Serialize)]
struct NewUser<'a> {
    password_hash: &'a str,
    hashing_algorithm: &'a str,
    tags: &'a str,
}

impl Run<'_> {
    /// What a user's tags have to be.
    fn user_mark(&self) -> String {
        format!("shop-operator-{}", self.shop_uid)
    }

    /// Those of the whole broker.
    pub(super) async fn list_users(&self) -> Result<Vec<StoredUser>, RabbitmqError> {
        self.management.get("list the users", &["users"]).await
    }

    pub(super) fn look_for_others(&self, users: &[User], stored: &[StoredUser]) -> Result<(), RabbitmqError> {
        let mark = self.user_mark();
        for user in stored {
            if users.iter().any(|wanted| wanted.name == user.name) && !user.tags.contains(&mark) {
                return Err(RabbitmqError::Taken {
                    object: format!("the user {:?}", user.name),
                    mark: format!("its tags are {:?}, without {mark:?}", user.tags.join(",")),
                });
            }
        }
        Ok(())
    }

    pub(super) async fn ensure_user(
        &mut self,
        user: &User,
        stored: &[StoredUser],
    ) -> Result<(), RabbitmqError> {
        let name = &user.name;
        match stored.iter().find(|stored| stored.name == *name) {
            None => {
                self.put_user(user).await?;
                self.changed(format!("created the user {name:?}"));
            }
            Some(stored) => {
                let same_password = stored.has_password(user.password.expose_secret());
                // Another tag beside the mark may make it an administrator.
                if !same_password || stored.tags != [self.user_mark()] {
                    self.put_user(user).await?;
                    let what = if same_password { "tags" } else { "password" };
                    self.changed(format!("set the {what} of the user {name:?}"));
                }
            }
        }
        self.ensure_permissions(user).await
    }

    async fn put_user(&self, user: &User) -> Result<(), RabbitmqError> {
        let doing = format!("set the password of the user {:?}", user.name);
        let wanted = NewUser {
            password_hash: &hash(&salt(), user.password.expose_secret()),
            hashing_algorithm: ALGORITHM,
            tags: &self.user_mark(),
        };
        self.management.put(&doing, &["users", &user.name], &wanted).await
    }

    async fn ensure_permissions(&mut self, user: &User) -> Result<(), RabbitmqError> {
        let name = user.name.as_str();
        let doing = format!(
            "set the permissions of the user {name:?} in the virtual host {:?}",
            self.vhost
        );
        let (write, read) = user.role.patterns();
        let api = &self.management.api;
        let present = self.management.ask(&doing, api.list_permissions_of(name)).await?;
        let alike = present.iter().any(|it| {
            it.vhost == self.vhost && it.configure.is_empty() && it.write == write && it.read == read
        });
        if !alike {
            let wanted = Permissions {
                user: name,
                vhost: self.vhost,
                configure: "",
                read: &read,
                write: &write,
            };
            self.management
                .ask(&doing, api.declare_permissions(&wanted))
                .await?;
            self.changed(format!("set the permissions of the user {name:?}"));
        }
        // The user is one shop's alone.
        for elsewhere in &present {
            if elsewhere.vhost == self.vhost {
                continue;
            }
            let doing = format!(
                "shut the user {name:?} out of the virtual host {:?}",
                elsewhere.vhost
            );
            let clear = self
                .management
                .api
                .clear_permissions(&elsewhere.vhost, name, true);
            self.management.ask(&doing, clear).await?;
            self.changed(doing);
        }
        Ok(())
    }

    /// Those with the shop's mark that are not among `users`.
    pub(super) async fn delete_unwanted_users(
        &mut self,
        users: &[User],
        stored: &[StoredUser],
    ) -> Result<(), RabbitmqError> {
        let mark = self.user_mark();
        for user in stored.iter().filter(|user| user.tags.contains(&mark)) {
            let name = &user.name;
            if users.iter().any(|wanted| wanted.name == *name) {
                continue;
            }
            let doing = format!("delete the user {name:?}");
            let delete = self.management.api.delete_user(name, true);
            self.management.ask(&doing, delete).await?;
            self.changed(format!("deleted the user {name:?}"));
        }
        Ok(())
    }
}

impl StoredUser {
    /// The broker keeps `base64(salt + sha256(salt + password))`, with a salt of four bytes.
    fn has_password(&self, password: &str) -> bool {
        let stored = STANDARD.decode(&self.password_hash).unwrap_or_default();
        let algorithm_is_ours = self.hashing_algorithm.is_empty() || self.hashing_algorithm == ALGORITHM;
        let salt = stored.first_chunk::<4>();
        algorithm_is_ours && salt.is_some_and(|salt| hash(salt, password) == self.password_hash)
    }
}

impl UserRole {
    /// What may be written and what may be read.
    fn patterns(self) -> (String, String) {
        match self {
            Self::Producer => (exactly(&[EXCHANGE]), String::new()),
            Self::Consumer => (exactly(&[DEFAULT_EXCHANGE]), exactly(&[QUEUE, DEAD_LETTER_QUEUE])),
        }
    }
}

/// The pattern of these names and no others.
fn exactly(names: &[&str]) -> String {
    // The only character of the topology's names that means something in a pattern.
    let names: Vec<_> = names.iter().map(|name| name.replace('.', r"\.")).collect();
    format!("^({})$", names.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(password_hash: &str, hashing_algorithm: &str) -> StoredUser {
        StoredUser {
            name: "user".to_owned(),
            tags: Vec::new(),
            password_hash: password_hash.to_owned(),
            hashing_algorithm: hashing_algorithm.to_owned(),
        }
    }

    #[test]
    fn knows_a_password_by_its_hash() {
        // The example of RabbitMQ's documentation: <https://www.rabbitmq.com/docs/passwords>.
        let documented = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
        assert!(stored(documented, ALGORITHM).has_password("test12"));
        assert!(!stored(documented, ALGORITHM).has_password("test13"));
        assert!(!stored(documented, "rabbit_password_hashing_sha512").has_password("test12"));
        for nothing in ["", "AAA=", "not base64"] {
            assert!(!stored(nothing, ALGORITHM).has_password(""));
        }
    }

    #[test]
    fn patterns_match_whole_names_only() {
        assert_eq!(exactly(&["a.b", "c"]), r"^(a\.b|c)$");
    }
}
