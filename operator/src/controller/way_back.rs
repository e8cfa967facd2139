//! What a person is told to do about a data store of the Shop's own whose password is lost: pure.

use crate::{
    names,
    status::Cause,
    validate::{DatabaseBackend, MessagingBackend, Validated},
};

/// With what to do, where the password of a data store of the Shop's own is another one than its Secret says: it was made
/// anew after somebody deleted the Secret, or changed the Secret. The server has been told its password once, at its very
/// beginning.
pub(super) fn with_way_back(shop: &Validated, cause: Cause) -> Cause {
    let Validated { name, namespace, .. } = shop;
    let (part, set) = match (&shop.database, &shop.messaging, cause.reason) {
        (DatabaseBackend::Embedded(_), _, "PostgresWrongPassword") => (
            names::POSTGRES,
            "psql --username=postgres --command=\"ALTER ROLE postgres PASSWORD '$PASSWORD'\"",
        ),
        (_, MessagingBackend::Embedded(_), "RabbitmqWrongPassword") => (
            names::RABBITMQ,
            "rabbitmqctl change_password shop-operator \"$PASSWORD\"",
        ),
        _ => return cause,
    };
    let secret = names::credentials(name, part);
    let message = format!(
        "{}. The Secret {secret} was deleted or changed since the server was made: put back what it was, or give the \
         server what it says now: PASSWORD=$(kubectl --namespace {namespace} get secret {secret} --output \
         jsonpath='{{.data.password}}' | base64 --decode); kubectl --namespace {namespace} exec {}-0 -- {set}",
        cause.message,
        names::object(name, part),
    );
    Cause::new(cause.reason, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;
    use crate::validate::validate;

    fn shop(spec: &Value) -> Validated {
        let shop = json!({
            "apiVersion": "shop-operator.io/v1alpha1", "kind": "Shop",
            "metadata": {"name": "demo", "namespace": "shops", "uid": "1"}, "spec": spec,
        });
        validate(&serde_json::from_value(shop).unwrap()).unwrap()
    }

    #[test]
    fn who_lost_the_password_of_an_embedded_store_is_told_the_way_back() {
        let embedded = shop(&json!({}));
        for (reason, parts) in [
            (
                "PostgresWrongPassword",
                [
                    "get secret demo-postgres-credentials",
                    "exec demo-postgres-0 -- psql",
                ],
            ),
            (
                "RabbitmqWrongPassword",
                [
                    "get secret demo-rabbitmq-credentials",
                    "exec demo-rabbitmq-0 -- rabbitmqctl change_password",
                ],
            ),
        ] {
            let told = with_way_back(&embedded, Cause::new(reason, "it refuses"));
            assert_eq!(told.reason, reason);
            assert!(told.message.starts_with("it refuses"), "{}", told.message);
            for part in parts {
                assert!(told.message.contains(part), "{}", told.message);
            }
        }
        // On others' servers, and for other reasons, there is nothing to add.
        let secret = json!({"name": "admin"});
        let external = shop(&json!({
            "database": {"external": {"host": "a", "adminSecret": secret}},
            "messaging": {"external": {"amqp": "amqp://a", "management": "http://a", "adminSecret": secret}},
        }));
        for (shop, reason) in [
            (&external, "PostgresWrongPassword"),
            (&external, "RabbitmqWrongPassword"),
            (&embedded, "PostgresUnreachable"),
        ] {
            let told = with_way_back(shop, Cause::new(reason, "it refuses"));
            assert_eq!(told.message, "it refuses");
        }
    }
}
