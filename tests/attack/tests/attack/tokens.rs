//! Tokens that are forged, copied, or carried where they don't belong.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use attack::{PASSWORD, Target};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token that we did not sign as it is opens nothing.
pub(super) async fn forged(target: Target) -> anyhow::Result<()> {
    let (shop, session) = target.customer().await?;
    let token = session.api.token().context("a token")?;
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else {
        anyhow::bail!("a token has three parts")
    };
    let mut own: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    let known: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head)?)?;
    own["role"] = json!("admin");
    let raised = part(&own);
    let with = |algorithm: &str| part(&json!({ "alg": algorithm, "typ": "JWT", "kid": known["kid"] }));
    let elsewhere = part(
        &json!({ "alg": known["alg"], "kid": "../../../../dev/null", "jku": "http://127.0.0.1:1/keys", "jwk": {} }),
    );
    let forged = [
        format!("{head}.{raised}.{signature}"),
        format!("{}.{raised}.", with("none")),
        format!("{}.{raised}.{signature}", with("HS256")),
        format!("{elsewhere}.{raised}.{signature}"),
        format!("{head}.{claims}."),
        format!("{head}.{claims}"),
        format!("{head}.{claims}.{signature}."),
        format!("{head}.{claims}.{}", "A".repeat(86)),
        "x".repeat(6_000),
    ];
    for token in forged {
        let bearer = shop.holder_of(&token);
        for path in ["/users", "/users/me", "/orders"] {
            let answer = bearer.get(path).await?;
            answer
                .is_problem(401)
                .with_context(|| format!("{path} with {token}"))?;
        }
    }
    session.api.get("/users/me").await?.is(200)?;
    Ok(())
}

/// A token counts in its header alone: what stands in a URL ends up in logs and histories.
pub(super) async fn elsewhere_than_in_the_header(target: Target) -> anyhow::Result<()> {
    let (shop, session) = target.customer().await?;
    let token = session.api.token().context("a token")?.to_owned();
    for name in ["token", "access_token", "authorization"] {
        let answer = shop.anybody().get(format!("/users/me?{name}={token}")).await?;
        answer.is_problem(401)?;
        ensure!(!answer.text().contains(&token), "{answer}");
    }
    let cookie = shop
        .anybody()
        .get("/users/me")
        .header("cookie", format!("token={token}"));
    cookie.await?.is_problem(401)?;
    for scheme in ["Basic", "Token", "bearer,bearer", ""] {
        let call = shop.anybody().get("/users/me");
        let call = call.header("authorization", format!("{scheme} {token}").trim());
        call.await?.is_problem(401)?;
    }
    Ok(())
}

/// Who copied a refresh token is found out, and whoever lost an answer is not.
pub(super) async fn refresh_tokens_that_were_copied(target: Target) -> anyhow::Result<()> {
    let (shop, session) = target.customer().await?;
    let refresh = async |token: &str| {
        let body = json!({ "refresh_token": token });
        shop.anybody().post("/auth/refresh").json(body).await
    };
    // Two tabs at once: the same successor, and both go on.
    let (one, other) = tokio::join!(refresh(&session.refresh_token), refresh(&session.refresh_token));
    let (one, other) = (one?.is(200)?, other?.is(200)?);
    ensure!(one["refresh_token"] == other["refresh_token"], "two successors");
    let next = refresh(one["refresh_token"].as_str().context("a token")?)
        .await?
        .is(200)?;
    // The copy of the first is of the past now.
    refresh(&session.refresh_token).await?.is_problem(401)?;
    let last = next["refresh_token"].as_str().context("a token")?;
    refresh(last)
        .await?
        .is_problem(401)
        .context("the family has ended")?;
    sleep(Duration::from_millis(1_200)).await;
    shop.session(&next)?.api.get("/users/me").await?.is_problem(401)?;
    Ok(())
}

/// Nobody reads on when the session, the account or its rights have ended.
pub(super) async fn streams_that_go_on(target: Target) -> anyhow::Result<()> {
    let product = target.product(10).await?;
    let admin = target.admin().await?;
    let (shop, session) = target.customer().await?;
    // More than there is: an order that stays as it is would be better, but none does here.
    let order = session.api.place_order(&[(&product, 1)]).await?;
    session.api.decided(&order).await?;
    let path = format!("/orders/{}/events", order["id"].as_str().context("an id")?);
    let mut events = session.api.get(&path).events().await?;
    events.next().await?.context("the order as it is")?;
    let user = format!("/users/{}", session.user["id"].as_str().context("an id")?);
    let change = admin.patch(user).json(json!({ "disabled": true }));
    change.await?.is(200)?;
    let rest = async {
        while events.next().await?.is_some() {}
        anyhow::Ok(())
    };
    timeout(Duration::from_millis(1_500), rest)
        .await
        .context("the stream goes on")??;
    session.api.get(&path).await?.is_problem(401)?;
    let credentials = json!({ "email": session.user["email"], "password": PASSWORD });
    shop.anybody()
        .post("/auth/login")
        .json(credentials)
        .await?
        .is_problem(403)?;
    Ok(())
}
