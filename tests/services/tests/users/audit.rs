//! Every change of an account is committed with its record, and none without one.

use chassis::grpc::{Principal, PrincipalKind};
use fixtures::Database;
use proto::user::{
    EndSessionsRequest, LogOutRequest, RefreshSessionRequest, RegisterRequest, Role, UpdateProfileRequest,
    UpdateUserRequest, User,
};
use serde_json::{Value, json};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{PASSWORD, Service, config, update_of};

const EMAIL: &str = "ada@example.com";
const NEW_PASSWORD: &str = "battery staple";

/// What is recorded of an account, in its order: action, kind of actor, actor, changes.
async fn records(database: &Database, user: &str) -> Vec<(String, String, Option<Uuid>, Value)> {
    sqlx::query_as(
        "SELECT action, actor_kind, actor_id, changes FROM audit_records WHERE subject_id = $1 ORDER BY at, id",
    )
    .bind(user.parse::<Uuid>().unwrap())
    .fetch_all(database.pool())
    .await
    .unwrap()
}

fn somebody() -> Principal {
    Principal::anonymous([192, 0, 2, 1].into())
}

fn admin() -> Principal {
    somebody().proven(PrincipalKind::Admin.into(), Uuid::now_v7(), Some(Uuid::now_v7()))
}

fn as_user(user: &User) -> Principal {
    somebody().proven(PrincipalKind::User.into(), user.id.parse().unwrap(), None)
}

fn registration(email: &str) -> RegisterRequest {
    RegisterRequest {
        email: email.to_owned(),
        password: PASSWORD.to_owned(),
        name: String::new(),
        client: None,
    }
}

fn renaming(user: &User) -> UpdateProfileRequest {
    UpdateProfileRequest {
        user_id: user.id.clone(),
        name: Some("Ada".to_owned()),
        ..UpdateProfileRequest::default()
    }
}

fn new_password(user: &User, current: &str) -> UpdateProfileRequest {
    UpdateProfileRequest {
        new_password: Some(NEW_PASSWORD.to_owned()),
        current_password: Some(current.to_owned()),
        name: Some("Countess".to_owned()),
        ..renaming(user)
    }
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story, in its order")]
async fn every_change_of_an_account_is_recorded_and_what_was_refused_is_not() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let mut users = service.client.clone();
    let registered = users.register(somebody().request(registration(EMAIL))).await;
    let user = registered.unwrap().into_inner().user.unwrap();
    let taken = users.register(somebody().request(registration(EMAIL))).await;
    assert_eq!(taken.unwrap_err().code(), Code::AlreadyExists);
    let (holder, keeper) = (as_user(&user), admin());
    for _ in 0..2 {
        // The second time nothing is another.
        users
            .update_profile(holder.request(renaming(&user)))
            .await
            .unwrap();
    }
    let wrong = new_password(&user, "a wrong one");
    users.update_profile(holder.request(wrong)).await.unwrap_err();
    let right = new_password(&user, PASSWORD);
    users.update_profile(holder.request(right)).await.unwrap();
    let change = |role: Option<Role>, disabled| UpdateUserRequest {
        role: role.map(Into::into),
        disabled,
        ..update_of(&user)
    };
    for (role, disabled) in [
        (Some(Role::Admin), Some(false)),
        (Some(Role::Admin), None),
        (None, Some(false)),
    ] {
        let request = keeper.request(change(role, disabled));
        users.update_user(request).await.unwrap();
    }
    let last = keeper.request(change(Some(Role::User), Some(true)));
    users.update_user(last).await.unwrap_err();
    // What says nothing of whose doing it is, as the version before, works too.
    let (bob, _) = service.register("bob@example.com").await;
    sqlx::query("UPDATE users SET role = 'admin' WHERE id = $1")
        .bind(bob.id.parse::<Uuid>().unwrap())
        .execute(database.pool())
        .await
        .unwrap();
    users
        .update_user(change(Some(Role::User), Some(true)))
        .await
        .unwrap();
    users
        .update_user(keeper.request(change(None, Some(false))))
        .await
        .unwrap();

    let by = |action: &str, actor: &Principal, changes: Value| {
        (
            action.to_owned(),
            actor.kind.as_str().to_owned(),
            actor.user,
            changes,
        )
    };
    let unknown = |action: &str, changes: Value| (action.to_owned(), "unknown".to_owned(), None, changes);
    let of = |field: &str, old: Value, new: Value| json!({ field: { "old": old, "new": new } });
    let mut found = records(&database, &user.id).await;
    let expected = [
        by(
            "user.registered",
            &holder,
            json!({
                "name": { "old": null, "new": "" }, "role": { "old": null, "new": "user" },
            }),
        ),
        by("user.renamed", &holder, of("name", "".into(), "Ada".into())),
        by("user.password_changed", &holder, json!({})),
        by(
            "user.renamed",
            &holder,
            of("name", "Ada".into(), "Countess".into()),
        ),
        by(
            "user.role_changed",
            &keeper,
            of("role", "user".into(), "admin".into()),
        ),
        unknown("user.role_changed", of("role", "admin".into(), "user".into())),
        unknown("user.disabled", of("disabled", false.into(), true.into())),
        by("user.enabled", &keeper, of("disabled", true.into(), false.into())),
    ];
    for expected in expected {
        assert_eq!(found.remove(0), expected);
    }
    assert_eq!(found, []);
    let secrets: bool = sqlx::query_scalar(
        "SELECT bool_or(r::text LIKE '%argon2%' OR r::text LIKE '%' || $1 || '%') FROM audit_records r",
    )
    .bind(NEW_PASSWORD)
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert!(!secrets);
    let from: Vec<Option<String>> = sqlx::query_scalar(
        "SELECT DISTINCT address FROM audit_records WHERE actor_kind <> 'unknown' AND subject_id <> $1",
    )
    .bind(bob.id.parse::<Uuid>().unwrap())
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert_eq!(from, [Some("192.0.2.1".to_owned())]);
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn every_session_that_somebody_ends_is_recorded_once() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let mut users = service.client.clone();
    let (user, first) = service.register(EMAIL).await;
    let id = async |session| service.claims(session).await.sid.unwrap();
    let log_out = |session: &proto::user::Session| {
        somebody().request(LogOutRequest {
            refresh_token: session.refresh_token.clone(),
        })
    };
    for _ in 0..2 {
        users.log_out(log_out(&first)).await.unwrap();
    }
    let (_, second) = service.log_in(EMAIL, PASSWORD).await.unwrap();
    let end = |session: Option<Uuid>| {
        as_user(&user).request(EndSessionsRequest {
            user_id: user.id.clone(),
            session_id: session.map(|id| id.to_string()),
        })
    };
    users.end_sessions(end(Some(id(&second).await))).await.unwrap();
    users
        .end_sessions(end(Some(id(&second).await)))
        .await
        .unwrap_err();
    // Somebody has a copy of a token that was spent before the last.
    let (_, third) = service.log_in(EMAIL, PASSWORD).await.unwrap();
    let last = service
        .refresh(&service.refresh(&third).await.unwrap())
        .await
        .unwrap();
    let reuse = somebody().request(RefreshSessionRequest {
        refresh_token: third.refresh_token.clone(),
        client: None,
    });
    users.refresh_session(reuse).await.unwrap_err();
    service.refresh(&last).await.unwrap_err();
    users.end_sessions(end(None)).await.unwrap();

    let ended = |session: Uuid| json!({ "session_id": { "old": session.to_string(), "new": null } });
    let holder = Some(user.id.parse::<Uuid>().unwrap());
    let found = records(&database, &user.id).await;
    let found: Vec<_> = found
        .iter()
        .map(|(action, kind, actor, changes)| (action.as_str(), kind.as_str(), *actor, changes.clone()))
        .skip(1)
        .collect();
    assert_eq!(
        found,
        [
            ("user.session_ended", "user", holder, ended(id(&first).await)),
            ("user.session_ended", "user", holder, ended(id(&second).await)),
            ("user.session_revoked", "anonymous", None, ended(id(&third).await)),
            ("user.sessions_ended", "user", holder, json!({})),
        ]
    );
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn the_first_admin_is_recorded_as_the_services_own_doing() {
    let database = Database::create().await;
    let mut named = config(&database, &["--admin-email=root@example.com"]);
    named.admin_password = Some(PASSWORD.into());
    for _ in 0..2 {
        Service::start_with(named.clone()).await.stop().await;
    }
    let user: Uuid = sqlx::query_scalar("SELECT id FROM users")
        .fetch_one(database.pool())
        .await
        .unwrap();
    let found = records(&database, &user.to_string()).await;
    let [(action, kind, None, _)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(
        (action.as_str(), kind.as_str()),
        ("user.first_admin_created", "system")
    );
    database.drop().await;
}

/// Neither is there without the other: where nothing can be recorded nothing is changed.
#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (keeper, _) = service.register("keeper@example.com").await;
    service.set_role(&keeper, Role::Admin).await.unwrap();
    let (user, session) = service.register(EMAIL).await;
    let spent = service.log_in(EMAIL, PASSWORD).await.unwrap().1;
    let middle = service.refresh(&spent).await.unwrap();
    service.refresh(&middle).await.unwrap();
    let everything = async || -> String {
        sqlx::query_scalar(
            "SELECT concat((SELECT string_agg(u::text, '' ORDER BY id) FROM users u),
                           (SELECT string_agg(s::text, '' ORDER BY id) FROM sessions s),
                           (SELECT string_agg(t::text, '' ORDER BY token_hash) FROM refresh_tokens t),
                           (SELECT count(*) FROM outbox_events))",
        )
        .fetch_one(database.pool())
        .await
        .unwrap()
    };
    sqlx::raw_sql("ALTER TABLE audit_records ADD CHECK (action = '') NOT VALID")
        .execute(database.pool())
        .await
        .unwrap();
    let before = everything().await;
    let mut users = service.client.clone();
    let end = |session_id| EndSessionsRequest {
        user_id: user.id.clone(),
        session_id,
    };
    let session_id = service.claims(&session).await.sid.map(|id| id.to_string());
    let disabled = UpdateUserRequest {
        disabled: Some(true),
        ..update_of(&user)
    };
    let promoted = UpdateUserRequest {
        role: Some(Role::Admin.into()),
        ..update_of(&user)
    };
    let outcomes: [(&str, Result<(), Status>); 9] = [
        (
            "register",
            users.register(registration("bob@example.com")).await.map(drop),
        ),
        ("rename", users.update_profile(renaming(&user)).await.map(drop)),
        (
            "password",
            users
                .update_profile(new_password(&user, PASSWORD))
                .await
                .map(drop),
        ),
        ("disable", users.update_user(disabled).await.map(drop)),
        ("promote", users.update_user(promoted).await.map(drop)),
        ("end one", users.end_sessions(end(session_id)).await.map(drop)),
        ("end all", users.end_sessions(end(None)).await.map(drop)),
        (
            "log out",
            users
                .log_out(LogOutRequest {
                    refresh_token: session.refresh_token.clone(),
                })
                .await
                .map(drop),
        ),
        (
            "reuse",
            users
                .refresh_session(RefreshSessionRequest {
                    refresh_token: spent.refresh_token.clone(),
                    client: None,
                })
                .await
                .map(drop),
        ),
    ];
    for (what, outcome) in outcomes {
        assert_eq!(
            outcome.map_err(|status| status.code()),
            Err(Code::Internal),
            "{what}"
        );
    }
    assert_eq!(everything().await, before);
    service.stop().await;
    database.drop().await;
}
