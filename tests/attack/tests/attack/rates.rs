//! Asking more often than one may.

use anyhow::{Context as _, ensure};
use attack::{PASSWORD, PROXY, Target};
use serde_json::json;
use shop_client::{Answer, unique_email};

/// Far more than anybody may do at once.
const MANY: usize = 150;

fn is_refused(answer: &Answer) -> bool {
    answer.status().as_u16() == 429
}

/// Whoever holds a token guesses the password behind it no faster than at the door.
pub(super) async fn guessing_ones_own_password(target: Target) -> anyhow::Result<()> {
    let (_, session) = target.customer().await?;
    let mut tried = 0;
    for number in 0..MANY {
        let guess = json!({ "current_password": format!("guess number {number}"), "new_password": "a kettle of fish" });
        let answer = session.api.put("/users/me").json(guess).await?;
        if is_refused(&answer) {
            let seconds = answer.header("retry-after").context("Retry-After")?;
            ensure!(
                seconds.parse::<u64>().is_ok_and(|seconds| seconds > 0),
                "{seconds}"
            );
            break;
        }
        answer.is_problem(403)?;
        tried += 1;
    }
    ensure!(tried < 40, "{tried} guesses in a row");
    // It is the guessing that is refused.
    session.api.get("/orders").await?.is(200)?;
    Ok(())
}

/// A header that anybody can write gives nobody another address.
pub(super) async fn guessing_from_headers_that_are_made_up(target: Target) -> anyhow::Result<()> {
    let shop = target.from_elsewhere()?;
    let email = unique_email();
    let mut granted = 0;
    for number in 0..MANY {
        let call = shop
            .anybody()
            .post("/auth/login")
            .json(json!({ "email": email, "password": "wrong password" }))
            .header("x-forwarded-for", format!("198.51.100.{number}"))
            .header("x-real-ip", format!("198.51.100.{number}"))
            .header("forwarded", format!("for=198.51.100.{number}"));
        granted += usize::from(!is_refused(&call.await?));
    }
    ensure!(granted < 40, "{granted} of {MANY}");
    Ok(())
}

/// From as many addresses as one likes, an account's password is guessed no faster, and its owner gets in meanwhile.
pub(super) async fn guessing_from_everywhere(target: Target) -> anyhow::Result<()> {
    let (shop, session) = target.customer().await?;
    let email = &session.user["email"];
    let own = json!({ "email": email, "password": PASSWORD });
    let known = shop
        .anybody()
        .post("/auth/login")
        .json(own.clone())
        .await?
        .is(200)?;
    let mut looked_at = 0;
    for _ in 0..60 {
        let elsewhere = target.from_elsewhere()?;
        let guess = json!({ "email": email, "password": "wrong password" });
        let answer = elsewhere.anybody().post("/auth/login").json(guess).await?;
        if is_refused(&answer) {
            answer.is_problem(429)?;
            ensure!(answer.header("retry-after").is_some(), "{answer}");
        } else {
            looked_at += 1;
        }
    }
    ensure!(looked_at < 30, "{looked_at} of 60 guesses were looked at");
    let mut again = own;
    again["device_token"] = known["device_token"].clone();
    shop.anybody().post("/auth/login").json(again).await?.is(200)?;
    Ok(())
}

/// A customer of a provider has thousands of networks; they are one customer's all the same.
pub(super) async fn guessing_from_networks_of_one_customer(target: Target) -> anyhow::Result<()> {
    let proxy = target.from(PROXY)?;
    let granted = async |network: fn(usize) -> String| {
        let mut granted = 0;
        for number in 0..MANY {
            let call = proxy
                .anybody()
                .post("/auth/login")
                .json(json!({ "email": unique_email(), "password": "wrong password" }))
                .header("x-forwarded-for", network(number));
            granted += usize::from(!is_refused(&call.await?));
        }
        anyhow::Ok(granted)
    };
    let of_56 = granted(|n| format!("2001:db8:1:{n:x}::1")).await?;
    ensure!(of_56 < 80, "{of_56} of {MANY} from a /56");
    let of_48 = granted(|n| format!("2001:db8:2:{:x}::1", n << 8)).await?;
    ensure!(of_48 < 110, "{of_48} of {MANY} from a /48");
    let neighbour = proxy
        .anybody()
        .get("/products")
        .header("x-forwarded-for", "2001:db8:3::1");
    neighbour.await?.is(200)?;
    Ok(())
}

/// What costs more is to be had less often.
pub(super) async fn searching_all_the_time(target: Target) -> anyhow::Result<()> {
    let (one, other) = (target.from_elsewhere()?, target.from_elsewhere()?);
    let mut granted = (0, 0);
    for _ in 0..100 {
        granted.0 += usize::from(!is_refused(&one.anybody().get("/products?q=kettle").await?));
        granted.1 += usize::from(!is_refused(&other.anybody().get("/products").await?));
    }
    ensure!(granted.1 == 100 && granted.0 < 90, "{granted:?}");
    one.anybody().get("/healthz").await?.is(200)?;
    Ok(())
}
