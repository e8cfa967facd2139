//! Who may call whom: for every method of the contracts the services that have a reason to call it, and no others.
//!
//! A service believes what a call says (whose order it is, who is an admin) because of who calls: `user_id` in a message
//! is the api-gateway's word, which has looked at the token. So a new method needs a line in [`METHODS`]; without one
//! it is refused to all. Who calls is told by the certificate of the connection, which the server's side of gRPC reads
//! before it looks here. The standard services (health, reflection) tell of the server alone and are in no table.

use std::{collections::HashMap, fmt, sync::LazyLock};

use self::Caller::{ApiGateway, ConsumerService, InventoryService, OrderService, UserService};

/// A service of the shop, as somebody who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// Speaks for the person whose token it has checked.
    ApiGateway,
    /// Asks for prices and publishes its events.
    OrderService,
    /// Works events off.
    ConsumerService,
    /// Publishes its events.
    InventoryService,
    /// Publishes its events.
    UserService,
    /// Calls nobody.
    ProducerService,
}

impl Caller {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ApiGateway,
        Self::OrderService,
        Self::ConsumerService,
        Self::InventoryService,
        Self::UserService,
        Self::ProducerService,
    ];

    /// The service's name, as in its certificate: `order-service`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiGateway => "api-gateway",
            Self::OrderService => "order-service",
            Self::ConsumerService => "consumer-service",
            Self::InventoryService => "inventory-service",
            Self::UserService => "user-service",
            Self::ProducerService => "producer-service",
        }
    }

    /// The service of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|caller| caller.name() == name)
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Each method by the path of its request, with those that may call it.
pub const METHODS: &[(&str, &[Caller])] = &[
    // Of each service that keeps something.
    ("/shop.audit.v1.AuditService/ListAuditRecords", &[ApiGateway]),
    // Of each service that emits events.
    ("/shop.outbox.v1.OutboxService/GetBacklog", &[ApiGateway]),
    ("/shop.user.v1.UserService/Register", &[ApiGateway]),
    ("/shop.user.v1.UserService/LogIn", &[ApiGateway]),
    ("/shop.user.v1.UserService/RefreshSession", &[ApiGateway]),
    ("/shop.user.v1.UserService/LogOut", &[ApiGateway]),
    ("/shop.user.v1.UserService/GetUser", &[ApiGateway]),
    ("/shop.user.v1.UserService/ListUsers", &[ApiGateway]),
    ("/shop.user.v1.UserService/UpdateProfile", &[ApiGateway]),
    ("/shop.user.v1.UserService/UpdateUser", &[ApiGateway]),
    ("/shop.user.v1.UserService/GetSigningKeys", &[ApiGateway]),
    ("/shop.user.v1.UserService/GetStandings", &[ApiGateway]),
    ("/shop.user.v1.UserService/ListSessions", &[ApiGateway]),
    ("/shop.user.v1.UserService/EndSessions", &[ApiGateway]),
    ("/shop.user.v1.UserService/GetSecondFactor", &[ApiGateway]),
    ("/shop.user.v1.UserService/BeginSecondFactor", &[ApiGateway]),
    ("/shop.user.v1.UserService/ConfirmSecondFactor", &[ApiGateway]),
    ("/shop.user.v1.UserService/RemoveSecondFactor", &[ApiGateway]),
    ("/shop.inventory.v1.InventoryService/CreateProduct", &[ApiGateway]),
    (
        "/shop.inventory.v1.InventoryService/ListCategories",
        &[ApiGateway],
    ),
    ("/shop.inventory.v1.InventoryService/GetProducts", &[ApiGateway]),
    ("/shop.inventory.v1.InventoryService/GetPrices", &[OrderService]),
    ("/shop.inventory.v1.InventoryService/QuotePrices", &[OrderService]),
    ("/shop.inventory.v1.InventoryService/ListProducts", &[ApiGateway]),
    ("/shop.inventory.v1.InventoryService/UpdateProduct", &[ApiGateway]),
    ("/shop.inventory.v1.InventoryService/DeleteProduct", &[ApiGateway]),
    ("/shop.inventory.v1.InventoryService/AdjustStock", &[ApiGateway]),
    (
        "/shop.inventory.v1.InventoryService/ListStockMovements",
        &[ApiGateway],
    ),
    (
        "/shop.inventory.v1.InventoryService/AllocateStock",
        &[ConsumerService],
    ),
    (
        "/shop.inventory.v1.InventoryService/ReleaseStock",
        &[ConsumerService],
    ),
    ("/shop.order.v1.OrderService/CreateOrders", &[ApiGateway]),
    ("/shop.order.v1.OrderService/PlaceOrders", &[ApiGateway]),
    ("/shop.order.v1.OrderService/GetOrder", &[ApiGateway]),
    ("/shop.order.v1.OrderService/ListOrders", &[ApiGateway]),
    ("/shop.order.v1.OrderService/WatchOrder", &[ApiGateway]),
    ("/shop.order.v1.OrderService/UpdateOrderStatus", &[ApiGateway]),
    ("/shop.order.v1.OrderService/GetOrderFlow", &[ApiGateway]),
    ("/shop.order.v1.OrderService/RecordOutcomes", &[ConsumerService]),
    (
        "/shop.producer.v1.ProducerService/PublishEvents",
        &[OrderService, InventoryService, UserService],
    ),
    ("/shop.consumer.v1.ConsumerService/GetQueue", &[ApiGateway]),
    ("/shop.consumer.v1.ConsumerService/ListDeadLetters", &[ApiGateway]),
    (
        "/shop.consumer.v1.ConsumerService/RedriveDeadLetters",
        &[ApiGateway],
    ),
];

static BY_PATH: LazyLock<HashMap<&'static str, &'static [Caller]>> =
    LazyLock::new(|| METHODS.iter().copied().collect());

/// Those that may call the method of that path; none where it has no line.
pub fn of(path: &str) -> Option<&'static [Caller]> {
    BY_PATH.get(path).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_method_of_the_contracts_has_a_line_and_no_other_has() {
        let contracts = FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET).unwrap();
        let mut described = BTreeSet::new();
        for file in &contracts.file {
            for service in &file.service {
                for method in &service.method {
                    described.insert(format!(
                        "/{}.{}/{}",
                        file.package(),
                        service.name(),
                        method.name()
                    ));
                }
            }
        }
        let listed: BTreeSet<_> = METHODS.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(listed.len(), METHODS.len(), "a method has two lines");
        let missing: Vec<_> = described.difference(&listed).collect();
        assert!(missing.is_empty(), "without a line: {missing:?}");
        let made_up: Vec<_> = listed.difference(&described).collect();
        assert!(made_up.is_empty(), "without a method: {made_up:?}");
        for (path, callers) in METHODS {
            assert!(!callers.is_empty(), "{path} is for nobody");
            assert_eq!(of(path), Some(*callers));
        }
    }

    #[test]
    fn a_name_is_that_of_one_service() {
        for caller in Caller::ALL {
            assert_eq!(Caller::from_name(caller.name()), Some(caller));
        }
        for nobody in ["", "Order-Service", "order-service ", "order"] {
            assert_eq!(Caller::from_name(nobody), None, "{nobody}");
        }
    }
}
