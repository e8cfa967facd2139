//! The shop as its customers see it, over HTTP, and as whoever runs it does, by the spans that it exports. The
//! demonstration (`bin/demo`) and every test that talks to a whole shop are written in these words; nothing here starts a
//! shop, or needs anything that is compiled for tests alone, so that the demonstration comes soon.
//!
//! [`Shop`] is where customers come from, [`Api`] what one of them asks, [`Call`] one request and [`Answer`] what came of
//! it. [`otlp::Receiver`] collects spans, and [`Trace`] asks questions of them. [`demo_data`] fills a shop.

mod answer;
mod call;
mod client;
pub mod demo_data;
mod http;
pub mod otlp;
mod trace;

pub use answer::{Answer, Problem};
pub use call::{Call, Events};
pub use client::{Api, Session, Shop, order_of, unique_email, wait_until};
pub use http::http;
pub use trace::{Kind, Span, Trace};
