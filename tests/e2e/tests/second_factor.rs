//! The second factor (TOTP, RFC 6238), with codes as an app makes them.
#![allow(missing_docs)]

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Answer, Api, Authenticator, Service, Session, Shop, Stack, unique_email, wait_until};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse";
/// A change of authority is noticed within a second; this much longer is for the machine.
const NOTICED: Duration = Duration::from_millis(1_200);

async fn log_in(shop: &Shop, email: &str, proof: Value) -> anyhow::Result<Answer> {
    let mut credentials = json!({ "email": email, "password": PASSWORD });
    for (field, value) in proof.as_object().context("fields")? {
        credentials[field] = value.clone();
    }
    shop.anybody().post("/auth/login").json(credentials).await
}

/// Switches it on in that session: the app, and the recovery codes.
async fn enroll(api: &Api) -> anyhow::Result<(Authenticator, Vec<String>)> {
    let begun = api.post("/users/me/mfa").await?.is(200)?;
    let secret = begun["secret"].as_str().context("a secret")?;
    let uri = begun["otpauth_uri"].as_str().context("a URI")?;
    ensure!(
        uri.starts_with("otpauth://totp/Shop:") && uri.contains(&format!("secret={secret}")),
        "{uri}"
    );
    let app = Authenticator::new(secret)?;
    let confirmed = api
        .post("/users/me/mfa/confirm")
        .json(json!({ "code": app.code(-1)? }))
        .await?
        .is(200)?;
    let codes = confirmed["recovery_codes"].as_array().context("codes")?;
    let codes: Vec<_> = codes
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    ensure!(codes.len() == 10, "{confirmed}");
    Ok((app, codes))
}

fn path_of(session: &Session) -> String {
    format!("/users/{}", session.user["id"].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_in_takes_a_code_once_it_is_on_and_each_is_good_once() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let shop = stack.shop();
    let email = unique_email();
    let (here, elsewhere) = (
        shop.register(&email, PASSWORD).await?,
        shop.log_in(&email, PASSWORD).await?,
    );
    // What was begun is asked of nobody.
    here.api.post("/users/me/mfa").await?.is(200)?;
    log_in(shop, &email, json!({})).await?.is(200)?;
    let wrong = json!({ "code": "12345x" });
    let refused = here.api.post("/users/me/mfa/confirm").json(wrong).await?;
    refused.is_problem(403)?.of_type("wrong-mfa-code")?;
    let status = here.api.get("/users/me/mfa").await?.is(200)?;
    ensure!(
        status == json!({ "enabled": false, "recovery_codes_left": 0 }),
        "{status}"
    );

    let (app, recovery) = enroll(&here.api).await?;
    let status = here.api.get("/users/me/mfa").await?.is(200)?;
    ensure!(
        status == json!({ "enabled": true, "recovery_codes_left": 10 }),
        "{status}"
    );
    here.api
        .post("/users/me/mfa")
        .await?
        .is_problem(409)?
        .of_type("mfa-already-on")?;
    // Whoever was logged in elsewhere, without a code, is not any more.
    let ended = || async { Ok(elsewhere.api.get("/users/me").await?.status()) };
    wait_until("the other session has ended", ended, |status| *status == 401).await?;

    let missing = log_in(shop, &email, json!({})).await?;
    missing.is_problem(401)?.of_type("mfa-required")?;
    let not_even_that = json!({ "email": email, "password": "wrong horse", "code": app.code(0)? });
    let answer = shop.anybody().post("/auth/login").json(not_even_that).await?;
    answer.is_problem(401)?.of_type("invalid-credentials")?;
    let wrong = log_in(shop, &email, json!({ "code": app.wrong_code()? })).await?;
    wrong.is_problem(401)?.of_type("invalid-mfa-code")?;
    // The one of the step before confirmed it: it is spent.
    let code = app.code(0)?;
    log_in(shop, &email, json!({ "code": code })).await?.is(200)?;
    for replayed in [code, app.code(-1)?] {
        let answer = log_in(shop, &email, json!({ "code": replayed })).await?;
        answer.is_problem(401)?.of_type("invalid-mfa-code")?;
    }
    log_in(shop, &email, json!({ "code": app.code(1)? }))
        .await?
        .is(200)?;

    // A recovery code takes the place of one, once, however it is typed.
    let typed = recovery[0].to_uppercase().replace('-', " ");
    log_in(shop, &email, json!({ "recovery_code": typed }))
        .await?
        .is(200)?;
    let again = log_in(shop, &email, json!({ "recovery_code": recovery[0] })).await?;
    again.is_problem(401)?.of_type("invalid-mfa-code")?;
    let status = here.api.get("/users/me/mfa").await?.is(200)?;
    ensure!(status["recovery_codes_left"] == 9, "{status}");

    // Its holder alone switches it off.
    let remove = |proof: Value| here.api.delete("/users/me/mfa").json(proof);
    remove(json!({})).await?.is_problem(422)?.names("code")?;
    let wrong = remove(json!({ "code": app.wrong_code()? })).await?;
    wrong.is_problem(403)?.of_type("wrong-mfa-code")?;
    remove(json!({ "recovery_code": recovery[1] })).await?.is(204)?;
    log_in(shop, &email, json!({})).await?.is(200)?;
    let none = remove(json!({ "recovery_code": recovery[2] })).await?;
    none.is_problem(409)?.of_type("mfa-off")?;
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_guessed_no_faster_than_passwords() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let shop = stack.shop();
    let email = unique_email();
    let session = shop.register(&email, PASSWORD).await?;
    let (app, _) = enroll(&session.api).await?;
    for attempt in 0..10 {
        let wrong = log_in(shop, &email, json!({ "code": app.wrong_code()? })).await?;
        wrong.is_problem(401)?.of_type("invalid-mfa-code")?;
        if attempt == 5 {
            // To be told that a code is needed is no failure, and makes none be forgotten.
            let missing = log_in(shop, &email, json!({})).await?;
            missing.is_problem(401)?.of_type("mfa-required")?;
        }
    }
    let next = || async { log_in(shop, &email, json!({ "code": app.wrong_code()? })).await };
    wait_until("the next has to wait for some seconds", next, |answer| {
        let wait = answer.header("retry-after").and_then(|wait| wait.parse().ok());
        wait.is_some_and(|seconds: u64| seconds > 3)
    })
    .await?;
    let refused = log_in(shop, &email, json!({ "code": app.code(0)? })).await?;
    refused.is_problem(429)?.of_type("too-many-failed-attempts")?;
    // And so are those of whoever is logged in.
    for _ in 0..10 {
        let wrong = json!({ "code": app.wrong_code()? });
        let answer = session.api.delete("/users/me/mfa").json(wrong).await?;
        answer.is_problem(403)?.of_type("wrong-mfa-code")?;
    }
    let right = json!({ "code": app.code(1)? });
    let answer = session.api.delete("/users/me/mfa").json(right).await?;
    answer.is_problem(429)?.of_type("too-many-failed-attempts")?;
    ensure!(answer.header("retry-after").is_some(), "{answer}");
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_admins_need_one_they_can_do_nothing_as_admins_without() -> anyhow::Result<()> {
    let builder = Stack::builder().with_env(Service::Gateway, "REQUIRE_ADMIN_MFA", "true");
    let stack = builder.start().await?;
    let shop = stack.shop();
    let admin = shop.admin().await?;
    for (method, path) in [("GET", "/users"), ("POST", "/products")] {
        let answer = admin.call(method.parse()?, path).json(json!({})).await?;
        answer.is_problem(403)?.of_type("admin-mfa-required")?;
    }
    // What a customer can, he can, and set one up.
    admin.get("/orders").await?.is(200)?;
    let other = shop.register(&unique_email(), PASSWORD).await?;
    other
        .api
        .get("/users")
        .await?
        .is_problem(403)?
        .of_type("forbidden")?;
    let (_, recovery) = enroll(&admin).await?;
    tokio::time::sleep(NOTICED).await;
    admin.get("/users").await?.is(200)?;

    // Another admin, who logs in before he has one and after.
    admin
        .patch(path_of(&other))
        .json(json!({ "role": "admin" }))
        .await?
        .is(200)?;
    let email = other.user["email"].as_str().context("an email")?.to_owned();
    let session = shop.log_in(&email, PASSWORD).await?;
    session
        .api
        .get("/users")
        .await?
        .is_problem(403)?
        .of_type("admin-mfa-required")?;
    let (app, _) = enroll(&session.api).await?;
    let with_code = log_in(shop, &email, json!({ "code": app.code(0)? }))
        .await?
        .is(200)?;
    shop.session(&with_code)?.api.get("/users").await?.is(200)?;

    // He has lost his app: another admin switches it off, nobody his own in this way, and nobody else at all.
    let path = |session: &Session| format!("{}/mfa", path_of(session));
    session
        .api
        .delete(path(&other))
        .await?
        .is_problem(403)?
        .of_type("forbidden")?;
    let customer = shop.register(&unique_email(), PASSWORD).await?;
    customer.api.delete(path(&other)).await?.is_problem(403)?;
    admin.delete(path(&other)).await?.is(204)?;
    let ended = || async { Ok(session.api.get("/users/me").await?.status()) };
    wait_until("all his sessions have ended", ended, |status| *status == 401).await?;
    let without = log_in(shop, &email, json!({})).await?.is(200)?;
    let without = shop.session(&without)?.api;
    without
        .get("/users")
        .await?
        .is_problem(403)?
        .of_type("admin-mfa-required")?;
    admin
        .delete(path(&other))
        .await?
        .is_problem(409)?
        .of_type("mfa-off")?;
    admin
        .delete(format!("/users/{}/mfa", uuid::Uuid::now_v7()))
        .await?
        .is_problem(404)?
        .of_type("user-not-found")?;

    // Whoever switches his own off has none from then on.
    let proof = json!({ "recovery_code": recovery[0] });
    admin.delete("/users/me/mfa").json(proof).await?.is(204)?;
    let refused = || async { Ok(admin.get("/users").await?.status()) };
    wait_until("he may do what a customer may", refused, |status| *status == 403).await?;
    stack.stop().await
}
