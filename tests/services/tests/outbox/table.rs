//! The table stays small, and is read by its index.

use chassis::grpc::ClientChannel;
use outbox::RelayArgs;

use crate::support::{emitter, eventually};

#[tokio::test]
async fn a_held_snapshot_does_not_keep_the_table_large() {
    let fixture = fixtures::Database::create().await;
    let (service, database) = emitter(&fixture).await;
    let mut held = fixture.pool().begin().await.unwrap();
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .execute(&mut *held)
        .await
        .unwrap();
    sqlx::query("SELECT 1 FROM pg_class LIMIT 1")
        .execute(&mut *held)
        .await
        .unwrap();
    // The partition whose time is over is another one after every second minute: not while we look.
    sqlx::query(
        "SELECT pg_sleep(CASE WHEN seconds > 40 THEN 0 ELSE seconds + 1 END)
         FROM (SELECT 120 - extract(epoch FROM clock_timestamp())::bigint % 120 AS seconds) AS turn",
    )
    .execute(fixture.pool())
    .await
    .unwrap();
    // Published long ago: written into the partition whose time is over, and deleted. No vacuum may remove it.
    sqlx::query(
        "INSERT INTO outbox_events (slot, event_id, subject, type, data, traceparent, tracestate, occurred_at)
         SELECT ((extract(epoch FROM now())::bigint / 120 + 1) % 3)::smallint, gen_random_uuid(), gen_random_uuid(),
                'order.created', repeat('x', 200), '', '', now()
         FROM generate_series(1, 20000)",
    )
    .execute(fixture.pool())
    .await
    .unwrap();
    sqlx::query("DELETE FROM outbox_events")
        .execute(fixture.pool())
        .await
        .unwrap();
    sqlx::query("VACUUM outbox_events")
        .execute(fixture.pool())
        .await
        .unwrap();
    let size = async || {
        let query = "SELECT sum(pg_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'outbox_events'::regclass";
        sqlx::query_scalar::<_, i64>(query)
            .fetch_one(fixture.pool())
            .await
            .unwrap()
    };
    assert!(size().await > 1_000_000, "the snapshot keeps the rows");
    let channel =
        ClientChannel::new("producer-service", "http://127.0.0.1:1".parse().unwrap(), None).unwrap();
    let _outbox = outbox::start(&service, database, channel, "/emitter", &RelayArgs::default());
    let running = service.serve_admin_only();
    eventually("the partition is truncated", async || size().await == 0).await;
    held.rollback().await.unwrap();
    running.stop().await.unwrap();
    fixture.drop().await;
}

#[tokio::test]
async fn a_large_backlog_is_read_by_its_index() {
    let fixture = fixtures::Database::create().await;
    let (service, _database) = emitter(&fixture).await;
    sqlx::query(
        "INSERT INTO outbox_events (slot, event_id, subject, type, data, traceparent, tracestate, occurred_at)
         SELECT n % 3, gen_random_uuid(), gen_random_uuid(), 'order.created', '{}', '', '', now()
         FROM generate_series(1, 200000) AS n",
    )
    .execute(fixture.pool())
    .await
    .unwrap();
    for analyzed in [false, true] {
        if analyzed {
            sqlx::query("ANALYZE outbox_events")
                .execute(fixture.pool())
                .await
                .unwrap();
        }
        let explain = format!("EXPLAIN {}", outbox::SWEEP.replace("$1", "500"));
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
            .fetch_all(fixture.pool())
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("Index Scan using outbox_events_0_pkey"), "{plan}");
        assert!(!plan.contains("Sort  ") && !plan.contains("Seq Scan"), "{plan}");
    }
    service.serve_admin_only().stop().await.unwrap();
    fixture.drop().await;
}
