//! Who changed what: every operation that changes something is in the audit with who did it, to what, from where and in which
//! trace, or it is said here why not.
#![allow(missing_docs)]

mod reading;

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::{Context as _, ensure};
use e2e::{Api, Authenticator, Kind, Service, Session, Shop, Stack, otlp::Receiver, unique_email};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse";
const NEW_PASSWORD: &str = "eig8t#88 and more";
/// Where the requests come from that are looked for: the address itself, not its network.
const FROM: &str = "2001:db8::7:1";

/// How an operation is recorded.
enum Recorded {
    /// By these actions.
    As(&'static [&'static str]),
    /// Not at all, since
    Not(&'static str),
}
use Recorded::{As, Not};

/// Every operation of the OpenAPI document that changes something. A new one belongs here.
const CHANGES: [(&str, &str, Recorded); 19] = [
    ("post", "/auth/register", As(&["user.registered"])),
    (
        "post",
        "/auth/login",
        Not("a session says itself when and from where it was opened"),
    ),
    // Of a token that was spent before.
    ("post", "/auth/refresh", As(&["user.session_revoked"])),
    ("post", "/auth/logout", As(&["user.session_ended"])),
    ("put", "/users/me", As(&["user.renamed", "user.password_changed"])),
    (
        "post",
        "/users/me/mfa",
        Not("nothing is another before a code confirms it"),
    ),
    ("post", "/users/me/mfa/confirm", As(&["user.second_factor_added"])),
    ("delete", "/users/me/mfa", As(&["user.second_factor_removed"])),
    ("delete", "/users/{id}/mfa", As(&["user.second_factor_removed"])),
    ("delete", "/users/me/sessions", As(&["user.sessions_ended"])),
    ("delete", "/users/me/sessions/{id}", As(&["user.session_ended"])),
    (
        "patch",
        "/users/{id}",
        As(&["user.role_changed", "user.disabled", "user.enabled"]),
    ),
    ("post", "/products", As(&["product.created"])),
    ("patch", "/products/{id}", As(&["product.updated"])),
    ("delete", "/products/{id}", As(&["product.deleted"])),
    ("post", "/products/{id}/stock", As(&["stock.adjusted"])),
    (
        "post",
        "/orders",
        Not("an order says itself who placed it, and when; it is the way that must cost nothing more"),
    ),
    (
        "patch",
        "/orders/{id}",
        As(&["order.cancelled", "order.completed"]),
    ),
    (
        "post",
        "/dead-letters/redrive",
        Not(
            "nothing of the shop is another by it, and consumer-service keeps nothing: its log says who did it",
        ),
    ),
];

/// Something that was done, and is to be found.
struct Deed {
    /// As its server span is called: method and route.
    operation: &'static str,
    action: &'static str,
    kind: &'static str,
    /// The account; none where it can't be known.
    actor: Option<String>,
    subject: String,
}

fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap_or_default().to_owned()
}

async fn log_in(shop: &Shop, email: &str) -> anyhow::Result<Session> {
    shop.log_in(email, NEW_PASSWORD).await
}

async fn refreshed(shop: &Shop, token: &str) -> anyhow::Result<String> {
    let body = json!({ "refresh_token": token });
    let answer = shop.anybody().post("/auth/refresh").json(body).await?.is(200)?;
    Ok(shop.session(&answer)?.refresh_token)
}

/// Switches a second factor on, and returns its recovery codes.
async fn second_factor(api: &Api) -> anyhow::Result<Value> {
    let begun = api.post("/users/me/mfa").await?.is(200)?;
    let app = Authenticator::new(begun["secret"].as_str().context("a secret")?)?;
    let code = json!({ "code": app.code(0)? });
    let confirm = api.post("/users/me/mfa/confirm").json(code);
    let confirmed = confirm.header("x-forwarded-for", FROM).await?.is(200)?;
    Ok(confirmed["recovery_codes"].clone())
}

/// What somebody does to an account of their own.
async fn own_deeds(shop: &Shop, email: &str) -> anyhow::Result<(Value, Vec<Deed>)> {
    let mut deeds = Vec::new();
    let account = json!({ "email": email, "password": PASSWORD });
    let register = shop.anybody().post("/auth/register").json(account);
    let answer = register.header("x-forwarded-for", FROM).await?.is(201)?;
    let session = shop.session(&answer)?;
    let user = session.user.clone();
    let mut did = |operation, action| {
        deeds.push(Deed {
            operation,
            action,
            kind: "user",
            actor: Some(id(&user)),
            subject: id(&user),
        });
    };
    did("POST /auth/register", "user.registered");
    let change = |body| session.api.put("/users/me").json(body);
    let rename = change(json!({ "name": "Ada" }));
    rename.header("x-forwarded-for", FROM).await?.is(200)?;
    did("PUT /users/me", "user.renamed");
    let password = change(json!({ "new_password": NEW_PASSWORD, "current_password": PASSWORD }));
    password.header("x-forwarded-for", FROM).await?.is(200)?;
    did("PUT /users/me", "user.password_changed");

    let session = log_in(shop, email).await?;
    let token = json!({ "refresh_token": session.refresh_token });
    let log_out = shop.anybody().post("/auth/logout").json(token);
    log_out.header("x-forwarded-for", FROM).await?.is(204)?;
    did("POST /auth/logout", "user.session_ended");
    let session = log_in(shop, email).await?;
    let sessions = session.api.get("/users/me/sessions").await?.is(200)?;
    let end = session
        .api
        .delete(format!("/users/me/sessions/{}", id(&sessions["items"][0])));
    end.header("x-forwarded-for", FROM).await?.is(204)?;
    did("DELETE /users/me/sessions/{id}", "user.session_ended");
    let session = log_in(shop, email).await?;
    let codes = second_factor(&session.api).await?;
    did("POST /users/me/mfa/confirm", "user.second_factor_added");
    let proof = json!({ "recovery_code": codes[0] });
    let remove = session.api.delete("/users/me/mfa").json(proof);
    remove.header("x-forwarded-for", FROM).await?.is(204)?;
    did("DELETE /users/me/mfa", "user.second_factor_removed");

    let end_all = log_in(shop, email).await?.api.delete("/users/me/sessions");
    end_all.header("x-forwarded-for", FROM).await?.is(204)?;
    did("DELETE /users/me/sessions", "user.sessions_ended");

    let first = log_in(shop, email).await?.refresh_token;
    let second = refreshed(shop, &first).await?;
    refreshed(shop, &second).await?;
    let body = json!({ "refresh_token": first });
    let reuse = shop.anybody().post("/auth/refresh").json(body);
    reuse.header("x-forwarded-for", FROM).await?.is_problem(401)?;
    deeds.push(Deed {
        operation: "POST /auth/refresh",
        action: "user.session_revoked",
        kind: "anonymous",
        actor: None,
        subject: id(&user),
    });
    Ok((user, deeds))
}

/// What an admin does to somebody's account, to a product and to an order.
async fn an_admins_deeds(shop: &Shop, user: &Value) -> anyhow::Result<Vec<Deed>> {
    let admin = shop.admin().await?;
    let me = id(&admin.get("/users/me").await?.is(200)?);
    let mut deeds = Vec::new();
    let mut did = |operation, action, subject: &Value| {
        deeds.push(Deed {
            operation,
            action,
            kind: "admin",
            actor: Some(me.clone()),
            subject: id(subject),
        });
    };
    for (change, action) in [
        (json!({ "role": "admin" }), "user.role_changed"),
        (json!({ "disabled": true }), "user.disabled"),
        (json!({ "disabled": false }), "user.enabled"),
    ] {
        let change = admin.patch(format!("/users/{}", id(user))).json(change);
        change.header("x-forwarded-for", FROM).await?.is(200)?;
        did("PATCH /users/{id}", action, user);
    }
    let other = shop.register(&unique_email(), PASSWORD).await?;
    second_factor(&other.api).await?;
    let remove = admin.delete(format!("/users/{}/mfa", id(&other.user)));
    remove.header("x-forwarded-for", FROM).await?.is(204)?;
    did(
        "DELETE /users/{id}/mfa",
        "user.second_factor_removed",
        &other.user,
    );
    let new = admin
        .post("/products")
        .json(json!({ "name": "Cup", "price": 12, "currency": "USD", "stock": 5 }));
    let product = new.header("x-forwarded-for", FROM).await?.is(201)?;
    did("POST /products", "product.created", &product);
    let path = format!("/products/{}", id(&product));
    let change = admin.patch(&path).json(json!({ "price": 8.99 }));
    change.header("x-forwarded-for", FROM).await?.is(200)?;
    did("PATCH /products/{id}", "product.updated", &product);
    let adjust = admin
        .post(format!("{path}/stock"))
        .json(json!({ "delta": 4, "reason": "delivery" }));
    adjust.header("x-forwarded-for", FROM).await?.is(200)?;
    did("POST /products/{id}/stock", "stock.adjusted", &product);
    let order = admin.decided(&admin.place_order(&[(&product, 1)]).await?).await?;
    let complete = admin
        .patch(format!("/orders/{}", id(&order)))
        .json(json!({ "status": "completed" }));
    complete.header("x-forwarded-for", FROM).await?.is(200)?;
    did("PATCH /orders/{id}", "order.completed", &order);
    admin
        .delete(&path)
        .header("x-forwarded-for", FROM)
        .await?
        .is(200)?;
    did("DELETE /products/{id}", "product.deleted", &product);
    Ok(deeds)
}

/// A customer cancels.
async fn a_customers_deed(shop: &Shop) -> anyhow::Result<Deed> {
    let product = shop.admin().await?.new_product("12", 5).await?;
    let customer = shop.customer().await?;
    let me = id(&customer.get("/users/me").await?.is(200)?);
    let order = customer.place_order(&[(&product, 1)]).await?;
    let cancel = customer
        .patch(format!("/orders/{}", id(&order)))
        .json(json!({ "status": "cancelled" }));
    cancel.header("x-forwarded-for", FROM).await?.is(200)?;
    Ok(Deed {
        operation: "PATCH /orders/{id}",
        action: "order.cancelled",
        kind: "user",
        actor: Some(me),
        subject: id(&order),
    })
}

/// The record of a deed: the one that was part of the trace of its request.
async fn find(admin: &Api, receiver: &Receiver, deed: &Deed) -> anyhow::Result<Value> {
    let mut path = format!("/audit?subject={}&action={}", deed.subject, deed.action);
    if let Some(actor) = &deed.actor {
        path = format!("{path}&actor={actor}");
    }
    let page = admin.get(path).await?.is(200)?;
    let records = page["items"].as_array().context("items")?;
    let is_of_the_request = |spans: &Receiver, record: &&Value| {
        let trace = spans.trace(record["trace_id"].as_str().unwrap_or_default());
        trace.one("api-gateway", Kind::Server, deed.operation).is_ok()
    };
    let what = format!("{} of {}, of {page}", deed.action, deed.operation);
    receiver
        .wait_for(&what, |spans| {
            let record = records.iter().find(|record| is_of_the_request(spans, record));
            record.cloned()
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_recorded_with_who_what_where_and_its_trace() -> anyhow::Result<()> {
    let receiver = Receiver::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let builder = Stack::builder()
        .with_otlp(&receiver)
        .with_env(Service::Gateway, "TRUSTED_PROXIES", "1");
    let stack = builder.start().await?;
    let shop = stack.shop();
    let admin = shop.admin().await?;

    let document = shop.anybody().get("/openapi.json").await?.is(200)?;
    for (path, item) in document["paths"].as_object().context("paths")? {
        for method in item.as_object().context("operations")?.keys() {
            ensure!(
                method == "get" || CHANGES.iter().any(|(known, of, _)| known == method && of == path),
                "how is {method} {path} recorded?"
            );
        }
    }

    let (user, mut deeds) = own_deeds(shop, &unique_email()).await?;
    deeds.extend(an_admins_deeds(shop, &user).await?);
    deeds.push(a_customers_deed(shop).await?);
    for deed in &deeds {
        let record = find(&admin, &receiver, deed).await?;
        let actor = &record["actor"];
        ensure!(
            actor["kind"] == deed.kind && actor["user_id"] == json!(deed.actor),
            "{record}"
        );
        ensure!(actor["address"] == FROM, "{record}");
        ensure!(
            actor["session_id"].is_string() == deed.actor.is_some(),
            "{record}"
        );
        ensure!(record["subject"]["id"] == deed.subject, "{record}");
    }
    let done: BTreeSet<String> = deeds
        .iter()
        .map(|deed| format!("{} {}", deed.operation, deed.action))
        .collect();
    let mut expected = BTreeSet::new();
    for (method, path, recorded) in &CHANGES {
        match recorded {
            As(actions) => expected.extend(
                actions
                    .iter()
                    .map(|action| format!("{} {path} {action}", method.to_uppercase())),
            ),
            Not(why) => ensure!(!why.is_empty(), "{path}"),
        }
    }
    ensure!(done == expected, "{done:#?} of {expected:#?}");

    // What is said of a change, and of one that nobody asked for.
    let adjusted = admin.get("/audit?action=stock.adjusted").await?.is(200)?;
    let record = &adjusted["items"][0];
    ensure!(
        record["reason"] == "delivery"
            && record["changes"] == json!([{ "field": "stock", "old": "5", "new": "9" }]),
        "{record}"
    );
    let first = admin
        .get("/audit?action=user.first_admin_created")
        .await?
        .is(200)?;
    let record = &first["items"][0];
    ensure!(
        record["actor"] == json!({ "kind": "system", "user_id": null, "session_id": null, "address": null })
            && record["trace_id"].is_null(),
        "{record}"
    );
    let placed = admin.get("/audit?action=order.created").await?.is(200)?;
    ensure!(placed["items"] == json!([]), "{placed}");
    stack.stop().await
}
