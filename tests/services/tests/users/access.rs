use fixtures::Database;
use futures::future::join_all;
use proto::user::{Role, UpdateUserRequest, User};
use tonic::Code;

use crate::support::{Service, fields, reason, refused, update_of};

async fn enabled_admins(database: &Database) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM users WHERE role = 'admin' AND NOT disabled")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_last_enabled_admin_can_be_neither_demoted_nor_disabled() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (ada, session) = service.register("ada@example.com").await;
    let (bob, _) = service.register("bob@example.com").await;
    service.set_role(&ada, Role::Admin).await.unwrap();
    let last = || refused(Code::FailedPrecondition, "LAST_ADMIN");
    assert_eq!(reason(service.set_role(&ada, Role::User).await), last());
    assert_eq!(reason(service.set_disabled(&ada, true).await), last());
    service
        .refresh(&session)
        .await
        .expect("a refusal revokes nothing");

    // A disabled admin does not count.
    service.set_role(&bob, Role::Admin).await.unwrap();
    service.set_disabled(&bob, true).await.unwrap();
    assert_eq!(reason(service.set_role(&ada, Role::User).await), last());
    service
        .set_role(&bob, Role::User)
        .await
        .expect("who is disabled can be demoted");

    service.set_disabled(&bob, false).await.unwrap();
    let both = UpdateUserRequest {
        role: Some(Role::Admin.into()),
        disabled: Some(false),
        ..update_of(&bob)
    };
    assert_eq!(service.update(both).await.unwrap().role(), Role::Admin);
    let demoted = service.set_role(&ada, Role::User).await.unwrap();
    assert_eq!(demoted.role(), Role::User);
    assert_eq!(reason(service.set_disabled(&bob, true).await), last());
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn admins_who_demote_and_disable_each_other_at_once_leave_one() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let mut admins = Vec::new();
    for n in 0..4 {
        let (user, _) = service.register(&format!("admin{n}@example.com")).await;
        admins.push(service.set_role(&user, Role::Admin).await.unwrap());
    }
    for _ in 0..5 {
        let attempts = admins.iter().enumerate().map(async |(n, admin)| match n % 2 {
            0 => service.set_role(admin, Role::User).await,
            _ => service.set_disabled(admin, true).await,
        });
        let answers = join_all(attempts).await;
        let refusals: Vec<_> = answers.into_iter().filter(Result::is_err).map(reason).collect();
        assert_eq!(refusals, [refused(Code::FailedPrecondition, "LAST_ADMIN")]);
        assert_eq!(enabled_admins(&database).await, 1);
        for admin in &admins {
            service.set_role(admin, Role::Admin).await.unwrap();
            service.set_disabled(admin, false).await.unwrap();
        }
    }
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn changes_that_make_no_sense_are_refused() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, _) = service.register("ada@example.com").await;
    for role in [Role::Unspecified.into(), 99, -1] {
        let request = UpdateUserRequest {
            role: Some(role),
            ..update_of(&user)
        };
        assert_eq!(fields(service.update(request).await), ["role"]);
    }
    assert_eq!(service.update(update_of(&user)).await.unwrap(), user);
    assert_eq!(
        fields(service.set_disabled(&User::default(), true).await),
        ["user_id"]
    );
    let nobody = User {
        id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        ..User::default()
    };
    let not_found = refused(Code::NotFound, "USER_NOT_FOUND");
    assert_eq!(reason(service.set_disabled(&nobody, true).await), not_found);
    assert_eq!(reason(service.set_role(&nobody, Role::Admin).await), not_found);
    assert_eq!(reason(service.update(update_of(&nobody)).await), not_found);
    service.stop().await;
    database.drop().await;
}
