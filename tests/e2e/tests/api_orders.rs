//! `/orders`: placing, reading, following and changing them. What becomes of the stock:
//! `event_flow.rs`; what an `Idempotency-Key` does: `api_idempotency.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::process::ExitCode;

use e2e::{Shop, Stack, order_of, scenarios, suite};
use serde_json::{Value, json};
use uuid::Uuid;

fn main() -> ExitCode {
    suite(
        &Stack::builder(),
        scenarios![
            an_order_has_the_prices_of_its_moment,
            lines_of_one_product_are_merged,
            malformed_orders_name_the_field,
            orders_need_an_account,
            a_total_too_large_to_count_is_refused,
            an_order_is_its_owner_s_and_the_admins,
            orders_are_listed_by_page_status_and_customer,
            the_status_is_followed_until_it_is_final,
            only_transitions_of_the_state_machine_are_made,
            customers_may_only_cancel,
        ],
    )
}

fn path(order: &Value) -> String {
    format!("/orders/{}", order["id"].as_str().expect("an order has an id"))
}

async fn an_order_has_the_prices_of_its_moment(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let (kettle, cup) = (
        admin.new_product("10.99", 9).await?,
        admin.new_product("0.35", 9).await?,
    );
    let answer = customer
        .post("/orders")
        .json(order_of(&[(&kettle, 2), (&cup, 3)]))
        .await?;
    let order = answer.is(201)?;
    assert_eq!(answer.header("location"), Some(path(&order).as_str()));
    assert_eq!(
        Uuid::parse_str(order["id"].as_str().unwrap())?.get_version_num(),
        7
    );
    assert_eq!(
        (&order["status"], &order["currency"]),
        (&json!("pending"), &json!("USD"))
    );
    assert_eq!(order["total"], json!(23.03));
    let line = |product: &Value, quantity: i64, total: f64| {
        json!({
            "product_id": product["id"], "name": product["name"], "quantity": quantity,
            "price": product["price"], "total": total,
        })
    };
    assert_eq!(
        order["items"],
        json!([line(&kettle, 2, 21.98), line(&cup, 3, 1.05)])
    );
    let me = customer.get("/users/me").await?.is(200)?;
    assert_eq!(order["user_id"], me["id"]);

    let read = customer.decided(&order).await?;
    for field in ["id", "user_id", "items", "total", "currency", "created_at"] {
        assert_eq!(read[field], order[field], "{field}");
    }
    Ok(())
}

async fn lines_of_one_product_are_merged(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("1", 20_000).await?;
    let order = customer.place_order(&[(&product, 2), (&product, 3)]).await?;
    assert_eq!(order["items"].as_array().unwrap().len(), 1, "{order}");
    assert_eq!(order["items"][0]["quantity"], 5);
    let too_many = customer
        .post("/orders")
        .json(order_of(&[(&product, 6_000), (&product, 6_000)]))
        .await?;
    too_many.is_problem(422)?;
    Ok(())
}

async fn malformed_orders_name_the_field(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("1", 5).await?;
    let id = &product["id"];
    let unknown = Uuid::now_v7();
    let line = |quantity: Value| json!({ "items": [{ "product_id": id, "quantity": quantity }] });
    for (body, field) in [
        (json!({ "items": [] }), "items"),
        (json!({}), "items"),
        (json!({ "items": "all" }), "items"),
        (
            json!({ "items": vec![json!({ "product_id": id, "quantity": 1 }); 101] }),
            "items",
        ),
        (line(json!(0)), "items[0].quantity"),
        (line(json!(-1)), "items[0].quantity"),
        (line(json!(1.5)), "items[0].quantity"),
        (line(json!("1")), "items[0].quantity"),
        (line(json!(10_001)), "items[0].quantity"),
        (
            line(serde_json::from_str("99999999999999999999999")?),
            "items[0].quantity",
        ),
        (json!({ "items": [{ "product_id": id }] }), "items[0].quantity"),
        (json!({ "items": [{ "quantity": 1 }] }), "items[0].product_id"),
        (
            json!({ "items": [{ "product_id": "kettle", "quantity": 1 }] }),
            "items[0].product_id",
        ),
        (
            json!({ "items": [{ "product_id": id, "quantity": 1 }, { "product_id": unknown, "quantity": 1 }] }),
            "items[1].product_id",
        ),
        (
            json!({ "items": [{ "product_id": id, "quantity": 1, "price": 0 }] }),
            "items[0].price",
        ),
        (
            json!({ "items": [{ "product_id": id, "quantity": 1 }], "user_id": unknown }),
            "user_id",
        ),
        (
            json!({ "items": [{ "product_id": id, "quantity": 1 }], "status": "completed" }),
            "status",
        ),
    ] {
        customer
            .post("/orders")
            .json(body)
            .await?
            .is_problem(422)?
            .names(field)?;
    }
    let keyed = |key: &str| {
        customer
            .post("/orders")
            .header("idempotency-key", key)
            .json(order_of(&[(&product, 1)]))
    };
    keyed("").await?.is_problem(422)?.names("Idempotency-Key")?;
    keyed(&"k".repeat(256))
        .await?
        .is_problem(422)?
        .names("Idempotency-Key")?;
    assert_eq!(
        customer.get("/orders").await?.is(200)?["total"],
        0,
        "none of them was placed"
    );

    let euro = json!({ "name": "Baguette", "price": 1, "currency": "EUR", "stock": 9 });
    let euro = admin.post("/products").json(euro).await?.is(201)?;
    let mixed = customer
        .post("/orders")
        .json(order_of(&[(&product, 1), (&euro, 1)]))
        .await?;
    mixed.is_problem(422)?;
    Ok(())
}

async fn orders_need_an_account(shop: Shop) -> anyhow::Result<()> {
    let (admin, anybody) = (shop.admin().await?, shop.anybody());
    let product = admin.new_product("1", 5).await?;
    let order = shop.customer().await?.place_order(&[(&product, 1)]).await?;
    anybody
        .post("/orders")
        .json(order_of(&[(&product, 1)]))
        .await?
        .is_problem(401)?;
    anybody.get("/orders").await?.is_problem(401)?;
    anybody.get(path(&order)).await?.is_problem(401)?;
    anybody
        .get(format!("{}/events", path(&order)))
        .await?
        .is_problem(401)?;
    anybody.set_status(&order, "cancelled").await?.is_problem(401)?;
    Ok(())
}

async fn a_total_too_large_to_count_is_refused(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let yacht = admin.new_product("90000000000000", 10_000).await?;
    customer
        .post("/orders")
        .json(order_of(&[(&yacht, 10_000)]))
        .await?
        .is_problem(422)?;
    Ok(())
}

async fn an_order_is_its_owner_s_and_the_admins(shop: Shop) -> anyhow::Result<()> {
    let (admin, owner, other) = (
        shop.admin().await?,
        shop.customer().await?,
        shop.customer().await?,
    );
    let order = owner
        .place_order(&[(&admin.new_product("5", 5).await?, 1)])
        .await?;
    owner.get(path(&order)).await?.is(200)?;
    admin.get(path(&order)).await?.is(200)?;
    other.get(path(&order)).await?.is_problem(404)?;
    other
        .get(format!("{}/events", path(&order)))
        .await?
        .is_problem(404)?;
    other.set_status(&order, "cancelled").await?.is_problem(404)?;
    assert_eq!(other.get("/orders").await?.is(200)?["total"], 0);

    admin
        .get(format!("/orders/{}", Uuid::now_v7()))
        .await?
        .is_problem(404)?;
    admin
        .get("/orders/not-a-uuid")
        .await?
        .is_problem(422)?
        .names("id")?;
    Ok(())
}

async fn orders_are_listed_by_page_status_and_customer(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("5", 2).await?;
    let mut ids = Vec::new();
    for quantity in [1, 1, 9] {
        let order = customer
            .decided(&customer.place_order(&[(&product, quantity)]).await?)
            .await?;
        ids.push(order["id"].clone());
    }
    ids.reverse();
    let list = customer.get("/orders").await?.is(200)?;
    let listed: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| &order["id"])
        .collect();
    assert_eq!(json!(listed), json!(ids), "newest first");
    assert_eq!(
        (&list["total"], &list["page"], &list["page_size"]),
        (&json!(3), &json!(1), &json!(20))
    );
    let page = customer.get("/orders?page=2&page_size=2").await?.is(200)?;
    assert_eq!(page["items"][0]["id"], ids[2]);
    assert_eq!(
        customer.get("/orders?status=rejected").await?.is(200)?["items"][0]["id"],
        ids[0]
    );
    assert_eq!(
        customer.get("/orders?status=confirmed").await?.is(200)?["total"],
        2
    );
    for (field, value) in [
        ("status", "lost"),
        ("page", "0"),
        ("page_size", "101"),
        ("colour", "red"),
    ] {
        customer
            .get(format!("/orders?{field}={value}"))
            .await?
            .is_problem(422)?
            .names(field)?;
    }

    let me = customer.get("/users/me").await?.is(200)?;
    let of_customer = format!("/orders?user_id={}", me["id"].as_str().unwrap());
    assert_eq!(admin.get(&of_customer).await?.is(200)?["total"], 3);
    shop.customer().await?.get(&of_customer).await?.is_problem(403)?;
    Ok(())
}

async fn the_status_is_followed_until_it_is_final(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("5", 1).await?;
    let order = customer.place_order(&[(&product, 1)]).await?;
    let mut events = customer.get(format!("{}/events", path(&order))).events().await?;
    let mut seen = Vec::new();
    while let Some(event) = events.next().await? {
        assert_eq!(event["id"], order["id"]);
        let status = event["status"].as_str().unwrap().to_owned();
        // Confirmed is not final: the order may still be completed or cancelled.
        if status == "confirmed" {
            admin.set_status(&order, "completed").await?.is(200)?;
        }
        seen.push(status);
    }
    seen.dedup();
    let expected = ["pending", "confirmed", "completed"];
    assert!(
        expected.ends_with(&seen.iter().map(String::as_str).collect::<Vec<_>>()),
        "{seen:?}"
    );
    assert!(seen.len() >= 2, "{seen:?}");

    // One that is final already is told at once, and the stream ends.
    let rejected = customer
        .decided(&customer.place_order(&[(&product, 1)]).await?)
        .await?;
    let mut events = admin.get(format!("{}/events", path(&rejected))).events().await?;
    let event = events.next().await?.expect("the status now");
    assert_eq!(
        (&event["status"], &event["rejection"]["reason"]),
        (&json!("rejected"), &json!("insufficient_stock"))
    );
    assert_eq!(events.next().await?, None);
    Ok(())
}

async fn only_transitions_of_the_state_machine_are_made(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("5", 2).await?;
    let place = async |quantity| {
        customer
            .decided(&customer.place_order(&[(&product, quantity)]).await?)
            .await
    };
    let completed = place(1).await?;
    admin.set_status(&completed, "completed").await?.is(200)?;
    let cancelled = place(1).await?;
    admin.set_status(&cancelled, "cancelled").await?.is(200)?;
    let rejected = place(9).await?;

    for (order, status) in [
        (&completed, "cancelled"),
        (&cancelled, "completed"),
        (&rejected, "completed"),
        (&rejected, "cancelled"),
    ] {
        admin.set_status(order, status).await?.is_problem(409)?;
    }
    for status in ["pending", "confirmed", "rejected", "shipped", ""] {
        admin
            .set_status(&completed, status)
            .await?
            .is_problem(422)?
            .names("status")?;
    }
    let nothing = admin.patch(path(&completed)).json(json!({})).await?;
    nothing.is_problem(422)?.names("status")?;
    Ok(())
}

async fn customers_may_only_cancel(shop: Shop) -> anyhow::Result<()> {
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    let product = admin.new_product("5", 2).await?;
    let order = customer
        .decided(&customer.place_order(&[(&product, 1)]).await?)
        .await?;
    customer.set_status(&order, "completed").await?.is_problem(403)?;
    assert_eq!(
        customer.set_status(&order, "cancelled").await?.is(200)?["status"],
        "cancelled"
    );
    Ok(())
}
