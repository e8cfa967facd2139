//! What a statement costs by way of the pool, beside sqlx's own pool.

use std::{future::Future, time::Instant};

use fixtures::Database;
use sqlx::postgres::PgPoolOptions;

use crate::Shop;

const STATEMENTS: u32 = 4000;

/// So many statements a second, asked by so many tasks.
async fn measure<F, Fut>(tasks: u32, ask: F) -> f64
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let begin = Instant::now();
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..tasks {
        let ask = ask.clone();
        working.spawn(async move {
            for _ in 0..STATEMENTS / tasks {
                ask().await;
            }
        });
    }
    while let Some(done) = working.join_next().await {
        done.unwrap();
    }
    f64::from(STATEMENTS) / begin.elapsed().as_secs_f64()
}

/// The old pool asked the server once more at each return of a connection. The bound is loose: other tests run beside
/// this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_costs_no_more_than_one_round_trip() {
    let database = Database::create().await;
    for tasks in [1, 8] {
        let shop = Shop::start(database.url(), tasks).await;
        let pool = PgPoolOptions::new()
            .max_connections(tasks)
            .test_before_acquire(false)
            .connect(database.url())
            .await
            .unwrap();
        let ours = || {
            let database = shop.database.clone();
            move || {
                let database = database.clone();
                async move {
                    sqlx::query("SELECT 1")
                        .execute(&database)
                        .await
                        .map(drop)
                        .unwrap();
                }
            }
        };
        let theirs = || {
            let pool = pool.clone();
            move || {
                let pool = pool.clone();
                async move { sqlx::query("SELECT 1").execute(&pool).await.map(drop).unwrap() }
            }
        };
        // Each once to warm up, and then the better of two, in turns.
        let (mut with, mut without) = (0.0_f64, 0.0_f64);
        for round in 0..3 {
            let (now_with, now_without) = (measure(tasks, ours()).await, measure(tasks, theirs()).await);
            if round > 0 {
                with = with.max(now_with);
                without = without.max(now_without);
            }
        }
        println!(
            "{tasks} sessions, {tasks} tasks: {with:.0} statements a second by Database, {without:.0} by sqlx's pool"
        );
        assert!(with > 0.7 * without, "{with} is less than {without}");
        pool.close().await;
    }
    database.drop().await;
}
