//! What becomes of a session whose user gives up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chassis::{grpc::status::reason, postgres::status};
use fixtures::Database;
use futures::StreamExt as _;
use tokio::time::{Instant, timeout};
use tonic::Code;

use crate::Shop;

/// Far less than the statement that was given up.
const AT_ONCE: Duration = Duration::from_secs(2);

async fn answers(shop: &Shop) -> Duration {
    let begin = Instant::now();
    sqlx::query("SELECT 1").execute(&shop.database).await.unwrap();
    begin.elapsed()
}

#[tokio::test]
async fn a_statement_that_is_given_up_takes_its_session_with_it() {
    let database = Database::create().await;
    let shop = Shop::start(database.url(), 1).await;
    let given_up = sqlx::query("SELECT pg_sleep(4)").execute(&shop.database);
    timeout(Duration::from_millis(200), given_up).await.unwrap_err();
    let waited = answers(&shop).await;
    assert!(waited < AT_ONCE, "{waited:?}");

    let mut rows =
        sqlx::query("SELECT pg_sleep(0.1 * n) FROM generate_series(0, 40) n").fetch(&shop.database);
    rows.next().await.unwrap().unwrap();
    drop(rows);
    let waited = answers(&shop).await;
    assert!(waited < AT_ONCE, "{waited:?}");
    database.drop().await;
}

#[tokio::test]
async fn a_transaction_that_is_given_up_is_rolled_back() {
    let database = Database::create().await;
    let shop = Shop::start(database.url(), 1).await;
    sqlx::query("CREATE TABLE notes (note text)")
        .execute(&shop.database)
        .await
        .unwrap();
    let committed = Arc::new(AtomicBool::new(false));
    for half_way in [false, true] {
        let told = Arc::clone(&committed);
        let mut transaction = shop.database.begin().await.unwrap();
        transaction.on_commit(move || told.store(true, Ordering::SeqCst));
        sqlx::query("INSERT INTO notes VALUES ('lost')")
            .execute(&mut transaction)
            .await
            .unwrap();
        if half_way {
            let given_up = sqlx::query("SELECT pg_sleep(4)").execute(&mut transaction);
            timeout(Duration::from_millis(200), given_up).await.unwrap_err();
            transaction.commit().await.unwrap_err();
        } else {
            drop(transaction);
        }
        let waited = answers(&shop).await;
        assert!(waited < AT_ONCE, "{waited:?}");
    }
    let notes: i64 = sqlx::query_scalar("SELECT count(*) FROM notes")
        .fetch_one(&shop.database)
        .await
        .unwrap();
    assert_eq!((notes, committed.load(Ordering::SeqCst)), (0, false));
    database.drop().await;
}

#[tokio::test]
async fn a_transaction_tells_of_its_commit_and_only_of_that() {
    let database = Database::create().await;
    let shop = Shop::start(database.url(), 1).await;
    let committed = Arc::new(AtomicBool::new(false));
    for fails in [true, false] {
        let told = Arc::clone(&committed);
        let mut transaction = shop.database.begin().await.unwrap();
        transaction.on_commit(move || told.store(true, Ordering::SeqCst));
        if fails {
            sqlx::query("SELECT 1 / 0")
                .execute(&mut transaction)
                .await
                .unwrap_err();
            // The server answers COMMIT by rolling back, and calls that a success.
            transaction.commit().await.unwrap_err();
        } else {
            transaction.commit().await.unwrap();
        }
        assert_eq!(committed.load(Ordering::SeqCst), !fails);
    }
    database.drop().await;
}

#[tokio::test]
async fn a_busy_pool_refuses_and_is_ready_all_the_same() {
    let database = Database::create().await;
    let shop = Shop::start(database.url(), 1).await;
    let held = shop.database.begin().await.unwrap();
    let begin = Instant::now();
    let refused = status(shop.database.begin().await.unwrap_err());
    let waited = begin.elapsed();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert_eq!(reason(&refused).as_deref(), Some("DATABASE_BUSY"));
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    let (ready, body) = shop.ready().await;
    assert_eq!(ready, 200, "{body}");
    drop(held);
    answers(&shop).await;
    database.drop().await;
}

/// A lock that nobody gives back: the wait for it ends, at the server or here.
#[tokio::test]
async fn a_statement_that_takes_too_long_is_unavailable() {
    let database = Database::create().await;
    let shop = Shop::start(database.url(), 1).await;
    let begin = Instant::now();
    let error = sqlx::query("SELECT pg_sleep(30)")
        .execute(&shop.database)
        .await
        .unwrap_err();
    let waited = begin.elapsed();
    assert_eq!(status(error).code(), Code::Unavailable);
    assert!(waited < Duration::from_secs(7), "{waited:?}");
    database.drop().await;
}
