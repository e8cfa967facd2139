//! Compiles the `.proto` files with protox, so that no `protoc` is needed on the machine.

use std::{env, error::Error, path::PathBuf};

const FILES: [&str; 7] = [
    "shop/audit/v1/audit.proto",
    "shop/user/v1/user.proto",
    "shop/inventory/v1/inventory.proto",
    "shop/order/v1/order.proto",
    "shop/producer/v1/producer.proto",
    "shop/consumer/v1/consumer.proto",
    "shop/outbox/v1/outbox.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from("proto");
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost_encode(&descriptors))?;
    tonic_prost_build::configure()
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(descriptors)?;
    Ok(())
}

fn prost_encode(message: &impl prost::Message) -> Vec<u8> {
    message.encode_to_vec()
}
