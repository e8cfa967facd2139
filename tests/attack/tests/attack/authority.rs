//! Rights that somebody had, has not, or would like to have.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use attack::{PASSWORD, Target};
use serde_json::{Value, json};
use shop_client::{Api, Session, unique_email};
use tokio::time::sleep;
use uuid::Uuid;

/// A change is noticed within a second; this much longer is for the machine.
const NOTICED: Duration = Duration::from_millis(1_200);

fn path(session: &Session) -> String {
    format!("/users/{}", session.user["id"].as_str().unwrap_or_default())
}

async fn new_admin(target: &Target, admin: &Api) -> anyhow::Result<Session> {
    let (email, shop) = (unique_email(), target.from_elsewhere()?);
    let account = shop.register(&email, PASSWORD).await?;
    let change = admin.patch(path(&account)).json(json!({ "role": "admin" }));
    change.await?.is(200)?;
    shop.log_in(&email, PASSWORD).await
}

/// Nobody goes on with what an account could do before it was disabled, demoted, logged out or given another password;
/// least of all to undo that.
pub(super) async fn tokens_of_what_one_was(target: Target) -> anyhow::Result<()> {
    let admin = target.admin().await?;
    for change in [json!({ "disabled": true }), json!({ "role": "user" })] {
        let fallen = new_admin(&target, &admin).await?;
        admin.patch(path(&fallen)).json(change.clone()).await?.is(200)?;
        let is_disabled = change["disabled"] == true;
        let mut refused = 0;
        // From the first moment for what would undo it, which the transaction itself refuses.
        for wanted in [
            json!({ "disabled": false, "role": "admin" }),
            json!({ "role": "admin" }),
            json!({ "disabled": false }),
        ] {
            let answer = fallen.api.patch(path(&fallen)).json(wanted).await?;
            ensure!(
                matches!(answer.status().as_u16(), 401 | 403),
                "{change}: {answer}"
            );
            refused += 1;
        }
        ensure!(refused == 3);
        sleep(NOTICED).await;
        let status = if is_disabled { 401 } else { 403 };
        fallen.api.get("/users").await?.is_problem(status)?;
        let product = json!({ "name": "Mine", "price": 1 });
        fallen
            .api
            .post("/products")
            .json(product)
            .await?
            .is_problem(status)?;
        if is_disabled {
            let token = json!({ "refresh_token": fallen.refresh_token });
            let refreshed = target
                .from_elsewhere()?
                .anybody()
                .post("/auth/refresh")
                .json(token)
                .await?;
            ensure!(refreshed.status().is_client_error(), "{refreshed}");
        }
    }
    let (shop, session) = target.customer().await?;
    let token = json!({ "refresh_token": session.refresh_token });
    shop.anybody().post("/auth/logout").json(token).await?.is(204)?;
    let (_, other) = target.customer().await?;
    let change = json!({ "current_password": PASSWORD, "new_password": "a different kettle altogether" });
    other.api.put("/users/me").json(change).await?.is(200)?;
    sleep(NOTICED).await;
    for ended in [session, other] {
        ended.api.get("/users/me").await?.is_problem(401)?;
        ended.api.get("/orders").await?.is_problem(401)?;
    }
    Ok(())
}

/// Another's order, account and session are not found, whoever guesses the id; nor is it told that they are there.
pub(super) async fn what_belongs_to_others(target: Target) -> anyhow::Result<()> {
    let product = target.product(10).await?;
    let ((_, owner), (_, stranger)) = (target.customer().await?, target.customer().await?);
    let order = owner.api.place_order(&[(&product, 1)]).await?;
    let id = order["id"].as_str().context("an id")?;
    let nothing = Uuid::now_v7();
    for path in ["/orders/{}", "/orders/{}/events"] {
        let there = stranger.api.get(path.replace("{}", id)).await?;
        let not_there = stranger.api.get(path.replace("{}", &nothing.to_string())).await?;
        there.is_problem(404)?;
        not_there.is_problem(404)?;
    }
    stranger
        .api
        .set_status(&order, "cancelled")
        .await?
        .is_problem(404)?;
    let owner_id = owner.user["id"].as_str().context("an id")?;
    stranger
        .api
        .get(format!("/orders?user_id={owner_id}"))
        .await?
        .is_problem(403)?;
    stranger
        .api
        .get(format!("/users/{owner_id}"))
        .await?
        .is_problem(403)?;
    let sessions = owner.api.get("/users/me/sessions").await?.is(200)?;
    let session = sessions["items"][0]["id"].as_str().context("a session")?;
    let path = format!("/users/me/sessions/{session}");
    let answer = stranger.api.delete(path).await?;
    ensure!(answer.status().as_u16() != 500, "{answer}");
    owner.api.get("/users/me").await?.is(200)?;
    let mine = stranger.api.get("/orders").await?.is(200)?;
    ensure!(mine["total"] == 0, "{mine}");
    Ok(())
}

/// Fields that would give rights are refused by name, not passed over.
pub(super) async fn rights_that_are_asked_for(target: Target) -> anyhow::Result<()> {
    let shop = target.from_elsewhere()?;
    for (field, value) in [
        ("role", json!("admin")),
        ("is_admin", json!(true)),
        ("id", json!(Uuid::now_v7())),
    ] {
        let mut body = json!({ "email": unique_email(), "password": PASSWORD });
        body[field] = value;
        let problem = shop.anybody().post("/auth/register").json(body).await?;
        problem.is_problem(422)?.names(field)?;
    }
    let (_, session) = target.customer().await?;
    for (method, path) in [("put", "/users/me"), ("patch", &path(&session))] {
        let body = json!({ "role": "admin", "disabled": false });
        let call = session.api.call(method.to_uppercase().parse()?, path);
        let answer = call.json(body).await?;
        ensure!(matches!(answer.status().as_u16(), 403 | 422), "{answer}");
    }
    let me = session.api.get("/users/me").await?.is(200)?;
    ensure!(me["role"] == "user", "{me}");
    Ok(())
}

/// With an admin's token alone, and not his password of a moment ago, nobody makes admins.
pub(super) async fn a_stolen_token_changes_no_rights(target: Target) -> anyhow::Result<()> {
    let (_, accomplice) = target.customer().await?;
    let admin = target.admin().await?;
    sleep(Duration::from_secs(12)).await;
    for change in [json!({ "role": "admin" }), json!({ "disabled": true })] {
        let answer = admin.patch(path(&accomplice)).json(change).await?;
        answer.is_problem(401)?.of_type("recent-login-required")?;
    }
    let account: Value = admin.get(path(&accomplice)).await?.is(200)?;
    ensure!(
        account["role"] == "user" && account["disabled"] == false,
        "{account}"
    );
    Ok(())
}
