use fixtures::Database;
use futures::future::join_all;
use tonic::Code;

use crate::support::{PASSWORD, Service, eventually, reason, refused};

fn invalid() -> (Code, String) {
    refused(Code::Unauthenticated, "INVALID_REFRESH_TOKEN")
}

fn reused() -> (Code, String) {
    refused(Code::Unauthenticated, "REFRESH_TOKEN_REUSED")
}

#[tokio::test]
async fn a_spent_token_that_comes_again_ends_its_family_and_no_other() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (_, first) = service.register("ada@example.com").await;
    let (_, other) = service.log_in("ada@example.com", PASSWORD).await.unwrap();
    let second = service.refresh(&first).await.unwrap();
    let third = service.refresh(&second).await.unwrap();

    assert_eq!(reason(service.refresh(&first).await), reused());
    for session in [&first, &second, &third] {
        assert_eq!(reason(service.refresh(session).await), invalid());
    }
    service.refresh(&other).await.unwrap();
    assert_eq!(reason(service.refresh_token("no such token").await), invalid());
    assert_eq!(reason(service.refresh_token("").await), invalid());
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn of_many_refreshes_at_once_all_get_the_same() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (_, session) = service.register("ada@example.com").await;
    let answers = join_all((0..16).map(|_| service.refresh(&session))).await;
    let next: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap().refresh_token)
        .collect();
    assert!(next.iter().all(|token| token == &next[0]), "there is one chain");
    let third = service.refresh_token(&next[0]).await.unwrap();
    assert_eq!(reason(service.refresh(&session).await), reused());
    assert_eq!(reason(service.refresh(&third).await), invalid());
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn logging_out_ends_the_family_and_may_be_repeated() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (_, first) = service.register("ada@example.com").await;
    let (_, other) = service.log_in("ada@example.com", PASSWORD).await.unwrap();
    let second = service.refresh(&first).await.unwrap();
    // The spent one will do: what counts is the family.
    service.log_out(&first.refresh_token).await;
    service.log_out(&first.refresh_token).await;
    service.log_out("no such token").await;
    assert_eq!(reason(service.refresh(&second).await), invalid());
    service.refresh(&other).await.unwrap();
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn logins_refreshes_and_revocations_of_one_user_do_not_deadlock() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, session) = service.register("ada@example.com").await;
    let mut spent = vec![session];
    for _ in 0..3 {
        spent.push(service.log_in("ada@example.com", PASSWORD).await.unwrap().1);
    }
    let fresh = join_all(spent.iter().map(|session| service.refresh(session))).await;
    let refreshing = join_all(fresh.into_iter().map(async |session| {
        let mut session = session.unwrap();
        for _ in 0..20 {
            match service.refresh(&session).await {
                Ok(next) => session = next,
                Err(status) => return assert_eq!(reason::<()>(Err(status)), invalid()),
            }
        }
    }));
    let reusing = join_all(spent[1..].iter().map(async |session| {
        // At first the answer may be given again.
        let refused = loop {
            match service.refresh(session).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(status) => break reason::<()>(Err(status)),
            }
        };
        assert_eq!(refused, reused());
        assert_eq!(reason(service.refresh(session).await), invalid());
    }));
    let changing = async {
        for _ in 0..10 {
            service.set_disabled(&user, false).await.unwrap();
        }
        service.log_out(&spent[0].refresh_token).await;
    };
    let logging_in = async {
        service.log_in("ada@example.com", PASSWORD).await.unwrap();
    };
    futures::join!(refreshing, reusing, changing, logging_in);
    service.set_disabled(&user, true).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM refresh_tokens")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(left, 0);
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn expired_tokens_are_refused_and_removed() {
    let database = Database::create().await;
    let service = Service::start(&database, &["--refresh-token-lifetime=1s"]).await;
    let (_, session) = service.register("ada@example.com").await;
    sqlx::query(
        "UPDATE refresh_tokens SET issued_at = now() - interval '2 s', expires_at = now() - interval '1 s'",
    )
    .execute(database.pool())
    .await
    .unwrap();
    assert_eq!(reason(service.refresh(&session).await), invalid());
    service.stop().await;

    // More than are removed at once, and one that is not to go.
    sqlx::query(
        "INSERT INTO refresh_tokens (token_hash, user_id, family_id, issued_at, expires_at)
         SELECT sha256(n::text::bytea), u.id, gen_random_uuid(), now() - interval '2 d', now() - interval '1 d'
         FROM users u, generate_series(1, 2500) n",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let service = Service::start(&database, &[]).await;
    let (_, valid) = service.log_in("ada@example.com", PASSWORD).await.unwrap();
    eventually(async || {
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM refresh_tokens")
            .fetch_one(database.pool())
            .await
            .unwrap();
        left == 1
    })
    .await;
    service.refresh(&valid).await.unwrap();
    service.stop().await;
    database.drop().await;
}
