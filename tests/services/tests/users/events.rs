//! Every change of an account is committed with its event, and none without one. producer-service is not there: what is
//! written stays.

use fixtures::Database;
use proto::user::{Role, UpdateProfileRequest};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{PASSWORD, Service};

async fn events(database: &Database) -> Vec<(String, Value)> {
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT type, data FROM outbox_events ORDER BY seq")
        .fetch_all(database.pool())
        .await
        .unwrap();
    let rows = rows.into_iter();
    rows.map(|(kind, data)| (kind, serde_json::from_str(&data).unwrap()))
        .collect()
}

#[tokio::test]
async fn every_change_of_an_account_is_an_event_without_anything_personal_and_what_was_refused_is_none() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, _) = service.register("ada@example.com").await;
    assert_eq!(
        service
            .try_register("ADA@example.com", PASSWORD)
            .await
            .unwrap_err()
            .code(),
        Code::AlreadyExists
    );
    service.set_role(&user, Role::Admin).await.unwrap();
    service
        .set_role(&user, Role::User)
        .await
        .expect_err("she is the last admin");
    let change = |name: Option<&str>, current: &str| UpdateProfileRequest {
        user_id: user.id.clone(),
        name: name.map(str::to_owned),
        new_password: Some("battery staple".to_owned()),
        current_password: Some(current.to_owned()),
        ..UpdateProfileRequest::default()
    };
    let mut client = service.client.clone();
    client
        .update_profile(change(Some("Ada"), PASSWORD))
        .await
        .unwrap();
    client
        .update_profile(change(None, "a wrong one"))
        .await
        .unwrap_err();
    let rename = UpdateProfileRequest {
        new_password: None,
        current_password: None,
        ..change(Some("Countess"), "")
    };
    client.update_profile(rename).await.unwrap();
    let (other, _) = service.register("bob@example.com").await;
    service.set_disabled(&other, true).await.unwrap();

    let state = |kind: &str, id: &str, role: &str, disabled: bool| {
        (
            kind.to_owned(),
            json!({ "user_id": id, "role": role, "disabled": disabled }),
        )
    };
    let expected = [
        state("user.registered", &user.id, "user", false),
        state("user.updated", &user.id, "admin", false),
        ("user.password_changed".to_owned(), json!({ "user_id": user.id })),
        state("user.updated", &user.id, "admin", false),
        state("user.updated", &user.id, "admin", false),
        state("user.registered", &other.id, "user", false),
        state("user.updated", &other.id, "user", true),
    ];
    assert_eq!(events(&database).await, expected);
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn the_first_admin_is_an_event_too_once() {
    let database = Database::create().await;
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let password = format!("--admin-password-file={}", password.display());
    for _ in 0..2 {
        let service = Service::start(&database, &["--admin-email=root@example.com", &password]).await;
        service.stop().await;
    }
    let found = events(&database).await;
    let kinds: Vec<_> = found
        .iter()
        .map(|(kind, data)| (kind.as_str(), &data["role"]))
        .collect();
    assert_eq!(kinds, [("user.registered", &json!("admin"))]);
    database.drop().await;
}
