//! The examples in Rust of `docs/openapi.json`, as it is kept: each is a module, and a build that passes has compiled all of
//! them. Nothing calls them; that the requests are right is tried with those for a shell, which are made from the same
//! description (`tests/browser/examples.test.mjs`).

#[allow(dead_code, missing_docs, clippy::all, clippy::pedantic)]
mod all {
    include!(concat!(env!("OUT_DIR"), "/examples.rs"));
}
