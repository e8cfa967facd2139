//! How the audit is read: by admins, in pages without a hole or a double, and all of it or not at all.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use e2e::{Api, Service, Stack, order_of, wait_until};
use serde_json::{Value, json};

use super::id;

/// Some changes in each service, in turn.
async fn some_changes(admin: &Api, customer: &Api) -> anyhow::Result<()> {
    for turn in 0..3 {
        let product = admin.new_product("12", 5).await?;
        admin
            .post(format!("/products/{}/stock", id(&product)))
            .json(json!({ "delta": 1, "reason": "counted" }))
            .await?
            .is(200)?;
        customer
            .put("/users/me")
            .json(json!({ "name": format!("Grace {turn} {}", id(&product)) }))
            .await?
            .is(200)?;
        let order = customer
            .post("/orders")
            .json(order_of(&[(&product, 1)]))
            .await?
            .is(201)?;
        customer.set_status(&order, "cancelled").await?.is(200)?;
    }
    Ok(())
}

fn items(page: &Value) -> anyhow::Result<Vec<Value>> {
    Ok(page["items"].as_array().context("items")?.clone())
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one story, in its order")]
async fn the_audit_is_for_admins_and_read_in_pages_without_a_hole_or_a_double() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let shop = stack.shop();
    let (admin, customer) = (shop.admin().await?, shop.customer().await?);
    customer.get("/audit").await?.is_problem(403)?;
    shop.anybody().get("/audit").await?.is_problem(401)?;
    some_changes(&admin, &customer).await?;

    let whole = admin.get("/audit?limit=100").await?.is(200)?;
    ensure!(whole["next"].is_null(), "{whole}");
    let whole = items(&whole)?;
    let key = |record: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&record["at"]), text(&record["id"]))
    };
    ensure!(
        whole.is_sorted_by(|newer, older| key(newer) > key(older)),
        "newest first"
    );
    let kinds: BTreeSet<_> = whole
        .iter()
        .filter_map(|record| record["subject"]["kind"].as_str())
        .collect();
    ensure!(
        kinds == BTreeSet::from(["order", "product", "user"]) && whole.len() >= 13,
        "{kinds:?}"
    );
    for limit in [1, 2, 5] {
        let mut walked = Vec::new();
        let mut path = format!("/audit?limit={limit}&until={}", later(&whole[0]));
        loop {
            let page = admin.get(&path).await?.is(200)?;
            let found = items(&page)?;
            ensure!(found.len() == limit || page["next"].is_null(), "{page}");
            walked.extend(found);
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/audit?limit={limit}&until={}&cursor={next}", later(&whole[0]));
        }
        ensure!(walked == whole, "by {limit}: {walked:#?} of {whole:#?}");
        // What comes meanwhile is newer than all of it.
        some_changes(&admin, &customer).await?;
    }

    let count = async |filter: &str| -> anyhow::Result<usize> {
        let until = later(&whole[0]);
        let page = admin
            .get(format!("/audit?limit=100&until={until}&{filter}"))
            .await?;
        Ok(items(&page.is(200)?)?.len())
    };
    let of = |is_it: &dyn Fn(&Value) -> bool| whole.iter().filter(|record| is_it(record)).count();
    let me = id(&customer.get("/users/me").await?.is(200)?);
    let middle = whole[whole.len() / 2]["at"]
        .as_str()
        .context("a time")?
        .to_owned();
    for (filter, expected) in [
        (
            format!("actor={me}"),
            of(&|record| record["actor"]["user_id"] == *me),
        ),
        (
            "subject_kind=product".to_owned(),
            of(&|record| record["subject"]["kind"] == "product"),
        ),
        (
            format!("subject={me}&subject_kind=user"),
            of(&|record| record["subject"]["id"] == *me),
        ),
        (
            "action=order.cancelled".to_owned(),
            of(&|record| record["action"] == "order.cancelled"),
        ),
        (
            format!("since={middle}"),
            of(&|record| record["at"].as_str() >= Some(&*middle)),
        ),
    ] {
        let found = count(&filter).await?;
        ensure!(found == expected, "{filter}: {found} of {expected}");
        ensure!(expected > 0, "{filter}");
    }

    for nothing in [
        "action=order.shipped",
        &format!("subject={me}&subject_kind=order"),
    ] {
        ensure!(count(nothing).await? == 0, "{nothing}");
    }

    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=1", "cursor"),
        ("since=yesterday", "since"),
        ("until=2026-01-01", "until"),
        ("actor=ada", "actor"),
        ("subject=1", "subject"),
        ("subject_kind=%00", "subject_kind"),
        ("action=A", "action"),
        ("page=1", "page"),
    ] {
        let answer = admin.get(format!("/audit?{query}")).await?;
        answer
            .is_problem(422)
            .and_then(|problem| problem.names(field))
            .with_context(|| query.to_owned())?;
    }

    // A page that silently lacks what one service has would be a lie.
    stack.terminate(Service::Inventory).await?;
    let answer = admin.get("/audit").await?;
    answer.is_problem(503)?;
    stack.start(Service::Inventory).await?;
    let read = || async { Ok(admin.get("/audit").await?.status()) };
    wait_until("the audit is there again", read, |status| *status == 200).await?;
    stack.stop().await
}

/// The time right after a record's: a microsecond later.
fn later(record: &Value) -> String {
    let at = record["at"].as_str().unwrap_or_default().trim_end_matches('Z');
    let (second, microseconds) = at.rsplit_once('.').unwrap_or_default();
    let microseconds: u32 = microseconds.parse().unwrap_or_default();
    format!("{second}.{:06}Z", microseconds + 1)
}
