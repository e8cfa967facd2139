//! The version before and today's run side by side on the same databases, broker and peers, and take each other's place in
//! any order, while customers order. No request is lost, and no order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::large_futures, missing_docs)]

use upgrade::{CALLED_FIRST, CALLERS_FIRST, Load, Rollout, Version};

#[tokio::test(flavor = "multi_thread")]
async fn services_are_rolled_before_their_callers_and_rolled_back_after_them() -> anyhow::Result<()> {
    let rollout = Rollout::prepare().await?;
    let stack = rollout.shop_of_the_previous_version().await?;
    let load = Load::prepare(&stack, &rollout.previous.exceptions).await?;
    load.during(async {
        rollout
            .one_by_one(Version::Today, &CALLED_FIRST, &stack, &load)
            .await?;
        rollout
            .one_by_one(Version::Previous, &CALLERS_FIRST, &stack, &load)
            .await
    })
    .await?;
    rollout.previous.exceptions.are_needed()?;
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_rolled_after_their_callers_and_rolled_back_before_them() -> anyhow::Result<()> {
    let rollout = Rollout::prepare().await?;
    let stack = rollout.shop_of_the_previous_version().await?;
    let load = Load::prepare(&stack, &rollout.previous.exceptions).await?;
    load.during(async {
        rollout
            .one_by_one(Version::Today, &CALLERS_FIRST, &stack, &load)
            .await?;
        rollout
            .one_by_one(Version::Previous, &CALLED_FIRST, &stack, &load)
            .await
    })
    .await?;
    rollout.previous.exceptions.are_needed()?;
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_all_services_work_with_each_other() -> anyhow::Result<()> {
    let rollout = Rollout::prepare().await?;
    let stack = rollout.shop_of_the_previous_version().await?;
    let load = Load::prepare(&stack, &rollout.previous.exceptions).await?;
    load.during(async {
        rollout.at_once(Version::Today, &stack, &load).await?;
        rollout.at_once(Version::Previous, &stack, &load).await?;
        // And for good.
        rollout.at_once(Version::Today, &stack, &load).await
    })
    .await?;
    load.no_event_is_left().await?;
    rollout.previous.exceptions.are_needed()?;
    stack.stop().await
}
