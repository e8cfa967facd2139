use fixtures::Database;
use proto::user::Role;
use tonic::Code;

use crate::support::{PASSWORD, Service, reason, refused};

#[tokio::test]
async fn logging_in_takes_the_email_in_any_case_and_the_password_in_one() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, first) = service.register("Ada@example.com").await;
    let (same, second) = service.log_in(" ada@EXAMPLE.com ", PASSWORD).await.unwrap();
    assert_eq!(same, user);
    assert_eq!(service.claims(&second).await.sub.to_string(), user.id);
    service.refresh(&first).await.unwrap();
    service
        .refresh(&second)
        .await
        .expect("sessions stand beside each other");
    let wrong = service.log_in("ada@example.com", "Correct horse").await;
    assert_eq!(
        reason(wrong),
        refused(Code::Unauthenticated, "INVALID_CREDENTIALS")
    );
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn all_wrong_credentials_are_the_same_refusal() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    service.register("ada@example.com").await;
    let too_long = "x".repeat(200);
    let attempts = [
        ("ada@example.com", "wrong horse"),
        ("bob@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", PASSWORD),
        ("ada@example.com", ""),
        ("ada@example.com", &too_long),
    ];
    for (email, password) in attempts {
        let status = service.log_in(email, password).await.unwrap_err();
        assert_eq!(
            status.message(),
            "the email or the password is wrong",
            "{email:?}"
        );
        assert_eq!(
            reason::<()>(Err(status)),
            refused(Code::Unauthenticated, "INVALID_CREDENTIALS")
        );
    }
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_disabled_account_learns_so_with_its_password_only() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, session) = service.register("ada@example.com").await;
    assert!(service.set_disabled(&user, true).await.unwrap().disabled);

    let right = service.log_in("ada@example.com", PASSWORD).await;
    assert_eq!(reason(right), refused(Code::PermissionDenied, "ACCOUNT_DISABLED"));
    let wrong = service.log_in("ada@example.com", "wrong horse").await;
    assert_eq!(
        reason(wrong),
        refused(Code::Unauthenticated, "INVALID_CREDENTIALS")
    );
    let refreshed = service.refresh(&session).await;
    assert_eq!(
        reason(refreshed),
        refused(Code::Unauthenticated, "INVALID_REFRESH_TOKEN")
    );

    service.set_disabled(&user, false).await.unwrap();
    let refreshed = service.refresh(&session).await;
    assert_eq!(
        reason(refreshed),
        refused(Code::Unauthenticated, "INVALID_REFRESH_TOKEN"),
        "what was revoked stays revoked"
    );
    service.log_in("ada@example.com", PASSWORD).await.unwrap();
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_refresh_sees_the_role_as_it_is_now() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, session) = service.register("ada@example.com").await;
    service.set_role(&user, Role::Admin).await.unwrap();
    let session = service.refresh(&session).await.unwrap();
    assert_eq!(service.claims(&session).await.role, access_token::Role::Admin);
    service.stop().await;
    database.drop().await;
}
