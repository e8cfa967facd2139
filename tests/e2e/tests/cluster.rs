//! The operator in a cluster, used as its users use it: helm installs it, kubectl applies Shops, and the shop's API is
//! reached through its gateway's Service. It needs a cluster with the images loaded: `tests/run cluster` brings one.
//!
//! The tests tell one story, in order, on one Shop, since a Shop takes a while to start: each begins where the one before
//! ended, and after one that failed the rest is not run.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod story;

use std::process::ExitCode;

fn main() -> ExitCode {
    story::tell(vec![
        ("helm_installs_the_operator", |world| {
            Box::pin(story::install::operator(world))
        }),
        ("an_empty_spec_becomes_a_shop_that_is_ready", |world| {
            Box::pin(story::install::shop(world))
        }),
        ("an_order_flows_through_its_gateway", |world| {
            Box::pin(story::install::order(world))
        }),
        ("one_order_is_one_trace_through_all_pods", |world| {
            Box::pin(story::telemetry::trace(world))
        }),
        ("a_settled_shop_causes_no_write", |world| {
            Box::pin(story::settled::no_write(world))
        }),
        ("what_is_deleted_or_edited_in_kubernetes_is_repaired", |world| {
            Box::pin(story::drift::in_kubernetes(world))
        }),
        ("what_is_deleted_in_the_back_ends_is_repaired", |world| {
            Box::pin(story::drift::in_back_ends(world))
        }),
        ("kubectl_scale_scales_the_gateway", |world| {
            Box::pin(story::change::scale(world))
        }),
        (
            "a_version_that_is_not_there_stops_at_the_first_service",
            |world| Box::pin(story::change::missing_version(world)),
        ),
        ("a_new_version_rolls_through_without_a_failed_request", |world| {
            Box::pin(story::change::version(world))
        }),
        ("credentials_are_replaced_without_a_failed_request", |world| {
            Box::pin(story::change::credentials(world))
        }),
        (
            "the_services_answer_who_has_a_certificate_and_nobody_else",
            |world| Box::pin(story::certificates::mutual(world)),
        ),
        ("certificates_are_renewed_without_a_failed_request", |world| {
            Box::pin(story::certificates::renewal(world))
        }),
        ("a_paused_shop_is_left_alone", |world| {
            Box::pin(story::change::pause(world))
        }),
        ("one_bad_shop_stops_no_other", |world| {
            Box::pin(story::neighbours::bad(world))
        }),
        ("without_a_storage_class_a_shop_says_what_that_means", |world| {
            Box::pin(story::storage::without_a_class(world))
        }),
        ("two_shops_on_one_server_have_nothing_of_each_other", |world| {
            Box::pin(story::neighbours::external(world))
        }),
        ("a_shop_works_on_clusters_of_other_operators", |world| {
            Box::pin(story::clusters::of_other_operators(world))
        }),
        ("another_operator_takes_over_when_the_leader_is_killed", |world| {
            Box::pin(story::process::leader(world))
        }),
        ("an_operator_that_is_killed_again_and_again_gets_there", |world| {
            Box::pin(story::process::killed(world))
        }),
        ("a_deleted_shop_leaves_its_data_and_finds_it_again", |world| {
            Box::pin(story::deletion::retain(world))
        }),
        ("a_shop_is_a_helm_release_too", |world| {
            Box::pin(story::deletion::release(world))
        }),
        ("uninstalling_the_operator_leaves_the_definition", |world| {
            Box::pin(story::deletion::operator(world))
        }),
    ])
}
