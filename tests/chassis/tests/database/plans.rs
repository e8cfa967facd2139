//! What a session remembers of a table that was empty when it first looked.

use std::time::{Duration, Instant};

use crate::Shop;

#[tokio::test]
async fn a_plan_made_on_an_empty_table_uses_the_index_when_it_is_full() {
    let fixture = fixtures::Database::create().await;
    let shop = Shop::start(fixture.url(), 1).await;
    sqlx::query("CREATE TABLE growing (id bigint PRIMARY KEY) WITH (autovacuum_enabled = off)")
        .execute(&shop.database)
        .await
        .unwrap();
    let look_up = async || {
        sqlx::query_scalar::<_, i64>("SELECT id FROM growing WHERE id = ANY($1)")
            .bind((0_i64..40).collect::<Vec<_>>())
            .fetch_all(&shop.database)
            .await
            .unwrap()
            .len()
    };
    // The sixth is the first with the plan that is kept.
    for _ in 0..10 {
        assert_eq!(look_up().await, 0);
    }
    sqlx::query("INSERT INTO growing SELECT generate_series(1, 20000)")
        .execute(&shop.database)
        .await
        .unwrap();
    for _ in 0..10 {
        assert_eq!(look_up().await, 39);
    }
    let (mut whole, mut by_index) = (0, 0);
    let began = Instant::now();
    // A session tells what it did once a second.
    while by_index == 0 && began.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        (whole, by_index) = sqlx::query_as::<_, (i64, i64)>(
            "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'growing'",
        )
        .fetch_one(&shop.database)
        .await
        .unwrap();
    }
    // Once for the index to be made.
    assert_eq!(whole, 1, "read as a whole; by the index {by_index}");
    assert!(by_index > 0);
    shop.running.stop().await.unwrap();
    fixture.drop().await;
}
