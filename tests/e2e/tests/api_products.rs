//! `/products`: the catalogue and its stock.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::process::ExitCode;

use e2e::{Api, Shop, Stack, scenarios, suite};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

fn main() -> ExitCode {
    suite(
        &Stack::builder(),
        scenarios![
            a_product_is_as_it_was_added,
            prices_are_exact,
            malformed_products_name_the_field,
            a_sku_is_unique_until_its_product_is_deleted,
            a_change_touches_only_what_it_names,
            if_match_guards_changes_and_deletions,
            a_deleted_product_is_gone_but_old_orders_keep_it,
            stock_moves_by_hand_and_never_below_zero,
            the_catalogue_is_kept_by_admins_only,
            unknown_products_are_not_found,
        ],
    )
}

fn path(product: &Value) -> String {
    format!(
        "/products/{}",
        product["id"].as_str().expect("a product has an id")
    )
}

async fn a_product_is_as_it_was_added(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let sku = Uuid::now_v7().to_string();
    let product = json!({
        "sku": sku, "name": "Kettle", "description": "Boils water.", "price": 10.99, "currency": "EUR", "stock": 7,
        "category": "kitchen", "image_url": "https://images.example/kettle.png",
    });
    let added = admin.post("/products").json(product.clone()).await?.is(201)?;
    for (field, value) in product.as_object().unwrap() {
        assert_eq!(&added[field], value, "{field}");
    }
    assert_eq!(added["version"], 1);
    assert_eq!(
        Uuid::parse_str(added["id"].as_str().unwrap())?.get_version_num(),
        7
    );
    assert!(added["created_at"].as_str().unwrap().ends_with('Z'), "{added}");
    assert_eq!(
        shop.anybody().get(path(&added)).await?.is(200)?,
        added,
        "anyone sees it"
    );
    Ok(())
}

async fn prices_are_exact(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    for (price, currency) in [
        ("0", "USD"),
        ("0.1", "USD"),
        ("0.30", "EUR"),
        ("92233720368547.07", "USD"),
        ("500", "JPY"),
        ("1.234", "KWD"),
    ] {
        let body = format!(r#"{{"name":"Exact","price":{price},"currency":"{currency}"}}"#);
        let added = admin.post("/products").body("application/json", body).await?;
        added.is(201)?;
        // As it was written: a JSON library of our own side would round it.
        let written = format!(r#""price":{},"#, plain(price));
        assert!(added.to_string().contains(&written), "{added}");
    }
    for (price, currency) in [
        ("10.999", "USD"),
        ("0.5", "JPY"),
        ("1e400", "USD"),
        ("-0.01", "USD"),
        ("\"10\"", "USD"),
    ] {
        let body = format!(r#"{{"name":"Not exact","price":{price},"currency":"{currency}"}}"#);
        admin
            .post("/products")
            .body("application/json", body)
            .await?
            .is_problem(422)?
            .names("price")?;
    }
    Ok(())
}

/// A decimal without the zeros at its end that say nothing.
fn plain(decimal: &str) -> &str {
    if decimal.contains('.') {
        decimal.trim_end_matches('0').trim_end_matches('.')
    } else {
        decimal
    }
}

async fn malformed_products_name_the_field(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let good = json!({ "name": "Kettle", "price": 10.99 });
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("   ")),
        ("name", json!("x".repeat(201))),
        ("name", Value::Null),
        ("description", json!("x".repeat(10_001))),
        ("price", Value::Null),
        ("price", json!("cheap")),
        ("price", json!(1_000_000_000_000_000_000_u64)),
        ("currency", json!("dollars")),
        ("currency", json!("usd")),
        ("stock", json!(-1)),
        ("stock", json!(1.5)),
        ("stock", json!(1_000_000_001)),
        ("stock", serde_json::from_str("99999999999999999999")?),
        ("image_url", json!("javascript:alert(1)")),
        ("image_url", json!("/kettle.png")),
        ("colour", json!("red")),
        ("id", json!(Uuid::now_v7())),
        ("version", json!(9)),
    ] {
        let mut body = good.clone();
        body[field] = value;
        admin
            .post("/products")
            .json(body)
            .await?
            .is_problem(422)?
            .names(field)?;
    }
    admin
        .post("/products")
        .json(json!({ "name": "Free?" }))
        .await?
        .is_problem(422)?
        .names("price")?;
    Ok(())
}

async fn a_sku_is_unique_until_its_product_is_deleted(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let product = json!({ "sku": Uuid::now_v7(), "name": "Kettle", "price": 1 });
    let add = || admin.post("/products").json(product.clone());
    let first = add().await?.is(201)?;
    add().await?.is_problem(409)?;
    let other = admin.new_product("1", 1).await?;
    admin
        .patch(path(&other))
        .json(json!({ "sku": product["sku"] }))
        .await?
        .is_problem(409)?;
    admin.delete(path(&first)).await?.is(200)?;
    add().await?.is(201)?;
    Ok(())
}

async fn a_change_touches_only_what_it_names(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let before = admin.new_product("10.99", 4).await?;
    let after = admin
        .patch(path(&before))
        .json(json!({ "price": 12.5, "category": "sale" }))
        .await?
        .is(200)?;
    assert_eq!(
        (&after["price"], &after["category"]),
        (&json!(12.5), &json!("sale"))
    );
    for field in [
        "id",
        "sku",
        "name",
        "description",
        "currency",
        "stock",
        "created_at",
    ] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(after["version"], 2);
    for (field, value) in [
        ("stock", json!(9)),
        ("version", json!(7)),
        ("price", json!(-1)),
        ("name", json!("")),
    ] {
        admin
            .patch(path(&before))
            .json(json!({ field: value }))
            .await?
            .is_problem(422)?
            .names(field)?;
    }
    assert_eq!(admin.get(path(&before)).await?.is(200)?, after);
    Ok(())
}

async fn if_match_guards_changes_and_deletions(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let product = admin.new_product("10.99", 4).await?;
    let change = |version: &str| {
        let name = json!({ "name": format!("Changed at {version}") });
        admin.patch(path(&product)).header("if-match", version).json(name)
    };
    let read = admin.get(path(&product)).await?;
    let tag = read.header("etag").expect("a product has a tag").to_owned();
    assert!(tag.starts_with("\"1-"), "{tag}");
    change(&tag).await?.is(200)?;
    change(&tag).await?.is_problem(412)?;
    change("*").await?.is(200)?;
    let delete = |version: &str| admin.delete(path(&product)).header("if-match", version);
    delete("\"2\"").await?.is_problem(412)?;
    assert_eq!(admin.get(path(&product)).await?.is(200)?["version"], 3);
    delete("\"3\"").await?.is(200)?;
    Ok(())
}

async fn a_deleted_product_is_gone_but_old_orders_keep_it(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("3.10", 5).await?;
    let order = customer.place_order(&[(&product, 2)]).await?;
    assert_eq!(customer.decided(&order).await?["status"], "confirmed");

    admin
        .patch(path(&product))
        .json(json!({ "price": 99, "name": "Dearer" }))
        .await?
        .is(200)?;
    let deleted = admin.delete(path(&product)).await?.is(200)?;
    assert_eq!(deleted["id"], product["id"]);
    admin.get(path(&product)).await?.is_problem(404)?;
    admin.delete(path(&product)).await?.is_problem(404)?;
    admin
        .patch(path(&product))
        .json(json!({ "price": 1 }))
        .await?
        .is_problem(404)?;
    let refused = customer
        .post("/orders")
        .json(e2e::order_of(&[(&product, 1)]))
        .await?;
    refused.is_problem(422)?.names("items[0].product_id")?;

    let kept = customer
        .get(format!("/orders/{}", order["id"].as_str().unwrap()))
        .await?
        .is(200)?;
    let line = &kept["items"][0];
    assert_eq!(
        (&line["name"], &line["price"]),
        (&product["name"], &product["price"]),
        "{kept}"
    );
    assert_eq!(kept["total"], json!(6.2), "{kept}");
    Ok(())
}

async fn stock_moves_by_hand_and_never_below_zero(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let product = admin.new_product("1", 5).await?;
    let stock = format!("{}/stock", path(&product));
    let adjust = |delta: Value| {
        admin
            .post(&stock)
            .json(json!({ "delta": delta, "reason": "stocktaking" }))
    };

    assert_eq!(adjust(json!(10)).await?.is(200)?["stock"], 15);
    assert_eq!(adjust(json!(-15)).await?.is(200)?["stock"], 0);
    adjust(json!(-1)).await?.is_problem(409)?;
    assert_eq!(admin.stock_of(&product).await?, 0);
    for delta in [
        json!(0),
        json!(0.5),
        json!("1"),
        json!(1_000_000_001),
        serde_json::from_str("9223372036854775808")?,
    ] {
        adjust(delta).await?.is_problem(422)?.names("delta")?;
    }
    admin
        .post(&stock)
        .json(json!({ "delta": 1 }))
        .await?
        .is_problem(422)?
        .names("reason")?;
    admin
        .post(&stock)
        .json(json!({ "delta": 1, "reason": "" }))
        .await?
        .is_problem(422)?
        .names("reason")?;

    let ledger = admin.get(format!("{stock}/movements")).await?.is(200)?;
    let movements = ledger["items"].as_array().unwrap();
    let told: Vec<Value> = movements
        .iter()
        .map(|movement| json!([movement["kind"], movement["delta"]]))
        .collect();
    assert_eq!(
        json!(told),
        json!([["adjustment", -15], ["adjustment", 10], ["initial", 5]]),
        "newest first"
    );
    assert_eq!(
        (&ledger["total"], &movements[0]["reason"]),
        (&json!(3), &json!("stocktaking"))
    );
    Ok(())
}

async fn the_catalogue_is_kept_by_admins_only(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer, anybody) = (shop.admin().await?, shop.customer().await?, shop.anybody());
    let product = admin.new_product("1", 1).await?;
    let one = path(&product);
    let calls = [
        (
            Method::POST,
            "/products".to_owned(),
            json!({ "name": "Mine", "price": 1 }),
        ),
        (Method::PATCH, one.clone(), json!({ "price": 0 })),
        (Method::DELETE, one.clone(), Value::Null),
        (
            Method::POST,
            format!("{one}/stock"),
            json!({ "delta": 1, "reason": "gift" }),
        ),
        (Method::GET, format!("{one}/stock/movements"), Value::Null),
    ];
    for (method, path, body) in calls {
        let call = |api: &Api| {
            let call = api.call(method.clone(), &path);
            if body.is_null() {
                call
            } else {
                call.json(body.clone())
            }
        };
        call(&customer).await?.is_problem(403)?;
        call(&anybody).await?.is_problem(401)?;
    }
    assert_eq!(anybody.get(one).await?.is(200)?, product);
    Ok(())
}

async fn unknown_products_are_not_found(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let nowhere = format!("/products/{}", Uuid::now_v7());
    admin.get(&nowhere).await?.is_problem(404)?;
    admin
        .patch(&nowhere)
        .json(json!({ "price": 1 }))
        .await?
        .is_problem(404)?;
    admin.delete(&nowhere).await?.is_problem(404)?;
    admin
        .post(format!("{nowhere}/stock"))
        .json(json!({ "delta": 1, "reason": "found" }))
        .await?
        .is_problem(404)?;
    admin
        .get(format!("{nowhere}/stock/movements"))
        .await?
        .is_problem(404)?;
    admin
        .get("/products/not-a-uuid")
        .await?
        .is_problem(422)?
        .names("id")?;
    Ok(())
}
