//! What an answer says of itself: its tag, who may keep it, how it is coded, and requests that depend on that (RFC 9110).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::process::ExitCode;

use e2e::{Api, Shop, Stack, scenarios, suite};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

fn main() -> ExitCode {
    suite(
        &Stack::builder(),
        scenarios![
            a_compressed_answer_has_a_tag_of_its_own_that_guards_a_change_too,
            if_match_takes_lists_and_compares_strongly,
            who_knows_an_answer_is_told_that_it_still_is_so,
            a_tag_changes_with_what_it_is_the_tag_of,
            the_catalogue_may_be_kept_for_a_moment_and_an_accounts_own_never,
            no_refused_coding_changes_the_status,
            nobody_who_names_no_version_is_refused_for_a_race,
            an_order_changes_only_as_it_was_read,
            a_repeated_change_of_status_is_answered_as_the_first,
            every_time_is_as_long_as_every_other,
            zeros_at_the_end_of_a_price_are_no_decimals,
            categories_are_those_of_the_catalogue,
        ],
    )
}

fn path(product: &Value) -> String {
    format!(
        "/products/{}",
        product["id"].as_str().expect("a product has an id")
    )
}

fn order_path(order: &Value) -> String {
    format!("/orders/{}", order["id"].as_str().expect("an order has an id"))
}

async fn tag(api: &Api, path: &str) -> anyhow::Result<String> {
    let answer = api.get(path).await?;
    answer.is(200)?;
    Ok(answer.header("etag").expect("it has a tag").to_owned())
}

async fn a_compressed_answer_has_a_tag_of_its_own_that_guards_a_change_too(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let product = admin.new_product("10.99", 4).await?;
    let path = path(&product);
    let plain = tag(&admin, &path).await?;
    let compressed = admin.get(&path).header("accept-encoding", "gzip").await?;
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert!(
        compressed
            .header("vary")
            .unwrap()
            .to_ascii_lowercase()
            .contains("accept-encoding")
    );
    let coded = compressed.header("etag").unwrap().to_owned();
    assert_ne!(coded, plain);
    let known = admin
        .get(&path)
        .header("accept-encoding", "gzip")
        .header("if-none-match", &coded)
        .await?;
    assert_eq!(
        (known.status().as_u16(), known.header("etag")),
        (304, Some(coded.as_str()))
    );
    let change = || {
        let name = json!({ "name": "Changed once" });
        admin.patch(&path).header("if-match", &coded).json(name)
    };
    change().await?.is(200)?;
    change().await?.is_problem(412)?.of_type("version-mismatch")?;
    Ok(())
}

async fn if_match_takes_lists_and_compares_strongly(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let product = admin.new_product("10.99", 4).await?;
    let path = path(&product);
    for (list, passes) in [
        ("W/TAG", false),
        ("abc", false),
        ("\"abc\"", false),
        ("1", false),
        ("\"99\"", false),
        ("", false),
        ("TAG", true),
        ("\"99\", TAG", true),
        ("  TAG\t,\"99\"", true),
        ("abc, TAG", true),
        ("*", true),
    ] {
        let list = list.replace("TAG", &tag(&admin, &path).await?);
        let change = admin
            .patch(&path)
            .header("if-match", &list)
            .json(json!({ "name": "Changed" }));
        let answer = if passes {
            change.await?.is(200)
        } else {
            Ok(change.await?.is_problem(412)?.document().clone())
        };
        answer.map_err(|error| error.context(list))?;
    }
    let tag = tag(&admin, &path).await?;
    let unless = |list: &str| admin.delete(&path).header("if-none-match", list);
    unless(&format!("W/{tag}")).await?.is_problem(412)?;
    unless("*").await?.is_problem(412)?;
    let weak = admin.delete(&path).header("if-match", format!("W/{tag}"));
    weak.await?.is_problem(412)?;
    unless("\"99\"").header("if-match", &tag).await?.is(200)?;
    Ok(())
}

async fn who_knows_an_answer_is_told_that_it_still_is_so(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("10.99", 4).await?;
    let order = customer
        .decided(&customer.place_order(&[(&product, 1)]).await?)
        .await?;
    // A list that no other scenario changes.
    let list = format!("/products?category={}", order["id"].as_str().unwrap());
    for path in [path(&product), list, "/orders".to_owned(), order_path(&order)] {
        let whole = customer.get(&path).await?;
        whole.is(200)?;
        let tag = whole.header("etag").expect("it has a tag");
        assert!(tag.starts_with('"'), "{path} {tag}");
        for method in [Method::GET, Method::HEAD] {
            let ask = |name: &str, list: &str| customer.call(method.clone(), &path).header(name, list);
            for list in [
                tag.to_owned(),
                format!("W/{tag}"),
                format!("\"other\" ,{tag}"),
                "*".to_owned(),
            ] {
                let answer = ask("if-none-match", &list).await?;
                assert_eq!(
                    (answer.status().as_u16(), answer.text()),
                    (304, ""),
                    "{method} {path} {list}"
                );
                for name in ["etag", "cache-control", "vary"] {
                    assert_eq!(answer.header(name), whole.header(name), "{method} {path} {name}");
                }
                assert_eq!(answer.header("content-type"), None);
            }
            for list in ["\"other\"", "nonsense", &tag[1..], ""] {
                let answer = ask("if-none-match", list).await?;
                assert_eq!(answer.status(), 200, "{method} {path} {list}");
            }
            // If-Match comes first, and compares strongly.
            assert_eq!(
                ask("if-match", "\"other\"")
                    .header("if-none-match", tag)
                    .await?
                    .status(),
                412
            );
            assert_eq!(ask("if-match", &format!("W/{tag}")).await?.status(), 412);
            assert_eq!(
                ask("if-match", tag).header("if-none-match", tag).await?.status(),
                304
            );
            assert_eq!(ask("if-match", tag).await?.status(), 200);
        }
    }
    let gone = customer.get(format!("/products/{}", order["id"].as_str().unwrap()));
    gone.header("if-none-match", "*").await?.is_problem(404)?;
    Ok(())
}

async fn a_tag_changes_with_what_it_is_the_tag_of(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let product = admin.new_product("10.99", 4).await?;
    let (path, list) = (
        path(&product),
        format!("/products?q={}", product["sku"].as_str().unwrap()),
    );
    let before = (tag(&admin, &path).await?, tag(&admin, &list).await?);
    let delivery = json!({ "delta": 5, "reason": "delivery" });
    admin
        .post(format!("{path}/stock"))
        .json(delivery)
        .await?
        .is(200)?;
    let after = (tag(&admin, &path).await?, tag(&admin, &list).await?);
    assert_ne!(before.0, after.0);
    assert_ne!(before.1, after.1);
    // The stock is not what an edit overwrites.
    let edit = admin
        .patch(&path)
        .header("if-match", &before.0)
        .json(json!({ "name": "Edited" }));
    let edited = edit.await?;
    edited.is(200)?;
    assert_eq!(
        edited.header("etag"),
        Some(tag(&admin, &path).await?.as_str()),
        "as if it had been read"
    );
    Ok(())
}

async fn the_catalogue_may_be_kept_for_a_moment_and_an_accounts_own_never(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("10.99", 4).await?;
    let order = customer.place_order(&[(&product, 1)]).await?;
    for path in [path(&product), "/products".to_owned(), "/categories".to_owned()] {
        let answer = shop.anybody().get(&path).await?;
        let caching = answer.header("cache-control").unwrap();
        let seconds = caching.strip_prefix("public, max-age=").expect(caching);
        assert!((1..=60).contains(&seconds.parse::<u32>()?), "{path} {caching}");
        assert!(
            answer
                .header("vary")
                .unwrap()
                .to_ascii_lowercase()
                .contains("accept-encoding"),
            "{path}"
        );
    }
    let movements = format!("{}/stock/movements", path(&product));
    for (api, path) in [
        (&customer, "/orders".to_owned()),
        (&customer, order_path(&order)),
        (&customer, "/users/me".to_owned()),
        (&admin, "/users".to_owned()),
        (&admin, movements),
        (&customer, "/products/nothing".to_owned()),
    ] {
        assert_eq!(
            api.get(&path).await?.header("cache-control"),
            Some("no-store"),
            "{path}"
        );
    }
    Ok(())
}

async fn no_refused_coding_changes_the_status(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("1", 1_000).await?;
    for codings in [
        "br, *;q=0",
        "identity;q=0",
        "br",
        "*;q=0",
        "gzip;q=0, identity;q=0",
        "",
        ";;q=",
        "zstd;q=1",
    ] {
        let with = |call: e2e::Call| call.header("accept-encoding", codings);
        let placed = with(customer.post("/orders"))
            .json(e2e::order_of(&[(&product, 1)]))
            .await?;
        placed.is(201).map_err(|error| error.context(codings))?;
        assert_eq!(placed.header("content-encoding"), None, "{codings}");
        with(customer.get(path(&product))).await?.is(200)?;
        with(customer.get("/products/nothing")).await?.is_problem(422)?;
        with(customer.get("/nothing")).await?.is_problem(404)?;
        with(shop.anybody().get("/orders")).await?.is_problem(401)?;
    }
    for codings in [
        "gzip",
        "*",
        "br;q=1, gzip;q=0.5",
        "GZIP",
        "gzip;q=0.002, identity;q=0",
    ] {
        let answer = customer
            .get(path(&product))
            .header("accept-encoding", codings)
            .await?;
        assert_eq!(
            (answer.status().as_u16(), answer.header("content-encoding")),
            (200, Some("gzip")),
            "{codings}"
        );
    }
    Ok(())
}

async fn nobody_who_names_no_version_is_refused_for_a_race(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let product = admin.new_product("10.99", 4).await?;
    let changes = (0..120).map(|turn| {
        let change = match turn % 6 {
            0 => json!({ "currency": if turn % 4 == 0 { "USD" } else { "EUR" } }),
            1 => json!({ "name": format!("Turn {turn}") }),
            2 => json!({ "price": turn, "currency": "USD" }),
            _ => json!({ "price": turn }),
        };
        let call = admin.patch(path(&product)).json(change);
        async move { call.await?.is(200) }
    });
    let versions: Result<Vec<_>, _> = join_all(changes).await.into_iter().collect();
    let mut versions: Vec<i64> = versions?
        .iter()
        .map(|product| product["version"].as_i64().unwrap())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=121).collect::<Vec<_>>(), "each change counts once");
    Ok(())
}

async fn an_order_changes_only_as_it_was_read(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("1", 10).await?;
    let order = customer
        .decided(&customer.place_order(&[(&product, 1)]).await?)
        .await?;
    let path = order_path(&order);
    let read = tag(&customer, &path).await?;
    let cancel = |list: &str| {
        let status = json!({ "status": "cancelled" });
        customer.patch(&path).header("if-match", list).json(status)
    };
    cancel("\"other\"").await?.is_problem(412)?;
    cancel(&format!("W/{read}")).await?.is_problem(412)?;
    let cancelled = cancel(&read).await?;
    cancelled.is(200)?;
    cancel(&read).await?.is_problem(412)?;
    cancel(cancelled.header("etag").unwrap()).await?.is(200)?;
    Ok(())
}

async fn a_repeated_change_of_status_is_answered_as_the_first(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("1", 10).await?;
    for (api, status) in [
        (&customer, "cancelled"),
        (&admin, "cancelled"),
        (&admin, "completed"),
    ] {
        let order = customer
            .decided(&customer.place_order(&[(&product, 1)]).await?)
            .await?;
        let first = api.set_status(&order, status).await?.is(200)?;
        for _ in 0..2 {
            assert_eq!(api.set_status(&order, status).await?.is(200)?, first);
        }
        let other = if status == "cancelled" {
            "completed"
        } else {
            "cancelled"
        };
        admin.set_status(&order, other).await?.is_problem(409)?;
    }
    Ok(())
}

async fn every_time_is_as_long_as_every_other(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("1", 1_000).await?;
    for _ in 0..20 {
        customer.place_order(&[(&product, 1)]).await?;
    }
    let movements = format!("{}/stock/movements?page_size=100", path(&product));
    let answers = [
        (&admin, "/products?page_size=100"),
        (&admin, movements.as_str()),
        (&admin, "/users?page_size=100"),
        (&customer, "/users/me"),
        (&customer, "/orders?page_size=100"),
    ];
    for (api, path) in answers {
        let mut times = Vec::new();
        collect_times(&api.get(path).await?.is(200)?, &mut times);
        assert!(!times.is_empty(), "{path}");
        for time in times {
            let shape: String = time
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c })
                .collect();
            assert_eq!(shape, "0000-00-00T00:00:00.000000Z", "{path} {time}");
        }
    }
    Ok(())
}

fn collect_times(value: &Value, times: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect_times(value, times)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if let (true, Value::String(time)) = (name.ends_with("_at"), value) {
                    times.push(time.clone());
                } else {
                    collect_times(value, times);
                }
            }
        }
        _ => {}
    }
}

async fn zeros_at_the_end_of_a_price_are_no_decimals(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    for (price, expected) in [
        ("1.000", Some(json!(1))),
        ("1.0000000000000000000000000000000", Some(json!(1))),
        ("1.50000000000000000000000000000000", Some(json!(1.5))),
        ("1.005", None),
        ("1.00500000000000000000000000000000", None),
    ] {
        let body = format!(r#"{{"name":"Zeros","price":{price},"currency":"EUR"}}"#);
        let answer = admin.post("/products").body("application/json", body).await?;
        match expected {
            Some(expected) => assert_eq!(answer.is(201)?["price"], expected, "{price}"),
            None => {
                answer.is_problem(422)?.names("price")?;
            }
        }
    }
    Ok(())
}

async fn categories_are_those_of_the_catalogue(shop: Shop) -> anyhow::Result<()> {
    let admin = shop.admin().await?;
    let name = format!("cups of {}", admin.new_product("1", 1).await?["id"]);
    for number in 0..3 {
        let cup = json!({ "name": format!("Cup {number}"), "price": 1, "category": name });
        admin.post("/products").json(cup).await?.is(201)?;
    }
    let ours = async || -> anyhow::Result<Value> {
        let categories = shop.anybody().get("/categories").await?.is(200)?;
        let all = categories["items"].as_array().unwrap();
        Ok(all
            .iter()
            .find(|category| category["name"] == name.as_str())
            .cloned()
            .unwrap_or_default())
    };
    let wanted = json!({ "name": name, "products": 3 });
    e2e::wait_until("the category is seen", ours, |found| *found == wanted).await?;
    Ok(())
}
