//! `/auth/*`: who gets a session, and who does not.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::process::ExitCode;

use e2e::{Shop, Stack, scenarios, suite, unique_email};
use serde_json::{Value, json};

fn main() -> ExitCode {
    suite(
        &Stack::builder(),
        scenarios![
            registering_opens_a_session,
            a_role_in_the_body_never_makes_an_admin,
            an_address_registers_once_however_it_is_written,
            logging_in_opens_a_session,
            an_unknown_address_and_a_wrong_password_are_the_same_refusal,
            a_refresh_token_works_once_and_its_reuse_ends_the_family,
            logging_out_ends_the_session,
            a_token_that_is_not_ours_opens_nothing,
            malformed_registrations_name_the_field,
            malformed_bodies_are_refused,
        ],
    )
}

async fn registering_opens_a_session(shop: Shop) -> anyhow::Result<()> {
    let email = unique_email();
    let account = json!({ "email": email, "password": "tr0ub4dor&3", "name": "Ada" });
    let answer = shop.anybody().post("/auth/register").json(account).await?;
    assert!(!answer.text().contains("tr0ub4dor"), "{answer}");
    let answer = answer.is(201)?;
    let user = &answer["user"];
    assert_eq!(
        (&user["email"], &user["name"], &user["role"]),
        (&json!(email), &json!("Ada"), &json!("user"))
    );
    let me = shop.session(&answer)?.api.get("/users/me").await?.is(200)?;
    assert_eq!(&me, user, "the token is the new account's");
    Ok(())
}

async fn a_role_in_the_body_never_makes_an_admin(shop: Shop) -> anyhow::Result<()> {
    for field in ["role", "is_admin", "admin"] {
        let account = json!({ "email": unique_email(), "password": "long enough", field: "admin" });
        let answer = shop
            .anybody()
            .post("/auth/register")
            .json(account.clone())
            .await?;
        answer.is_problem(422)?.names(field)?;
        let credentials = json!({ "email": account["email"], "password": account["password"] });
        shop.anybody()
            .post("/auth/login")
            .json(credentials)
            .await?
            .is_problem(401)?;
    }
    Ok(())
}

async fn an_address_registers_once_however_it_is_written(shop: Shop) -> anyhow::Result<()> {
    let email = unique_email();
    shop.register(&email, "long enough").await?;
    for spelling in [email.clone(), email.to_uppercase(), format!("  {email} ")] {
        let account = json!({ "email": spelling, "password": "long enough" });
        shop.anybody()
            .post("/auth/register")
            .json(account)
            .await?
            .is_problem(409)?;
    }
    shop.log_in(&email.to_uppercase(), "long enough").await?;
    Ok(())
}

async fn logging_in_opens_a_session(shop: Shop) -> anyhow::Result<()> {
    let email = unique_email();
    let registered = shop.register(&email, "long enough").await?;
    let credentials = json!({ "email": email, "password": "long enough" });
    let answer = shop
        .anybody()
        .post("/auth/login")
        .json(credentials)
        .await?
        .is(200)?;
    assert_eq!(answer["user"]["id"], registered.user["id"]);
    assert_eq!(answer["expires_in"], 900, "a quarter of an hour");
    shop.session(&answer)?.api.get("/users/me").await?.is(200)?;
    Ok(())
}

async fn an_unknown_address_and_a_wrong_password_are_the_same_refusal(shop: Shop) -> anyhow::Result<()> {
    let email = unique_email();
    shop.register(&email, "long enough").await?;
    let mut refusals = Vec::new();
    for (email, password) in [
        (email.clone(), "wrong enough"),
        (unique_email(), "long enough"),
        (email, ""),
    ] {
        let credentials = json!({ "email": email, "password": password });
        let refusal = shop
            .anybody()
            .post("/auth/login")
            .json(credentials)
            .await?
            .is_problem(401)?;
        let mut document = refusal.document().clone();
        document["trace_id"] = Value::Null;
        refusals.push(document);
    }
    assert!(
        refusals.iter().all(|refusal| refusal == &refusals[0]),
        "{refusals:?}"
    );
    Ok(())
}

async fn a_refresh_token_works_once_and_its_reuse_ends_the_family(shop: Shop) -> anyhow::Result<()> {
    let first = shop.register(&unique_email(), "long enough").await?;
    let refresh = async |token: &str| {
        shop.anybody()
            .post("/auth/refresh")
            .json(json!({ "refresh_token": token }))
            .await
    };
    let second = shop.session(&refresh(&first.refresh_token).await?.is(200)?)?;
    assert_eq!(second.user["id"], first.user["id"]);
    assert_ne!(second.refresh_token, first.refresh_token);
    second.api.get("/users/me").await?.is(200)?;

    // The answer may have been lost: it is given again.
    let again = refresh(&first.refresh_token).await?.is(200)?;
    assert_eq!(again["refresh_token"], second.refresh_token);
    let third = shop.session(&refresh(&second.refresh_token).await?.is(200)?)?;

    refresh(&first.refresh_token).await?.is_problem(401)?;
    // A spent token in use means that it was stolen: whoever holds the family's newest has to log in again.
    refresh(&third.refresh_token).await?.is_problem(401)?;
    refresh("no such token").await?.is_problem(401)?;
    Ok(())
}

async fn logging_out_ends_the_session(shop: Shop) -> anyhow::Result<()> {
    let session = shop.register(&unique_email(), "long enough").await?;
    let token = json!({ "refresh_token": session.refresh_token });
    shop.anybody()
        .post("/auth/logout")
        .json(token.clone())
        .await?
        .is(204)?;
    shop.anybody()
        .post("/auth/refresh")
        .json(token.clone())
        .await?
        .is_problem(401)?;
    shop.anybody().post("/auth/logout").json(token).await?.is(204)?;
    Ok(())
}

async fn a_token_that_is_not_ours_opens_nothing(shop: Shop) -> anyhow::Result<()> {
    let ours = shop.customer().await?.token().unwrap().to_owned();
    let (head, signature) = ours.rsplit_once('.').unwrap();
    let (header, claims) = head.split_once('.').unwrap();
    let other = shop.customer().await?.token().unwrap().to_owned();
    let other_claims = other.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    for token in [
        String::new(),
        "nonsense".to_owned(),
        format!("{head}."),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{header}.{other_claims}.{signature}"),
    ] {
        let answer = shop.holder_of(&token).get("/users/me").await?;
        answer.is_problem(401)?;
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Bearer"), "{challenge}");
    }
    shop.anybody()
        .get("/users/me")
        .header("authorization", "Basic YTpi")
        .await?
        .is_problem(401)?;
    shop.anybody().get("/users/me").await?.is_problem(401)?;
    Ok(())
}

async fn malformed_registrations_name_the_field(shop: Shop) -> anyhow::Result<()> {
    let good = json!({ "email": unique_email(), "password": "long enough", "name": "Ada" });
    for (field, value) in [
        ("email", json!("not an address")),
        ("email", json!("")),
        ("email", json!(format!("{}@example.com", "a".repeat(300)))),
        ("email", json!(7)),
        ("password", json!("seven77")),
        ("password", json!("x".repeat(129))),
        ("password", json!(["long enough"])),
        ("password", Value::Null),
        ("name", json!("x".repeat(201))),
        ("name", json!({})),
        ("surname", json!("Lovelace")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        shop.anybody()
            .post("/auth/register")
            .json(body)
            .await?
            .is_problem(422)?
            .names(field)?;
    }
    for field in ["email", "password"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        shop.anybody()
            .post("/auth/register")
            .json(body)
            .await?
            .is_problem(422)?
            .names(field)?;
    }
    // Length is counted in characters.
    let account = json!({ "email": unique_email(), "password": "Пароль12" });
    shop.anybody()
        .post("/auth/register")
        .json(account)
        .await?
        .is(201)?;
    Ok(())
}

async fn malformed_bodies_are_refused(shop: Shop) -> anyhow::Result<()> {
    let log_in = || shop.anybody().post("/auth/login");
    for body in ["", "{", "{\"email\":}", "\"text\" trailing", "\u{0}"] {
        log_in().body("application/json", body).await?.is_problem(400)?;
    }
    log_in().json(json!([1, 2])).await?.is_problem(422)?;
    log_in().body("text/plain", "email=a").await?.is_problem(415)?;
    log_in()
        .body("application/x-www-form-urlencoded", "email=a")
        .await?
        .is_problem(415)?;
    shop.anybody().get("/auth/login").await?.is_problem(405)?;
    shop.anybody().post("/auth/nothing").await?.is_problem(404)?;
    Ok(())
}
