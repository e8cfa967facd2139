//! Guessers are slowed down, however many addresses they have, and nobody else is.

use std::time::Duration;

use chassis::grpc::status::retry_delay;
use fixtures::Database;
use proto::user::User;
use tonic::{Code, Status};

use crate::support::{PASSWORD, Service, reason, refused};

const EMAIL: &str = "ada@example.com";
const WRONG: &str = "wrong horse";

fn too_many() -> (Code, String) {
    refused(Code::ResourceExhausted, "TOO_MANY_FAILED_ATTEMPTS")
}

fn wrong() -> (Code, String) {
    refused(Code::Unauthenticated, "INVALID_CREDENTIALS")
}

impl Service {
    /// Wrong passwords until one is not looked at: how many were, and the refusal.
    async fn guess(&self, email: &str, device: &str) -> (usize, Status) {
        for looked_at in 0..1_000 {
            let address = format!("198.51.100.{}", looked_at % 60);
            let answer = self.log_in_from(&address, device, (email, WRONG)).await;
            let status = answer.expect_err("a wrong password");
            if status.code() != Code::Unauthenticated {
                return (looked_at, status);
            }
        }
        panic!("a thousand guesses and no end");
    }
}

/// The waits that are not over last for long, however slow the machine is.
async fn wait_longer(database: &Database) {
    sqlx::query(
        "UPDATE login_backoffs SET refused_until = now() + interval '5 min' WHERE refused_until > now()",
    )
    .execute(database.pool())
    .await
    .unwrap();
}

/// The waits of an account are over.
async fn let_time_pass(database: &Database) {
    sqlx::query("UPDATE login_backoffs SET refused_until = now() - interval '1 ms'")
        .execute(database.pool())
        .await
        .unwrap();
}

#[tokio::test]
async fn after_ten_wrong_passwords_each_waits_twice_as_long_as_the_one_before() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    service.register(EMAIL).await;
    let (looked_at, status) = service.guess(EMAIL, "").await;
    assert_eq!(looked_at, 10);
    assert_eq!(reason::<()>(Err(status.clone())), too_many());
    let first = retry_delay(&status).expect("it says when to come back");
    assert!(
        first > Duration::ZERO && first <= Duration::from_secs(1),
        "{first:?}"
    );
    wait_longer(&database).await;
    // Right or wrong, it is not looked at.
    let owner = service.log_in_from("203.0.113.1", "", (EMAIL, PASSWORD)).await;
    assert_eq!(reason(owner), too_many());
    let mut longest = 1.0;
    for _ in 0..12 {
        let_time_pass(&database).await;
        let (looked_at, status) = service.guess(EMAIL, "").await;
        assert_eq!(looked_at, 1);
        let wait = retry_delay(&status).unwrap().as_secs_f64();
        let expected = f64::min(longest * 2.0, 900.0);
        assert!(wait <= expected && wait > expected - 2.0, "{wait} of {expected}");
        longest = expected;
    }
    assert!((longest - 900.0).abs() < f64::EPSILON, "a quarter of an hour");

    // Another replica agrees, and so does this one after a restart.
    let neighbour = Service::start(&database, &[]).await;
    assert_eq!(neighbour.guess(EMAIL, "").await.0, 0);
    // What is right, once it is looked at, ends it.
    let_time_pass(&database).await;
    neighbour.log_in(EMAIL, PASSWORD).await.unwrap();
    assert_eq!(service.guess(EMAIL, "").await.0, 10);
    wait_longer(&database).await;
    // An email is the same however it is written, and another is another.
    let again = service.log_in(" ADA@example.com ", PASSWORD).await;
    assert_eq!(reason(again), too_many());
    let other = service.log_in("bob@example.com", PASSWORD).await;
    assert_eq!(reason(other), wrong());
    neighbour.stop().await;
    service.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_as_many_as_one_after_the_other() {
    let database = Database::create().await;
    let service = Service::start(&database, &["--password-hashing-threads=4"]).await;
    service.register(EMAIL).await;
    let mut looked_at = 0;
    for _ in 0..4 {
        let guesses = (0..50).map(|_| service.log_in(EMAIL, WRONG));
        let answers = futures::future::join_all(guesses).await;
        let answers = answers.into_iter().map(reason);
        looked_at += answers.filter(|reason| *reason == wrong()).count();
    }
    assert!(looked_at <= 12, "{looked_at} were looked at");
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_device_that_logged_in_before_is_let_through_and_has_attempts_of_its_own() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    service.register(EMAIL).await;
    let device = service
        .log_in_from("203.0.113.1", "", (EMAIL, PASSWORD))
        .await
        .unwrap();
    let bobs = {
        service.register("bob@example.com").await;
        let credentials = ("bob@example.com", PASSWORD);
        service
            .log_in_from("198.51.100.1", "", credentials)
            .await
            .unwrap()
    };
    service.guess(EMAIL, "").await;
    wait_longer(&database).await;
    for _ in 0..3 {
        // From whatever address, as often as it is right, and each time under the same token.
        let same = service
            .log_in_from("203.0.113.99", &device, (EMAIL, PASSWORD))
            .await;
        assert_eq!(same.unwrap(), device);
    }
    for stranger in ["", "x", &"x".repeat(43), &bobs] {
        let answer = service
            .log_in_from("203.0.113.1", stranger, (EMAIL, PASSWORD))
            .await;
        assert_eq!(reason(answer), too_many(), "{stranger:?}");
    }
    // Whoever has stolen the device guesses no faster, and neither is held against the other.
    assert_eq!(service.guess(EMAIL, &device).await.0, 10);
    let second = {
        let_time_pass(&database).await;
        service
            .log_in_from("203.0.113.1", "", (EMAIL, PASSWORD))
            .await
            .unwrap()
    };
    assert_ne!(second, device);
    assert_eq!(service.guess(EMAIL, "").await.0, 10);
    let answer = service
        .log_in_from("203.0.113.1", &second, (EMAIL, PASSWORD))
        .await;
    answer.expect("another device of the same account");
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn who_has_an_account_is_not_told() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    service.register(EMAIL).await;
    for email in [EMAIL, "nobody@example.com", "no address", ""] {
        let (looked_at, status) = service.guess(email, "").await;
        assert_eq!(looked_at, 10, "{email:?}");
        assert_eq!(
            status.message(),
            "too many attempts have failed; wait before the next"
        );
        assert_eq!(reason::<()>(Err(status)), too_many(), "{email:?}");
    }
    let stored: Vec<Vec<u8>> = sqlx::query_scalar("SELECT lane FROM login_backoffs")
        .fetch_all(database.pool())
        .await
        .unwrap();
    assert_eq!(stored.len(), 4, "all four are counted in the same way");
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn the_current_password_can_be_guessed_no_faster_and_nobody_is_locked_out_by_it() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, _) = service.register(EMAIL).await;
    let change = async |user: &User, current: &str| {
        service
            .change(user, None, Some("battery staple"), Some(current))
            .await
    };
    for _ in 0..10 {
        assert_eq!(
            reason(change(&user, WRONG).await),
            refused(Code::Unauthenticated, "WRONG_PASSWORD")
        );
    }
    wait_longer(&database).await;
    assert_eq!(reason(change(&user, PASSWORD).await), too_many());
    service
        .log_in(EMAIL, PASSWORD)
        .await
        .expect("a stolen token locks nobody out");
    // And strangers keep nobody who is logged in from changing his password.
    let_time_pass(&database).await;
    service.guess(EMAIL, "").await;
    change(&user, PASSWORD).await.unwrap();
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_new_password_forgets_every_device_but_the_one_that_it_came_from() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, _) = service.register(EMAIL).await;
    let log_in = async |device: &str, password: &str| {
        service
            .log_in_from("203.0.113.1", device, (EMAIL, password))
            .await
    };
    let (kept, thiefs) = (
        log_in("", PASSWORD).await.unwrap(),
        log_in("", PASSWORD).await.unwrap(),
    );
    let request = proto::user::UpdateProfileRequest {
        user_id: user.id.clone(),
        new_password: Some("battery staple".to_owned()),
        current_password: Some(PASSWORD.to_owned()),
        device_token: kept.clone(),
        ..Default::default()
    };
    service.client.clone().update_profile(request).await.unwrap();
    service.guess(EMAIL, "").await;
    wait_longer(&database).await;
    assert_eq!(reason(log_in(&thiefs, "battery staple").await), too_many());
    assert_eq!(log_in(&kept, "battery staple").await.unwrap(), kept);
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn an_account_has_so_many_devices_and_what_is_not_wrong_is_not_held_against_it() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, _) = service.register(EMAIL).await;
    for _ in 0..25 {
        service.log_in(EMAIL, PASSWORD).await.unwrap();
    }
    let devices: i64 = sqlx::query_scalar("SELECT count(*) FROM known_devices")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(devices, 20);
    service.set_disabled(&user, true).await.unwrap();
    for _ in 0..15 {
        let answer = service.log_in(EMAIL, PASSWORD).await;
        assert_eq!(
            reason(answer),
            refused(Code::PermissionDenied, "ACCOUNT_DISABLED")
        );
    }
    service.stop().await;
    database.drop().await;
}
