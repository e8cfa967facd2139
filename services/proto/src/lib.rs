//! The contracts between the services: the gRPC messages and services, generated at build time from the `.proto`
//! files beside this crate, the events that cross RabbitMQ ([`event`]), how large all of it may be ([`limits`]), and who
//! may call which method ([`callers`]).
//!
//! Start with the `.proto` files: their comments say what each call promises, which refusals it has and what may be
//! repeated. Services depend on this crate and never on each other.

pub mod callers;
pub mod event;
pub mod limits;
pub mod multiplex;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod generated {
    pub mod shop {
        pub mod audit {
            pub mod v1 {
                tonic::include_proto!("shop.audit.v1");
            }
        }
        pub mod money {
            pub mod v1 {
                tonic::include_proto!("shop.money.v1");
            }
        }
        pub mod trace {
            pub mod v1 {
                tonic::include_proto!("shop.trace.v1");
            }
        }
        pub mod multiplex {
            pub mod v1 {
                tonic::include_proto!("shop.multiplex.v1");
            }
        }
        pub mod user {
            pub mod v1 {
                tonic::include_proto!("shop.user.v1");
            }
        }
        pub mod inventory {
            pub mod v1 {
                tonic::include_proto!("shop.inventory.v1");
            }
        }
        pub mod order {
            pub mod v1 {
                tonic::include_proto!("shop.order.v1");
            }
        }
        pub mod producer {
            pub mod v1 {
                tonic::include_proto!("shop.producer.v1");
            }
        }
        pub mod consumer {
            pub mod v1 {
                tonic::include_proto!("shop.consumer.v1");
            }
        }
        pub mod outbox {
            pub mod v1 {
                tonic::include_proto!("shop.outbox.v1");
            }
        }
    }
}

/// `shop.audit.v1`: who changed what.
pub use generated::shop::audit::v1 as audit;
/// `shop.consumer.v1`: the queue, and the dead letters.
pub use generated::shop::consumer::v1 as consumer;
/// `shop.inventory.v1`: products, stock and the ledger.
pub use generated::shop::inventory::v1 as inventory;
/// `shop.money.v1`: exact amounts.
pub use generated::shop::money::v1 as money;
/// `shop.order.v1`: orders.
pub use generated::shop::order::v1 as order;
/// `shop.outbox.v1`: what waits to be published.
pub use generated::shop::outbox::v1 as outbox;
/// `shop.producer.v1`: publishing of events.
pub use generated::shop::producer::v1 as producer;
/// `shop.trace.v1`: the trace of one item of a batch.
pub use generated::shop::trace::v1 as trace;
/// `shop.user.v1`: accounts and sessions.
pub use generated::shop::user::v1 as user;

/// The encoded `FileDescriptorSet` of every file, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
