//! What sessions there are, when they end, and what their holders may do.

use fixtures::Database;
use futures::future::join_all;
use proto::user::{
    EndSessionsRequest, GetStandingsRequest, Holder, ListSessionsRequest, LogInRequest, Role, SessionClient,
    SessionInfo, Standing, UpdateUserRequest, User,
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{PASSWORD, Service, reason, refused, update_of};

const EMAIL: &str = "ada@example.com";

fn invalid() -> (Code, String) {
    refused(Code::Unauthenticated, "INVALID_REFRESH_TOKEN")
}

fn reused() -> (Code, String) {
    refused(Code::Unauthenticated, "REFRESH_TOKEN_REUSED")
}

async fn sessions(service: &Service, user: &User) -> Vec<SessionInfo> {
    let request = ListSessionsRequest {
        user_id: user.id.clone(),
    };
    let answer = service.client.clone().list_sessions(request).await;
    answer.unwrap().into_inner().sessions
}

async fn end(service: &Service, user: &User, session: Option<&str>) -> Result<(), Status> {
    let request = EndSessionsRequest {
        user_id: user.id.clone(),
        session_id: session.map(str::to_owned),
    };
    service.client.clone().end_sessions(request).await.map(drop)
}

async fn standing(service: &Service, user_id: &str, session: Option<&str>) -> Standing {
    let holders = vec![Holder {
        user_id: user_id.to_owned(),
        session_id: session.map(str::to_owned),
    }];
    let answer = service
        .client
        .clone()
        .get_standings(GetStandingsRequest { holders })
        .await;
    answer.unwrap().into_inner().standings.remove(0)
}

async fn execute(database: &Database, statement: &'static str) {
    sqlx::query(statement).execute(database.pool()).await.unwrap();
}

#[tokio::test]
async fn the_answer_to_a_refresh_is_given_again_for_ten_seconds_and_once_removed() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (_, first) = service.register(EMAIL).await;
    let second = service.refresh(&first).await.unwrap();
    let again = service.refresh(&first).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    execute(
        &database,
        "UPDATE refresh_tokens SET spent_at = spent_at - interval '10 s' WHERE spent_at IS NOT NULL",
    )
    .await;
    assert_eq!(reason(service.refresh(&first).await), reused());
    assert_eq!(reason(service.refresh(&second).await), invalid());

    // One before the last has no row any more, and is known all the same; one that was made up ends nothing.
    let (_, first) = service.log_in(EMAIL, PASSWORD).await.unwrap();
    let second = service.refresh(&first).await.unwrap();
    let third = service.refresh(&second).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM refresh_tokens")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(rows, 2, "the current and the last spent");
    let (session, secret) = first.refresh_token.split_once('.').unwrap();
    let made_up = format!(
        "{session}.{}",
        secret.replace(|c: char| c.is_ascii_lowercase(), "x")
    );
    assert_eq!(reason(service.refresh_token(&made_up).await), invalid());
    let again = service.refresh(&second).await.unwrap();
    assert_eq!(again.refresh_token, third.refresh_token);
    assert_eq!(reason(service.refresh(&first).await), reused());
    assert_eq!(reason(service.refresh(&third).await), invalid());
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_session_ends_however_it_is_used() {
    let database = Database::create().await;
    let service = Service::start(&database, &["--session-lifetime=1h"]).await;
    let (user, session) = service.register(EMAIL).await;
    let session = service.refresh(&session).await.unwrap();
    let within: bool =
        sqlx::query_scalar("SELECT bool_and(expires_at <= now() + interval '1 h') FROM refresh_tokens")
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert!(within, "no token outlives its session");
    let id = service.claims(&session).await.sid.unwrap().to_string();
    assert!(!standing(&service, &user.id, Some(&id)).await.session_ended);
    execute(&database, "UPDATE sessions SET ends_at = now()").await;
    assert!(standing(&service, &user.id, Some(&id)).await.session_ended);
    assert!(sessions(&service, &user).await.is_empty());
    assert_eq!(reason(service.refresh(&session).await), invalid());
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn the_fifty_first_session_ends_the_one_used_longest_ago() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, oldest) = service.register(EMAIL).await;
    execute(
        &database,
        "INSERT INTO sessions (id, user_id, ends_at, seed, last_used_at)
         SELECT gen_random_uuid(), id, now() + interval '1 d', sha256('seed'), now() + n * interval '1 ms'
         FROM users, generate_series(1, 49) n",
    )
    .await;
    execute(
        &database,
        "INSERT INTO refresh_tokens (token_hash, user_id, family_id, expires_at)
         SELECT sha256(id::text::bytea), user_id, id, ends_at FROM sessions WHERE authenticated_at IS NULL",
    )
    .await;
    assert_eq!(sessions(&service, &user).await.len(), 50);
    let (_, newest) = service.log_in(EMAIL, PASSWORD).await.unwrap();
    assert_eq!(sessions(&service, &user).await.len(), 50);
    assert_eq!(reason(service.refresh(&oldest).await), invalid());
    service.refresh(&newest).await.unwrap();
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_whom_they_belong_to() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (ada, here) = service.register(EMAIL).await;
    let (bob, _) = service.register("bob@example.com").await;
    let client = SessionClient {
        address: "2001:db8::1".to_owned(),
        user_agent: "x".repeat(300),
    };
    let request = LogInRequest {
        email: EMAIL.to_owned(),
        password: PASSWORD.to_owned(),
        client: Some(client),
        ..LogInRequest::default()
    };
    let there = service.client.clone().log_in(request).await.unwrap().into_inner();
    let there = there.session.unwrap();
    let listed = sessions(&service, &ada).await;
    let ids: Vec<_> = listed.iter().map(|session| session.id.clone()).collect();
    let elsewhere_id = service.claims(&there).await.sid.unwrap().to_string();
    let own_id = service.claims(&here).await.sid.unwrap().to_string();
    assert_eq!(ids, [elsewhere_id.clone(), own_id.clone()]);
    let client = listed[0].client.clone().unwrap();
    assert_eq!(
        (client.address.as_str(), client.user_agent.len()),
        ("2001:db8::1", 200)
    );

    let nowhere = || refused(Code::NotFound, "SESSION_NOT_FOUND");
    assert_eq!(reason(end(&service, &bob, Some(&elsewhere_id)).await), nowhere());
    end(&service, &ada, Some(&elsewhere_id)).await.unwrap();
    assert_eq!(reason(end(&service, &ada, Some(&elsewhere_id)).await), nowhere());
    assert_eq!(reason(service.refresh(&there).await), invalid());
    assert!(
        standing(&service, &ada.id, Some(&elsewhere_id))
            .await
            .session_ended
    );
    let here = service.refresh(&here).await.unwrap();
    end(&service, &ada, None).await.unwrap();
    assert_eq!(reason(service.refresh(&here).await), invalid());
    assert_eq!(sessions(&service, &bob).await.len(), 1);
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_standing_is_the_accounts_row_and_the_session_now() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (keeper, _) = service.register("keeper@example.com").await;
    service.set_role(&keeper, Role::Admin).await.unwrap();
    let (user, session) = service.register(EMAIL).await;
    let claims = service.claims(&session).await;
    let id = claims.sid.unwrap().to_string();
    assert!(claims.auth_time.is_some_and(|at| (claims.iat - at).abs() <= 1));
    let now = async || standing(&service, &user.id, Some(&id)).await;
    assert_eq!(now().await.role(), Role::User);
    service.set_role(&user, Role::Admin).await.unwrap();
    assert_eq!(now().await.role(), Role::Admin);
    let next = service.refresh(&session).await.unwrap();
    let refreshed = service.claims(&next).await;
    assert_eq!(
        (refreshed.sid, refreshed.auth_time),
        (claims.sid, claims.auth_time)
    );
    service.log_out(&next.refresh_token).await;
    assert!(now().await.session_ended);
    assert!(
        !standing(&service, &user.id, None).await.session_ended,
        "no session, none that ended"
    );
    assert!(
        standing(&service, &keeper.id, Some(&id)).await.session_ended,
        "another's"
    );
    service.set_disabled(&user, true).await.unwrap();
    assert!(standing(&service, &user.id, None).await.disabled);
    assert!(
        standing(&service, &Uuid::now_v7().to_string(), None)
            .await
            .unknown
    );
    let holders = vec![Holder::default(); 501];
    let answer = service
        .client
        .clone()
        .get_standings(GetStandingsRequest { holders })
        .await;
    assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument);
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_session_of_the_version_before_goes_on() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (user, _) = service.register(EMAIL).await;
    // As that version leaves it: a token without a session, whose text is its secret.
    execute(
        &database,
        "INSERT INTO refresh_tokens (token_hash, user_id, family_id, expires_at)
         SELECT sha256('of the version before'), id, gen_random_uuid(), now() + interval '1 d' FROM users",
    )
    .await;
    let next = service.refresh_token("of the version before").await.unwrap();
    let claims = service.claims(&next).await;
    assert!(
        claims.sid.is_some() && claims.auth_time.is_none(),
        "when the password was given is not known"
    );
    let again = service.refresh_token("of the version before").await.unwrap();
    assert_eq!(again.refresh_token, next.refresh_token);
    assert_eq!(sessions(&service, &user).await.len(), 2);
    let last = service.refresh(&next).await.unwrap();
    assert_eq!(
        reason(service.refresh_token("of the version before").await),
        reused()
    );
    assert_eq!(reason(service.refresh(&last).await), invalid());
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn who_is_disabled_can_not_enable_himself_however_fast() {
    let database = Database::create().await;
    let service = Service::start(&database, &[]).await;
    let (keeper, _) = service.register("keeper@example.com").await;
    service.set_role(&keeper, Role::Admin).await.unwrap();
    let (mallory, _) = service.register("mallory@example.com").await;
    let change = |actor: &User, of: &User, disabled| UpdateUserRequest {
        disabled: Some(disabled),
        actor_id: Some(actor.id.clone()),
        ..update_of(of)
    };
    for _ in 0..10 {
        service.set_disabled(&mallory, false).await.unwrap();
        service.set_role(&mallory, Role::Admin).await.unwrap();
        let enabling = join_all((0..8).map(|_| service.update(change(&mallory, &mallory, false))));
        let (disabled, answers) = futures::join!(service.update(change(&keeper, &mallory, true)), enabling);
        assert!(disabled.unwrap().disabled);
        for refusal in answers.into_iter().filter(Result::is_err) {
            assert_eq!(reason(refusal), refused(Code::PermissionDenied, "FORBIDDEN"));
        }
        assert!(service.get(&mallory.id).await.unwrap().disabled);
        let last = service.update(change(&mallory, &keeper, true)).await;
        assert_eq!(reason(last), refused(Code::PermissionDenied, "FORBIDDEN"));
    }
    service.stop().await;
    database.drop().await;
}
