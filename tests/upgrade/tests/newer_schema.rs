//! Today's version on the schema of the next one: the next one has migrated while this one runs, or this one is rolled
//! back to afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::large_futures, missing_docs)]

use std::time::Duration;

use upgrade::{Exceptions, Load, Rollout, Version, migrate_as_the_next_version};

const A_WHILE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn the_next_version_migrates_under_todays_and_todays_starts_on_its_schema() -> anyhow::Result<()> {
    let rollout = Rollout::prepare().await?;
    let stack = rollout.shop_of_today().await?;
    // Nothing is forgiven: this is our own version.
    let none = Exceptions::default();
    let load = Load::prepare(&stack, &none).await?;
    load.during(async {
        tokio::time::sleep(A_WHILE).await;
        // A gateway that has just started may take a second to find everybody's name.
        load.count_anew();
        load.step("the next version migrates");
        let tables = migrate_as_the_next_version(&stack).await?;
        anyhow::ensure!(tables > 5, "there are more tables than {tables}");
        load.step("today's version runs on the next one's schema");
        tokio::time::sleep(A_WHILE).await;
        // Every process is the one that it was.
        load.check()?;
        load.nearly_all_answered_at_once()?;
        rollout.at_once(Version::Today, &stack, &load).await
    })
    .await?;
    stack.stop().await
}
