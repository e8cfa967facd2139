//! Tokens, as user-service issues them on a real database.

use std::{path::Path, time::Duration};

use chassis::{
    Running,
    config::{PostgresArgs, ServiceArgs},
};
use clap::Parser as _;
use ed25519_dalek::{
    SigningKey,
    pkcs8::{EncodePrivateKey as _, spki::der::pem::LineEnding},
};
use fixtures::Database;
use serde_json::{Value, json};

use crate::support::{Gateway, is, problem};

async fn user_service(database: &Database, flags: &[&str]) -> Running {
    let args = ["user-service"].iter().chain(flags);
    let mut config = user_service::Config::try_parse_from(args).unwrap();
    config.service = ServiceArgs::loopback();
    config.postgres = PostgresArgs::from_url(database.url());
    user_service::start(config).await.unwrap()
}

async fn gateway(users: &Running) -> Gateway {
    let url = format!("--user-service-url=http://{}", users.addr());
    let gateway = Gateway::start(&[&url, "--rate-limit=off"]).await;
    while gateway.get("/readyz").send().await.unwrap().status() != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gateway
}

async fn token(gateway: &Gateway, email: &str) -> String {
    let account = json!({ "email": email, "password": "correct horse" });
    let answer = gateway
        .post("/auth/register")
        .json(&account)
        .send()
        .await
        .unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["token"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

fn key(seed: u8) -> String {
    let key = SigningKey::from_bytes(&[seed; 32]);
    key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}

#[tokio::test]
async fn a_token_is_good_until_it_expires_and_without_user_service() {
    let database = Database::create().await;
    let users = user_service(&database, &["--access-token-lifetime=1s"]).await;
    let gateway = gateway(&users).await;
    let token = token(&gateway, "ada@example.com").await;
    users.stop().await.unwrap();

    let ask = || async { problem(gateway.get("/orders").bearer_auth(&token).send().await.unwrap()).await };
    assert_eq!(
        ask().await,
        is(503, "peer-unavailable"),
        "the caller is known; order-service is not there"
    );
    let expired = is(401, "invalid-token");
    let mut answers = vec![ask().await];
    while answers.last() != Some(&expired) {
        assert!(answers.len() < 200, "{answers:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        answers.push(ask().await);
    }
    gateway.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_new_key_is_learned_when_its_first_token_comes() {
    let database = Database::create().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |path: &Path, pem: String| std::fs::write(path, pem).unwrap();
    write(file.path(), key(1));
    let flag = format!("--token-signing-keys-file={}", file.path().display());
    let users = user_service(&database, &[&flag]).await;
    let gateway = gateway(&users).await;
    let name = |token: &str| token.split('.').next().unwrap().to_owned();
    let old = token(&gateway, "0@example.com").await;

    write(file.path(), key(2) + &key(1));
    let mut new = old.clone();
    for attempt in 1.. {
        assert!(attempt < 100, "user-service never signs with the new key");
        if name(&new) != name(&old) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        new = token(&gateway, &format!("{attempt}@example.com")).await;
    }
    for token in [&new, &old] {
        let me = gateway.get("/users/me").bearer_auth(token).send().await.unwrap();
        assert_eq!(me.status(), 200);
    }

    // Somebody else's key is not asked for again and again, and opens nothing.
    let header = "eyJhbGciOiJFZERTQSIsImtpZCI6Im5vYm9keSJ9";
    let (_, rest) = new.split_once('.').unwrap();
    for _ in 0..3 {
        let forged = gateway.get("/users/me").bearer_auth(format!("{header}.{rest}"));
        assert_eq!(
            problem(forged.send().await.unwrap()).await,
            is(401, "invalid-token")
        );
    }
    gateway.stop().await;
    users.stop().await.unwrap();
    database.drop().await;
}
