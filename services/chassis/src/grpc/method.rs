//! The methods there are. Anybody can make up others, and a metric has a series for each value of a label: so only these
//! are written into metrics and names of spans, and [`OTHER`] stands for the rest, as the semantic conventions have it.

use std::{collections::HashSet, sync::LazyLock};

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// A method that is none of ours.
pub(super) const OTHER: &str = "_OTHER";
/// More of a made-up method is not worth its bytes.
const LONGEST_ORIGINAL: usize = 256;

/// By fully qualified name: `shop.order.v1.OrderService/GetOrder`.
static METHODS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let described = [
        proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    ];
    // They are compiled in; a test holds that they can be read.
    let sets = described
        .iter()
        .filter_map(|set| FileDescriptorSet::decode(*set).ok());
    sets.flat_map(|set| set.file)
        .flat_map(|file| methods(&file))
        .collect()
});

fn methods(file: &prost_types::FileDescriptorProto) -> Vec<String> {
    let of_service = |service: &prost_types::ServiceDescriptorProto| {
        let service_name = format!("{}.{}", file.package(), service.name());
        let names = service
            .method
            .iter()
            .map(prost_types::MethodDescriptorProto::name);
        names
            .map(|method| format!("{service_name}/{method}"))
            .collect::<Vec<_>>()
    };
    file.service.iter().flat_map(of_service).collect()
}

/// The method of that path, where there is one.
pub(super) fn known(path: &str) -> Option<&'static str> {
    METHODS.get(path.strip_prefix('/')?).map(String::as_str)
}

/// Whether the method is one of the standard services (health, reflection), which tell of the server itself.
pub(super) fn is_probe(path: &str) -> bool {
    path.starts_with("/grpc.")
}

/// A made-up method as a span may have it.
pub(super) fn original(path: &str) -> &str {
    let name = path.strip_prefix('/').unwrap_or(path);
    &name[..name.floor_char_boundary(LONGEST_ORIGINAL)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_is_known_and_nothing_else() {
        for known_one in [
            "shop.user.v1.UserService/LogIn",
            "shop.inventory.v1.InventoryService/AllocateStock",
            "shop.order.v1.OrderService/CreateOrders",
            "shop.producer.v1.ProducerService/PublishEvents",
            "grpc.health.v1.Health/Check",
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(known(&format!("/{known_one}")), Some(known_one));
        }
        for made_up in [
            "",
            "/",
            "/shop.order.v1.OrderService/",
            "shop.order.v1.OrderService/GetOrder",
            "/a/b",
        ] {
            assert_eq!(known(made_up), None, "{made_up}");
        }
    }

    #[test]
    fn a_made_up_method_is_cut_between_characters() {
        let path = format!("/{}", "é".repeat(1_000));
        assert_eq!(original(&path).len(), LONGEST_ORIGINAL);
        let uneven = format!("/x{}", &path[1..]);
        assert_eq!(original(&uneven).len(), LONGEST_ORIGINAL - 1);
    }
}
