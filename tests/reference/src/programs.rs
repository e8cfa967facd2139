//! The programs, with what can be said to each.

use chassis::DefaultAddrs;
use clap::{Args as _, Command, CommandFactory as _};

/// One program of the shop.
#[derive(Debug)]
pub struct Program {
    /// What it is called.
    pub name: &'static str,
    /// Where its sources are, from the checkout.
    pub sources: &'static str,
    /// Its subcommands.
    pub command: Command,
    /// What it takes when it serves.
    pub serving: Command,
    /// Where a service answers unless it is told otherwise.
    pub addrs: Option<DefaultAddrs>,
}

/// Every program, the services first.
pub fn programs() -> Vec<Program> {
    let service = |name, sources, command: Command, addrs| Program {
        name,
        sources,
        addrs: Some(addrs),
        serving: command.clone(),
        command,
    };
    vec![
        service(
            "api-gateway",
            "services/api-gateway/src",
            api_gateway::Config::command(),
            api_gateway::DEFAULT_ADDRS,
        ),
        service(
            "user-service",
            "services/user-service/src",
            user_service::Config::command(),
            user_service::DEFAULT_ADDRS,
        ),
        service(
            "inventory-service",
            "services/inventory-service/src",
            inventory_service::Config::command(),
            inventory_service::DEFAULT_ADDRS,
        ),
        service(
            "order-service",
            "services/order-service/src",
            order_service::Config::command(),
            order_service::DEFAULT_ADDRS,
        ),
        service(
            "producer-service",
            "services/producer-service/src",
            producer_service::Config::command(),
            producer_service::DEFAULT_ADDRS,
        ),
        service(
            "consumer-service",
            "services/consumer-service/src",
            consumer_service::Config::command(),
            consumer_service::DEFAULT_ADDRS,
        ),
        Program {
            name: "shop-operator",
            sources: "operator/src",
            command: shop_operator::config::Config::command(),
            serving: shop_operator::config::RunArgs::augment_args(Command::new("shop-operator")),
            addrs: None,
        },
    ]
}

/// What several programs are built of, with its sources from the checkout.
pub const SHARED: [&str; 6] = [
    "services/access-token/src",
    "services/audit/src",
    "services/chassis/src",
    "services/outbox/src",
    "services/proto/src",
    "services/rules/src",
];
