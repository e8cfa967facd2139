//! Many calls that share one stream to each replica ([`proto::multiplex`]).
//!
//! A unary call opens a stream of HTTP/2, sends headers, a message and trailers, and has most of its cost there. Calls that
//! come by the thousand share a stream instead, and cost a message each way. Everything else about them is as of a unary
//! call: each goes to the replica whose turn it is, has a deadline, a span and a duration of its own, is answered by
//! itself in a task of its own as soon as it is done, and one that fails, panics or is late touches no other.
//!
//! - [`Multiplexer`] is the caller's side: it keeps a stream to each replica that it calls.
//! - [`serve`] is the server's.
//!
//! **When a server stops** it says so on the stream and goes on answering; the caller closes its side and calls others. Only
//! a server that dies leaves calls without an answer: they are UNAVAILABLE, and whether they were done nobody knows.
//!
//! **A message that can't be decoded** ends the stream and not only its call: gRPC has no other way. So neither side sends
//! one that is larger than the other takes.

mod client;
mod server;

pub use client::Multiplexer;
pub use server::{Answers, serve};
