use std::{
    fs,
    net::{SocketAddr, TcpListener},
};

use fixtures::Database;
use proto::user::Role;

use crate::support::{PASSWORD, Service, config, eventually};

const EMAIL: &str = "Admin@example.com";

#[tokio::test]
async fn the_first_admin_is_created_once_and_then_left_alone() {
    let database = Database::create().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("admin-password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let file = format!("--admin-password-file={}", file.display());
    let start = async |email: &str| {
        let flags = [&format!("--admin-email={email}"), file.as_str()];
        Service::start(&database, &flags).await
    };

    // Replicas that start together.
    let (service, replica) = futures::join!(start(EMAIL), start("admin@EXAMPLE.com"));
    replica.stop().await;
    let (admin, session) = service.log_in(EMAIL, PASSWORD).await.unwrap();
    assert_eq!(admin.role(), Role::Admin);
    assert_eq!(service.claims(&session).await.role, access_token::Role::Admin);
    let (other, _) = service.register("other@example.com").await;
    service.set_role(&other, Role::Admin).await.unwrap();
    let demoted = service.set_role(&admin, Role::User).await.unwrap();
    service.stop().await;

    fs::write(directory.path().join("admin-password"), "battery staple").unwrap();
    let service = start(EMAIL).await;
    assert_eq!(
        service.get(&admin.id).await.unwrap(),
        demoted,
        "who was demoted stays so"
    );
    service
        .log_in(EMAIL, PASSWORD)
        .await
        .expect("the password stays too");
    service.stop().await;
    let accounts: i64 = sqlx::query_scalar("SELECT count(*) FROM users")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(accounts, 2);
    database.drop().await;
}

#[tokio::test]
async fn a_registered_account_never_becomes_the_first_admin() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, _) = service.register("admin@example.com").await;
    service.stop().await;
    let mut named = config(&database, &["--admin-email=Admin@example.com"]);
    named.admin_password = Some("battery staple".into());
    let service = Service::start_with(named).await;
    assert_eq!(service.get(&user.id).await.unwrap(), user);
    service
        .log_in("admin@example.com", "battery staple")
        .await
        .unwrap_err();
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_database_that_is_busy_at_the_start_is_waited_for() {
    let database = Database::create().await;
    // So that the tables are there.
    Service::start(&database, &[]).await.stop().await;
    let mut busy = database.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *busy)
        .await
        .unwrap();

    let mut named = config(&database, &["--admin-email=Admin@example.com"]);
    named.admin_password = Some(PASSWORD.into());
    let admin = free_address();
    named.service.admin_addr = Some(admin);
    let starting = tokio::spawn(Service::start_with(named));
    let readiness = async || {
        let response = fixtures::get(format!("http://{admin}/readyz")).await.ok()?;
        Some((response.status().as_u16(), response.text().await.unwrap()))
    };
    // The server ends the statement for taking too long, which the start survives.
    eventually(async || {
        assert!(!starting.is_finished(), "it waits");
        readiness()
            .await
            .is_some_and(|(status, body)| status == 503 && body.contains("cannot create the first admin"))
    })
    .await;
    busy.rollback().await.unwrap();
    let service = starting.await.unwrap();
    assert_eq!(readiness().await.map(|(status, _)| status), Some(200));
    let (admin, _) = service.log_in(EMAIL, PASSWORD).await.unwrap();
    assert_eq!(admin.role(), Role::Admin);
    service.stop().await;
    database.drop().await;
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_first_admin_that_makes_no_sense_stops_the_start() {
    let database = Database::create().await;
    let complaint = async |email: Option<&str>, password: Option<&str>| {
        let mut config = config(&database, &[]);
        config.admin_email = email.map(str::to_owned);
        config.admin_password = password.map(Into::into);
        user_service::start(config).await.unwrap_err().to_string()
    };
    for (email, password, variable) in [
        (Some("admin"), Some(PASSWORD), "ADMIN_EMAIL"),
        (None, Some(PASSWORD), "ADMIN_EMAIL"),
        (Some(EMAIL), None, "ADMIN_PASSWORD"),
        (Some(EMAIL), Some("hunter2"), "ADMIN_PASSWORD"),
    ] {
        let complaint = complaint(email, password).await;
        assert!(complaint.starts_with(variable), "{complaint}");
        assert!(!complaint.contains("hunter2"), "{complaint}");
    }
    database.drop().await;
}
