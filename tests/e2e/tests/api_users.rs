//! `/users`: one's own profile, and the accounts as an admin sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::process::ExitCode;

use e2e::{Session, Shop, Stack, scenarios, suite, unique_email};
use serde_json::{Value, json};
use uuid::Uuid;

fn main() -> ExitCode {
    suite(
        &Stack::builder(),
        scenarios![
            a_profile_can_be_read_and_changed,
            a_new_password_needs_the_current_one_and_ends_every_session,
            malformed_changes_name_the_field,
            accounts_are_for_admins_only,
            accounts_are_listed_in_pages,
            an_admin_makes_an_admin_and_the_last_one_stays,
            a_disabled_account_can_neither_log_in_nor_refresh,
            unknown_accounts_are_not_found,
        ],
    )
}

async fn a_profile_can_be_read_and_changed(shop: Shop) -> anyhow::Result<()> {
    let Session { api, user, .. } = shop.register(&unique_email(), "long enough").await?;
    let changed = api
        .put("/users/me")
        .json(json!({ "name": "  Grace Hopper " }))
        .await?
        .is(200)?;
    assert_eq!(
        (&changed["id"], &changed["name"]),
        (&user["id"], &json!("Grace Hopper"))
    );
    assert_eq!(api.get("/users/me").await?.is(200)?["name"], "Grace Hopper");
    shop.anybody()
        .put("/users/me")
        .json(json!({ "name": "Nobody" }))
        .await?
        .is_problem(401)?;
    Ok(())
}

async fn a_new_password_needs_the_current_one_and_ends_every_session(shop: Shop) -> anyhow::Result<()> {
    let email = unique_email();
    let session = shop.register(&email, "long enough").await?;
    let change = |body: Value| session.api.put("/users/me").json(body);
    change(json!({ "new_password": "much longer" }))
        .await?
        .is_problem(422)?
        .names("current_password")?;
    change(json!({ "new_password": "much longer", "current_password": "wrong enough" }))
        .await?
        .is_problem(403)?;
    change(json!({ "new_password": "short", "current_password": "long enough" }))
        .await?
        .is_problem(422)?
        .names("new_password")?;
    shop.log_in(&email, "long enough").await?;

    change(json!({ "new_password": "much longer", "current_password": "long enough" }))
        .await?
        .is(200)?;
    shop.log_in(&email, "much longer").await?;
    let credentials = json!({ "email": email, "password": "long enough" });
    shop.anybody()
        .post("/auth/login")
        .json(credentials)
        .await?
        .is_problem(401)?;
    let token = json!({ "refresh_token": session.refresh_token });
    shop.anybody()
        .post("/auth/refresh")
        .json(token)
        .await?
        .is_problem(401)?;
    Ok(())
}

async fn malformed_changes_name_the_field(shop: Shop) -> anyhow::Result<()> {
    let customer = shop.customer().await?;
    for (field, value) in [
        ("name", json!("x".repeat(201))),
        ("name", json!(1)),
        ("email", json!("other@example.com")),
        ("role", json!("admin")),
        ("disabled", json!(false)),
    ] {
        customer
            .put("/users/me")
            .json(json!({ field: value }))
            .await?
            .is_problem(422)?
            .names(field)?;
    }
    let path = format!(
        "/users/{}",
        customer.get("/users/me").await?.is(200)?["id"].as_str().unwrap()
    );
    let admin = shop.admin().await?;
    for (field, value) in [
        ("role", json!("emperor")),
        ("disabled", json!("yes")),
        ("name", json!("Ada")),
    ] {
        admin
            .patch(&path)
            .json(json!({ field: value }))
            .await?
            .is_problem(422)?
            .names(field)?;
    }
    Ok(())
}

async fn accounts_are_for_admins_only(shop: Shop) -> anyhow::Result<()> {
    let Session { api, user, .. } = shop.register(&unique_email(), "long enough").await?;
    let path = format!("/users/{}", user["id"].as_str().unwrap());
    let promotion = json!({ "role": "admin" });
    api.get("/users").await?.is_problem(403)?;
    api.patch(&path).json(promotion.clone()).await?.is_problem(403)?;
    shop.anybody().get("/users").await?.is_problem(401)?;
    shop.anybody()
        .patch(&path)
        .json(promotion)
        .await?
        .is_problem(401)?;
    assert_eq!(api.get("/users/me").await?.is(200)?["role"], "user");
    Ok(())
}

async fn accounts_are_listed_in_pages(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    for _ in 0..3 {
        shop.customer().await?;
    }
    let list = admin.get("/users?page=1&page_size=2").await?.is(200)?;
    assert_eq!((&list["page"], &list["page_size"]), (&json!(1), &json!(2)));
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert!(list["total"].as_u64().unwrap() >= 4, "{list}");
    assert!(
        !list.to_string().contains("argon2"),
        "no hash leaves user-service"
    );
    for query in [
        "page=0",
        "page_size=0",
        "page_size=101",
        "page=-1",
        "page=x",
        "page=99999999999999999999",
    ] {
        let field = query.split('=').next().unwrap();
        admin
            .get(format!("/users?{query}"))
            .await?
            .is_problem(422)?
            .names(field)?;
    }
    Ok(())
}

async fn an_admin_makes_an_admin_and_the_last_one_stays(shop: Shop) -> anyhow::Result<()> {
    let first = shop.admin().await?;
    let me = first.get("/users/me").await?.is(200)?;
    let email = unique_email();
    let account = shop.register(&email, "long enough").await?;
    // No other test makes an admin.
    let change = |user: &Value, body: Value| {
        first
            .patch(format!("/users/{}", user["id"].as_str().unwrap()))
            .json(body)
    };
    for farewell in [json!({ "role": "user" }), json!({ "disabled": true })] {
        change(&me, farewell).await?.is_problem(409)?;
    }
    assert_eq!(first.get("/users/me").await?.is(200)?, me);

    assert_eq!(
        change(&account.user, json!({ "role": "admin" })).await?.is(200)?["role"],
        "admin"
    );
    shop.log_in(&email, "long enough")
        .await?
        .api
        .get("/users")
        .await?
        .is(200)?;
    assert_eq!(
        change(&account.user, json!({ "role": "user" })).await?.is(200)?["role"],
        "user"
    );
    shop.log_in(&email, "long enough")
        .await?
        .api
        .get("/users")
        .await?
        .is_problem(403)?;
    Ok(())
}

async fn a_disabled_account_can_neither_log_in_nor_refresh(shop: Shop) -> anyhow::Result<()> {
    let email = unique_email();
    let account = shop.register(&email, "long enough").await?;
    let admin = shop.admin().await?;
    let path = format!("/users/{}", account.user["id"].as_str().unwrap());
    let log_in = async |password: &str| {
        let credentials = json!({ "email": email, "password": password });
        shop.anybody().post("/auth/login").json(credentials).await
    };
    let disabled = admin
        .patch(&path)
        .json(json!({ "disabled": true }))
        .await?
        .is(200)?;
    assert_eq!(disabled["disabled"], true);
    log_in("long enough").await?.is_problem(403)?;
    // Only who knows the password learns that.
    log_in("wrong enough").await?.is_problem(401)?;
    let token = json!({ "refresh_token": account.refresh_token });
    shop.anybody()
        .post("/auth/refresh")
        .json(token)
        .await?
        .is_problem(401)?;

    admin
        .patch(&path)
        .json(json!({ "disabled": false }))
        .await?
        .is(200)?;
    log_in("long enough").await?.is(200)?;
    Ok(())
}

async fn unknown_accounts_are_not_found(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let change = json!({ "disabled": true });
    admin
        .patch(format!("/users/{}", Uuid::now_v7()))
        .json(change.clone())
        .await?
        .is_problem(404)?;
    admin
        .patch("/users/not-a-uuid")
        .json(change)
        .await?
        .is_problem(422)?
        .names("id")?;
    Ok(())
}
