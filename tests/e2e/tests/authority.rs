//! What a token is worth is the account and the session as they are now, not as they were when it was issued.
#![allow(missing_docs)]

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, ensure};
use e2e::{Api, Service, Session, Shop, Stack, order_of, unique_email, wait_until};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

const PASSWORD: &str = "long enough";
/// A change of authority is noticed within a second; this much longer is for the machine.
const NOTICED: Duration = Duration::from_millis(1_200);

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// Whoever comes, with whatever token.
    Anybody,
    /// Whoever is logged in.
    Caller,
    /// Admins.
    Admin,
}

/// Every operation of the OpenAPI document. A new one belongs here, with who may call it.
const OPERATIONS: [(&str, &str, For); 38] = [
    ("get", "/healthz", For::Anybody),
    ("get", "/readyz", For::Anybody),
    ("post", "/auth/register", For::Anybody),
    ("post", "/auth/login", For::Anybody),
    ("post", "/auth/refresh", For::Anybody),
    ("post", "/auth/logout", For::Anybody),
    ("get", "/users/me", For::Caller),
    ("put", "/users/me", For::Caller),
    ("get", "/users/me/sessions", For::Caller),
    ("delete", "/users/me/sessions", For::Caller),
    ("delete", "/users/me/sessions/{id}", For::Caller),
    ("get", "/users/me/mfa", For::Caller),
    ("post", "/users/me/mfa", For::Caller),
    ("delete", "/users/me/mfa", For::Caller),
    ("post", "/users/me/mfa/confirm", For::Caller),
    ("delete", "/users/{id}/mfa", For::Admin),
    ("get", "/users", For::Admin),
    ("get", "/users/{id}", For::Admin),
    ("patch", "/users/{id}", For::Admin),
    ("get", "/audit", For::Admin),
    ("get", "/flow", For::Admin),
    ("get", "/dead-letters", For::Admin),
    ("post", "/dead-letters/redrive", For::Admin),
    ("get", "/problems", For::Anybody),
    ("get", "/problems/{name}", For::Anybody),
    ("get", "/categories", For::Anybody),
    ("get", "/products", For::Anybody),
    ("post", "/products", For::Admin),
    ("get", "/products/{id}", For::Anybody),
    ("patch", "/products/{id}", For::Admin),
    ("delete", "/products/{id}", For::Admin),
    ("post", "/products/{id}/stock", For::Admin),
    ("get", "/products/{id}/stock/movements", For::Admin),
    ("post", "/orders", For::Caller),
    ("get", "/orders", For::Caller),
    ("get", "/orders/{id}", For::Caller),
    ("patch", "/orders/{id}", For::Caller),
    ("get", "/orders/{id}/events", For::Caller),
];

/// A call of an operation that names nothing that is there.
async fn call(api: &Api, method: &str, path: &str) -> anyhow::Result<e2e::Answer> {
    let takes_no_body = (method, path) == ("post", "/users/me/mfa");
    let takes_proof = (method, path) == ("delete", "/users/me/mfa");
    let path = path
        .replace("{id}", &Uuid::now_v7().to_string())
        .replace("{name}", "none-of-ours");
    let method: Method = method.to_uppercase().parse()?;
    let takes_body = [Method::POST, Method::PUT, Method::PATCH].contains(&method) && !takes_no_body;
    let call = api.call(method, path);
    if takes_body || takes_proof {
        call.json(json!({})).await
    } else {
        call.await
    }
}

/// An admin, logged in since he is one.
async fn new_admin(shop: &Shop, admin: &Api) -> anyhow::Result<Session> {
    let email = unique_email();
    let session = shop.register(&email, PASSWORD).await?;
    admin
        .patch(user(&session))
        .json(json!({ "role": "admin" }))
        .await?
        .is(200)?;
    shop.log_in(&email, PASSWORD).await
}

fn user(session: &Session) -> String {
    format!("/users/{}", session.user["id"].as_str().unwrap_or_default())
}

/// An admin's token whose session or account has ended, in every way that it can.
async fn ended_tokens(shop: &Shop, admin: &Api) -> anyhow::Result<BTreeMap<&'static str, Api>> {
    let mut ended = BTreeMap::new();
    let session = new_admin(shop, admin).await?;
    let token = json!({ "refresh_token": session.refresh_token });
    shop.anybody().post("/auth/logout").json(token).await?.is(204)?;
    ended.insert("logged out", session.api);

    let session = new_admin(shop, admin).await?;
    let listed = session.api.get("/users/me/sessions").await?.is(200)?;
    let current = listed["items"]
        .as_array()
        .and_then(|items| items.iter().find(|item| item["current"] == true))
        .context("one of them is this")?;
    let path = format!(
        "/users/me/sessions/{}",
        current["id"].as_str().unwrap_or_default()
    );
    session.api.delete(path).await?.is(204)?;
    ended.insert("session ended", session.api);

    let session = new_admin(shop, admin).await?;
    session.api.delete("/users/me/sessions").await?.is(204)?;
    ended.insert("all sessions ended", session.api);

    let session = new_admin(shop, admin).await?;
    let change = json!({ "new_password": "much longer", "current_password": PASSWORD });
    session.api.put("/users/me").json(change).await?.is(200)?;
    ended.insert("password changed", session.api);

    let session = new_admin(shop, admin).await?;
    admin
        .patch(user(&session))
        .json(json!({ "disabled": true }))
        .await?
        .is(200)?;
    ended.insert("disabled", session.api);
    Ok(ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_token_opens_no_operation() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let shop = stack.shop();
    let admin = shop.admin().await?;
    let document = shop.anybody().get("/openapi.json").await?.is(200)?;
    let described = document["paths"].as_object().context("paths")?;
    for (path, item) in described {
        for method in item.as_object().context("operations")?.keys() {
            ensure!(
                OPERATIONS
                    .iter()
                    .any(|(known, of, _)| known == method && of == path),
                "who may call {method} {path}?"
            );
        }
    }

    let ended = ended_tokens(shop, &admin).await?;
    let demoted = new_admin(shop, &admin).await?;
    demoted.api.get("/users").await?.is(200)?;
    admin
        .patch(user(&demoted))
        .json(json!({ "role": "user" }))
        .await?
        .is(200)?;
    sleep(NOTICED).await;
    for (method, path, who) in OPERATIONS {
        for (how, api) in &ended {
            let answer = call(api, method, path).await?;
            if who == For::Anybody {
                let without = call(&shop.anybody(), method, path).await?;
                ensure!(
                    answer.status() == without.status(),
                    "{how}, {method} {path}: {answer}"
                );
                continue;
            }
            answer
                .is_problem(401)
                .and_then(|problem| problem.of_type("invalid-token"))
                .with_context(|| format!("{how}: {method} {path}"))?;
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            ensure!(challenge.contains("invalid_token"), "{challenge}");
        }
        if who == For::Admin {
            let answer = call(&demoted.api, method, path).await?;
            answer
                .is_problem(403)
                .with_context(|| format!("demoted: {method} {path}"))?;
        }
    }
    demoted.api.get("/users/me").await?.is(200)?;

    // What is given counts at once, too.
    admin
        .patch(user(&demoted))
        .json(json!({ "role": "admin" }))
        .await?
        .is(200)?;
    sleep(NOTICED).await;
    demoted.api.get("/users").await?.is(200)?;
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_the_session_the_account_and_the_token() -> anyhow::Result<()> {
    let builder = Stack::builder()
        // Nothing decides the order, so that only the token can end its stream.
        .with_env(Service::User, "ACCESS_TOKEN_LIFETIME", "8s");
    let stack = builder.start().await?;
    let shop = stack.shop();
    let admin = shop.admin().await?;
    let product = admin.new_product("12", 10).await?;
    stack.terminate(Service::Producer).await?;
    let ends = async |how: &str, session: &Session, within: Duration, act: Option<e2e::Call>| {
        let order = session.api.place_order(&[(&product, 1)]).await?;
        let path = format!("/orders/{}/events", order["id"].as_str().unwrap_or_default());
        let mut events = session.api.get(path).events().await?;
        events.next().await?.context("the order as it is")?;
        if let Some(act) = act {
            ensure!(act.await?.status().is_success(), "{how}");
        }
        let began = Instant::now();
        let rest = timeout(within, async {
            while events.next().await?.is_some() {}
            anyhow::Ok(())
        });
        rest.await
            .with_context(|| format!("{how}: the stream goes on"))??;
        ensure!(began.elapsed() < within, "{how}");
        anyhow::Ok(())
    };
    let session = shop.register(&unique_email(), PASSWORD).await?;
    let token = json!({ "refresh_token": session.refresh_token });
    let log_out = shop.anybody().post("/auth/logout").json(token);
    ends("logged out", &session, NOTICED, Some(log_out)).await?;
    let admin = shop.admin().await?;
    let session = shop.register(&unique_email(), PASSWORD).await?;
    let disable = admin.patch(user(&session)).json(json!({ "disabled": true }));
    ends("disabled", &session, NOTICED, Some(disable)).await?;
    let session = shop.register(&unique_email(), PASSWORD).await?;
    ends("expired", &session, Duration::from_secs(9), None).await?;
    stack.start(Service::Producer).await?;
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_user_service_customers_read_and_nobody_changes_anything() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let (admin, customer) = (stack.shop().admin().await?, stack.shop().customer().await?);
    let product = admin.new_product("12", 10).await?;
    let order = customer.place_order(&[(&product, 1)]).await?;
    let path = format!("/orders/{}", order["id"].as_str().unwrap_or_default());
    stack.kill_9(Service::User)?;
    sleep(NOTICED).await;
    for _ in 0..3 {
        customer.get("/orders").await?.is(200)?;
        customer.get(&path).await?.is(200)?;
        let change = customer.post("/orders").json(order_of(&[(&product, 1)])).await?;
        change.is_problem(503)?;
        ensure!(change.header("retry-after").is_some(), "{change}");
        admin.get("/orders").await?.is_problem(503)?;
        admin
            .new_product("12", 1)
            .await
            .map_or(Ok(()), |_| anyhow::bail!("a change without authority"))?;
        stack.shop().anybody().get("/products").await?.is(200)?;
    }
    stack.start(Service::User).await?;
    let placed = || async {
        Ok(customer
            .post("/orders")
            .json(order_of(&[(&product, 1)]))
            .await?
            .status())
    };
    wait_until("orders are taken again", placed, |status| *status == 201).await?;
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_rights_needs_a_recent_login() -> anyhow::Result<()> {
    let builder = Stack::builder().with_env(Service::Gateway, "RECENT_LOGIN", "2s");
    let stack = builder.start().await?;
    let shop = stack.shop();
    let admin = shop.admin().await?;
    let session = new_admin(shop, &admin).await?;
    let customer = shop.register(&unique_email(), PASSWORD).await?;
    let change = |api: &Api| api.patch(user(&customer)).json(json!({ "disabled": false }));
    change(&session.api).await?.is(200)?;
    sleep(Duration::from_secs(4)).await;
    let token = json!({ "refresh_token": session.refresh_token });
    let refreshed: Value = shop.anybody().post("/auth/refresh").json(token).await?.is(200)?;
    let refreshed = shop.session(&refreshed)?;
    for api in [&session.api, &refreshed.api] {
        let answer = change(api).await?;
        answer.is_problem(401)?.of_type("recent-login-required")?;
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        ensure!(
            challenge.contains("insufficient_user_authentication") && challenge.contains("max_age=\"2\""),
            "{challenge}"
        );
        api.get("/users").await?.is(200)?;
    }
    let email = session.user["email"].as_str().context("an email")?;
    change(&shop.log_in(email, PASSWORD).await?.api).await?.is(200)?;

    // An account is found by its id, and by its email however that is written.
    let found = refreshed
        .api
        .get(format!("/users?email={}", email.to_uppercase()))
        .await?
        .is(200)?;
    ensure!(
        found["total"] == 1 && found["items"][0]["id"] == session.user["id"],
        "{found}"
    );
    let nobody = refreshed.api.get("/users?email=nobody@shop.example");
    let none = nobody.await?.is(200)?;
    ensure!(none["total"] == 0, "{none}");
    refreshed.api.get("/users?email=nobody").await?.is(422)?;
    let one = refreshed.api.get(user(&customer)).await?.is(200)?;
    ensure!(one["id"] == customer.user["id"], "{one}");
    stack.stop().await
}
