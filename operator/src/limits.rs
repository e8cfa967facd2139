//! What the Shops of an operator may ask for. Who may write Shops may have any image run, and have this operator connect
//! to any host with any Secret of the namespace that is labelled for it; who installs the operator can bound that. Pure.

use clap::Args;

use crate::{
    crd::ExternalMessaging,
    validate::{DatabaseBackend, MessagingBackend, Validated},
};

/// Bounds of what Shops ask for. What is not given is not bounded.
#[derive(Args, Clone, Debug, Default)]
pub struct Limits {
    /// What the names of images may begin with, several with commas between: ghcr.io/shop-operator/. [default: anything]
    #[arg(long, env = "ALLOWED_IMAGES", value_delimiter = ',')]
    pub allowed_images: Vec<String>,
    /// Where external PostgreSQL and RabbitMQ may be, several with commas between: a host, or *.DOMAIN for all below a
    /// domain. [default: anywhere]
    #[arg(long, env = "ALLOWED_BACK_END_HOSTS", value_delimiter = ',')]
    pub allowed_back_end_hosts: Vec<String>,
    /// What hosts an Ingress may have, in the same way. [default: any]
    #[arg(long, env = "ALLOWED_INGRESS_HOSTS", value_delimiter = ',')]
    pub allowed_ingress_hosts: Vec<String>,
    /// Whether Shops may choose the nodes that their pods run on: nodeSelector, tolerations and affinity.
    #[arg(long, env = "ALLOW_PLACEMENT", default_value_t = true, action = clap::ArgAction::Set)]
    pub allow_placement: bool,
}

/// Something that this operator's Shops may not ask for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value:?} is not among what this operator's installation allows ({setting})")]
pub struct LimitError {
    /// Which field of the spec.
    pub field: String,
    /// What is asked for.
    pub value: String,
    /// Which setting of the operator says what may be.
    pub setting: &'static str,
}

impl Limits {
    /// Whether a Shop asks for nothing beyond.
    ///
    /// # Errors
    ///
    /// The first field that does.
    pub fn check(&self, shop: &Validated) -> Result<(), LimitError> {
        for (field, image) in images(shop) {
            self.image(&field, &image)?;
        }
        for (field, host) in back_end_hosts(shop) {
            among(
                &self.allowed_back_end_hosts,
                field,
                &host,
                "ALLOWED_BACK_END_HOSTS",
            )?;
        }
        if let Some(ingress) = &shop.ingress {
            let field = "spec.gateway.ingress.host";
            among(
                &self.allowed_ingress_hosts,
                field,
                &ingress.host,
                "ALLOWED_INGRESS_HOSTS",
            )?;
        }
        match placed(shop) {
            Some(field) if !self.allow_placement => Err(LimitError {
                field,
                value: "nodeSelector, tolerations or affinity".to_owned(),
                setting: "ALLOW_PLACEMENT",
            }),
            _ => Ok(()),
        }
    }

    fn image(&self, field: &str, image: &str) -> Result<(), LimitError> {
        let allowed = &self.allowed_images;
        if allowed.is_empty() || allowed.iter().any(|start| image.starts_with(start.as_str())) {
            return Ok(());
        }
        Err(LimitError {
            field: field.to_owned(),
            value: image.to_owned(),
            setting: "ALLOWED_IMAGES",
        })
    }
}

/// The images that a Shop has run here, and where it says so.
fn images(shop: &Validated) -> Vec<(String, String)> {
    let mut images = vec![(
        "spec.image.registry".to_owned(),
        format!("{}/", shop.image.registry),
    )];
    if let DatabaseBackend::Embedded(store) = &shop.database {
        images.push(("spec.database.embedded.image".to_owned(), store.image.clone()));
    }
    if let MessagingBackend::Embedded(store) = &shop.messaging {
        images.push(("spec.messaging.embedded.image".to_owned(), store.image.clone()));
    }
    images
}

/// The first part of a Shop that asks for nodes of its own choice.
fn placed(shop: &Validated) -> Option<String> {
    if let DatabaseBackend::Embedded(store) = &shop.database
        && store.placement.is_chosen()
    {
        return Some("spec.database.embedded".to_owned());
    }
    if let MessagingBackend::Embedded(store) = &shop.messaging
        && store.placement.is_chosen()
    {
        return Some("spec.messaging.embedded".to_owned());
    }
    let mut programs = shop.workloads.iter();
    let (program, _) = programs.find(|(_, deployed)| deployed.placement.is_chosen())?;
    Some(format!("the placement of {}", program.name()))
}

/// The hosts that this operator connects to for a Shop, and where it names them.
fn back_end_hosts(shop: &Validated) -> Vec<(&'static str, String)> {
    let mut hosts = Vec::new();
    if let DatabaseBackend::External(external) = &shop.database {
        hosts.push(("spec.database.external.host", external.host.clone()));
    }
    if let MessagingBackend::External(ExternalMessaging { amqp, management, .. }) = &shop.messaging {
        for (field, address) in [
            ("spec.messaging.external.amqp", amqp),
            ("spec.messaging.external.management", management),
        ] {
            let parsed = url::Url::parse(address).ok();
            let host = parsed.and_then(|url| url.host_str().map(str::to_owned));
            // What is no URL is no host that is allowed.
            hosts.push((field, host.unwrap_or_else(|| address.clone())));
        }
    }
    hosts
}

fn among(allowed: &[String], field: &str, host: &str, setting: &'static str) -> Result<(), LimitError> {
    let host_only = host.trim_end_matches('.').to_ascii_lowercase();
    let allows = |pattern: &String| match pattern.strip_prefix("*.") {
        Some(domain) => host_only
            .strip_suffix(&domain.to_ascii_lowercase())
            .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => host_only == pattern.to_ascii_lowercase(),
    };
    if allowed.is_empty() || allowed.iter().any(allows) {
        return Ok(());
    }
    Err(LimitError {
        field: field.to_owned(),
        value: host.to_owned(),
        setting,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::validate::validate;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        limits: Limits,
    }

    /// As the command line says.
    fn limits(arguments: &[&str]) -> Limits {
        Command::parse_from([&["test"], arguments].concat()).limits
    }

    fn shop(spec: &Value) -> Validated {
        let shop = json!({
            "apiVersion": "shop-operator.io/v1alpha1", "kind": "Shop",
            "metadata": {"name": "demo", "namespace": "shops", "uid": "1"}, "spec": spec,
        });
        validate(&serde_json::from_value(shop).unwrap()).unwrap()
    }

    fn refused(limits: &Limits, spec: &Value) -> Option<String> {
        limits.check(&shop(spec)).err().map(|error| error.field)
    }

    fn external(host: &str) -> Value {
        json!({"database": {"external": {"host": host, "adminSecret": {"name": "a"}}}})
    }

    #[test]
    fn what_is_not_given_is_not_bounded() {
        let toleration = json!([{"operator": "Exists"}]);
        let spec = json!({
            "image": {"registry": "anything.example"},
            "gateway": {"ingress": {"host": "any.example"}, "tolerations": toleration},
            "database": {"external": {"host": "10.0.0.1", "adminSecret": {"name": "a"}}},
        });
        assert_eq!(refused(&limits(&[]), &spec), None);
    }

    #[test]
    fn images_begin_as_they_may() {
        let limits = limits(&["--allowed-images", "ghcr.io/shop-operator/,docker.io/library/"]);
        for (spec, expected) in [
            (json!({}), None),
            (json!({"image": {"registry": "ghcr.io/shop-operator"}}), None),
            // Not another organisation that begins alike.
            (
                json!({"image": {"registry": "ghcr.io/shop-operator-evil"}}),
                Some("spec.image.registry"),
            ),
            (
                json!({"image": {"registry": "evil.example"}}),
                Some("spec.image.registry"),
            ),
            (
                json!({"database": {"embedded": {"image": "evil.example/postgres"}}}),
                Some("spec.database.embedded.image"),
            ),
            (
                json!({"messaging": {"embedded": {"image": "evil.example/rabbitmq"}}}),
                Some("spec.messaging.embedded.image"),
            ),
        ] {
            assert_eq!(refused(&limits, &spec).as_deref(), expected, "{spec}");
        }
    }

    #[test]
    fn back_ends_are_where_they_may_be() {
        let limits = limits(&["--allowed-back-end-hosts", "db.example,*.databases.svc"]);
        for (host, allowed) in [
            ("db.example", true),
            ("DB.example.", true),
            ("one.databases.svc", true),
            ("a.b.databases.svc", true),
            ("databases.svc", false),
            ("evildatabases.svc", false),
            ("db.example.evil", false),
            ("169.254.169.254", false),
        ] {
            assert_eq!(refused(&limits, &external(host)).is_none(), allowed, "{host}");
            for (amqp, management) in [(host, "db.example"), ("db.example", host)] {
                let spec = json!({"messaging": {"external": {
                    "amqp": format!("amqps://{amqp}:5671"), "management": format!("https://{management}:15671/x"),
                    "adminSecret": {"name": "a"},
                }}});
                assert_eq!(refused(&limits, &spec).is_none(), allowed, "{spec}");
            }
        }
        assert_eq!(refused(&limits, &json!({})), None, "one's own is no other host");
    }

    #[test]
    fn hosts_of_an_ingress_are_those_that_may_be() {
        let limits = limits(&["--allowed-ingress-hosts", "*.shops.example"]);
        let spec = |host: &str| json!({"gateway": {"ingress": {"host": host}}});
        assert_eq!(refused(&limits, &spec("a.shops.example")), None);
        let field = refused(&limits, &spec("bank.example"));
        assert_eq!(field.as_deref(), Some("spec.gateway.ingress.host"));
    }

    #[test]
    fn nodes_are_chosen_by_who_may() {
        let limits = limits(&["--allow-placement", "false"]);
        assert_eq!(refused(&limits, &json!({})), None);
        let toleration = json!([{"operator": "Exists"}]);
        for spec in [
            json!({"gateway": {"nodeSelector": {"a": "b"}}}),
            json!({"services": {"orders": {"tolerations": toleration}}}),
            json!({"services": {"users": {"affinity": {"nodeAffinity": {}}}}}),
            json!({"database": {"embedded": {"tolerations": toleration}}}),
            json!({"messaging": {"embedded": {"nodeSelector": {"a": "b"}}}}),
        ] {
            assert!(refused(&limits, &spec).is_some(), "{spec}");
        }
    }
}
