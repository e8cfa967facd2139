use std::fs;

use ed25519_dalek::{
    SigningKey,
    pkcs8::{EncodePrivateKey as _, spki::der::pem::LineEnding},
};
use fixtures::Database;
use sqlx::PgPool;

use crate::support::{PASSWORD, Service, config, eventually, key_id};

fn pem(seed: u8) -> String {
    let key = SigningKey::from_bytes(&[seed; 32]);
    key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}

async fn age_keys(pool: &PgPool, by: &str) {
    sqlx::query("UPDATE signing_keys SET created_at = created_at - $1::interval")
        .bind(by)
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn keys_of_its_own_are_shared_and_outlive_a_restart() {
    let database = Database::create().await;
    let (service, replica) = futures::join!(Service::start(&database, &[]), Service::start(&database, &[]));
    let (user, session) = service.register("ada@example.com").await;
    assert_eq!(
        replica.claims(&session).await.sub.to_string(),
        user.id,
        "any replica has the key"
    );
    let keys = service.keys().await;
    assert_eq!((keys.len(), replica.keys().await), (1, keys.clone()));
    service.stop().await;
    replica.stop().await;

    let service = Service::start(&database, &[]).await;
    assert_eq!(service.keys().await, keys);
    assert_eq!(service.claims(&session).await.sub.to_string(), user.id);
    service.refresh(&session).await.unwrap();
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn keys_of_its_own_are_published_then_sign_then_go() {
    let database = Database::create().await;
    let flags = ["--token-signing-key-lifetime=30d", "--access-token-lifetime=15m"];
    let restart = async || Service::start(&database, &flags).await;
    let service = restart().await;
    let (_, session) = service.register("ada@example.com").await;
    let first = key_id(&session);
    service.stop().await;

    age_keys(database.pool(), "31 days").await;
    let service = restart().await;
    let (_, session) = service.log_in("ada@example.com", PASSWORD).await.unwrap();
    let keys = service.keys().await;
    assert_eq!(
        (keys.len(), key_id(&session)),
        (2, first.clone()),
        "published before it signs"
    );
    service.stop().await;

    age_keys(database.pool(), "5 minutes").await;
    let service = restart().await;
    let (_, session) = service.log_in("ada@example.com", PASSWORD).await.unwrap();
    let second = key_id(&session);
    assert_ne!(second, first);
    assert_eq!(
        service.keys().await.len(),
        2,
        "what the old one has signed is still valid"
    );
    service.stop().await;

    age_keys(database.pool(), "15 minutes").await;
    let service = restart().await;
    let keys: Vec<_> = service.keys().await.into_iter().map(|key| key.key_id).collect();
    assert_eq!(keys, [second]);
    service.claims(&session).await;
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn keys_of_a_file_are_followed() {
    let database = Database::create().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.pem");
    fs::write(&path, pem(1)).unwrap();
    let flag = format!("--token-signing-keys-file={}", path.display());
    let service = Service::start(&database, &[&flag]).await;
    let (_, before) = service.register("ada@example.com").await;

    // Half a file is no reason to stop.
    fs::write(&path, &pem(2)[..60]).unwrap();
    fs::write(&path, pem(2) + &pem(1)).unwrap();
    eventually(async || service.keys().await.len() == 2).await;
    let after = service.refresh(&before).await.unwrap();
    assert_ne!(key_id(&after), key_id(&before));
    service.claims(&after).await;
    service.claims(&before).await;

    let made: i64 = sqlx::query_scalar("SELECT count(*) FROM signing_keys")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(made, 0, "no key is in the database that need not be");
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_file_without_keys_stops_the_start() {
    let database = Database::create().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.pem");
    let complaint = async || {
        let flag = format!("--token-signing-keys-file={}", path.display());
        let outcome = user_service::start(config(&database, &[&flag])).await;
        outcome.unwrap_err().to_string()
    };
    let missing = complaint().await;
    assert!(missing.starts_with("TOKEN_SIGNING_KEYS_FILE"), "{missing}");
    fs::write(&path, "no key").unwrap();
    let empty = complaint().await;
    assert!(empty.starts_with("TOKEN_SIGNING_KEYS_FILE"), "{empty}");
    database.drop().await;
}
