//! The whole shop under test: the six real processes on a real PostgreSQL and a real RabbitMQ, spoken to over HTTP as
//! a customer would.
//!
//! [`Stack`] starts a shop of the test's own: its databases, its virtual host, its ports. [`Shop`] and [`Api`] talk to
//! it. [`otlp::Receiver`] collects the spans that it exports, and [`Trace`] asks questions of them. [`Proxy`] stands
//! between the shop and RabbitMQ and can be cut. [`Stack::start_beside`] and [`Stack::retire_older`] put one version of a
//! service in the place of another. Tests that change nothing for each other share one stack:
//! [`suite()`].
//!
//! [`kubernetes`] is the same for a shop in a cluster that the operator runs.
//!
//! ```no_run
//! # async fn test() -> anyhow::Result<()> {
//! use e2e::{Service, Stack};
//!
//! let stack = Stack::builder().start().await?;
//! let customer = stack.shop().customer().await?;
//! stack.kill_9(Service::Consumer)?;
//! customer.get("/orders").await?.is(200)?;
//! stack.stop().await
//! # }
//! ```
//!
//! Failures are errors that name the line of the test, the request and the answer; a stack that is dropped without
//! [`Stack::stop`] belonged to a failed test and prints the end of each service's log.

mod agreement;
mod asyncapi;
mod authenticator;
mod binaries;
mod environment;
pub mod kubernetes;
mod ledger;
mod names;
mod order_trace;
mod process;
mod proxy;
mod rabbitmq;
mod replicas;
mod stack;
mod suite;

pub use agreement::stock_ledger_and_orders_agree;
pub use asyncapi::AsyncApi;
pub use authenticator::Authenticator;
pub use binaries::program;
pub use ledger::Ledger;
pub use order_trace::{its_confirmation_is_part_of_the_trace, one_order_is_one_trace};
pub use process::Service;
pub use proxy::Proxy;
pub use rabbitmq::RabbitMq;
pub use shop_client::{
    Answer, Api, Call, Events, Kind, Problem, Session, Shop, Span, Trace, order_of, otlp, unique_email,
    wait_until,
};
pub use stack::{Builder, Peer, Stack};
pub use suite::{Running, Scenario, suite};
