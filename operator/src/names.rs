//! The six services, and what the objects of a Shop are called.

/// A program of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// Publishes events.
    ProducerService,
    /// Accounts and sessions.
    UserService,
    /// Products and stock.
    InventoryService,
    /// Orders.
    OrderService,
    /// Works events off.
    ConsumerService,
    /// The HTTP API.
    ApiGateway,
}

impl Program {
    /// Each before those that call it: the order in which a new version rolls out.
    pub const ALL: [Self; 6] = [
        Self::ProducerService,
        Self::UserService,
        Self::InventoryService,
        Self::OrderService,
        Self::ConsumerService,
        Self::ApiGateway,
    ];

    /// Its name, which is that of its image too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserService => "user-service",
            Self::InventoryService => "inventory-service",
            Self::ProducerService => "producer-service",
            Self::OrderService => "order-service",
            Self::ConsumerService => "consumer-service",
            Self::ApiGateway => "api-gateway",
        }
    }

    /// Where it answers calls.
    pub const fn port(self) -> u16 {
        match self {
            Self::UserService => 50052,
            Self::InventoryService => 50055,
            Self::ProducerService => 50054,
            Self::OrderService => 50051,
            Self::ConsumerService => 50053,
            Self::ApiGateway => 8080,
        }
    }

    /// Where it answers for its health and metrics.
    pub const fn admin_port(self) -> u16 {
        match self {
            Self::UserService => 9052,
            Self::InventoryService => 9055,
            Self::ProducerService => 9054,
            Self::OrderService => 9051,
            Self::ConsumerService => 9053,
            Self::ApiGateway => 9080,
        }
    }

    /// The name of its database, if it has one.
    pub const fn database(self) -> Option<&'static str> {
        match self {
            Self::UserService => Some("users"),
            Self::InventoryService => Some("inventory"),
            Self::OrderService => Some("orders"),
            Self::ProducerService | Self::ConsumerService | Self::ApiGateway => None,
        }
    }

    /// Whether it speaks to RabbitMQ.
    pub const fn uses_broker(self) -> bool {
        matches!(self, Self::ProducerService | Self::ConsumerService)
    }

    /// Which others it calls, and the variables that say where they are.
    pub const fn calls(self) -> &'static [(Self, &'static str)] {
        const USERS: (Program, &str) = (Program::UserService, "USER_SERVICE_URL");
        const INVENTORY: (Program, &str) = (Program::InventoryService, "INVENTORY_SERVICE_URL");
        const ORDERS: (Program, &str) = (Program::OrderService, "ORDER_SERVICE_URL");
        const CONSUMER: (Program, &str) = (Program::ConsumerService, "CONSUMER_SERVICE_URL");
        const PRODUCER: (Program, &str) = (Program::ProducerService, "PRODUCER_SERVICE_URL");
        match self {
            Self::ApiGateway => &[USERS, INVENTORY, ORDERS, CONSUMER],
            Self::OrderService => &[INVENTORY, PRODUCER],
            Self::ConsumerService => &[INVENTORY, ORDERS],
            Self::UserService | Self::InventoryService => &[PRODUCER],
            Self::ProducerService => &[],
        }
    }
}

/// The label that says what of a Shop an object is: a program, or a data store.
pub const PART: &str = "app.kubernetes.io/name";
/// The label that says which Shop an object belongs to.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// The label that says who looks after an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// What the operator calls itself: in that label, and as the owner of fields.
pub const OPERATOR: &str = "shop-operator";

/// What the PostgreSQL of a Shop is called, embedded or a cluster.
pub const POSTGRES: &str = "postgres";
/// What the RabbitMQ of a Shop is called, embedded or a cluster.
pub const RABBITMQ: &str = "rabbitmq";

/// The name that has the addresses of all gateways of a Shop.
pub const GATEWAYS: &str = "gateways";

/// The name of a Shop's object.
pub fn object(shop: &str, part: &str) -> String {
    format!("{shop}-{part}")
}

/// The name of a Service inside the cluster.
pub fn host(service: &str, namespace: &str) -> String {
    format!("{service}.{namespace}.svc")
}

/// The name of the Secret with a program's or data store's credentials.
pub fn credentials(shop: &str, part: &str) -> String {
    format!("{shop}-{part}-credentials")
}
