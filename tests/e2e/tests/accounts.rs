//! What keeps an account its owner's: guessers are slowed down, wherever they come from, and the owner is not.
#![allow(missing_docs)]

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Answer, Api, Service, Stack, unique_email};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

const PASSWORD: &str = "correct horse";
const WRONG: &str = "wrong horse";
/// What may be wrong in a row before the next has to wait.
const FREE: usize = 10;

/// A login as one that a trusted proxy passes on.
async fn log_in(anybody: &Api, address: &str, credentials: Value) -> anyhow::Result<Answer> {
    anybody
        .post("/auth/login")
        .json(credentials)
        .header("x-forwarded-for", address)
        .await
}

/// How often an event of security was counted.
async fn counted(stack: &Stack, service: Service, event: &str) -> anyhow::Result<u64> {
    let pages = stack.metrics(service).await?;
    let name = format!("event_name=\"{event}\"");
    let lines = pages.iter().flat_map(|page| page.lines());
    lines
        .filter(|line| line.starts_with("shop_security_events_total{") && line.contains(&name))
        .map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<u64>()?))
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn nine_hundred_guesses_from_sixty_addresses_are_slowed_and_the_owner_is_not() -> anyhow::Result<()> {
    let stack = Stack::builder()
        .with_rate_limits()
        .with_env(Service::Gateway, "TRUSTED_PROXIES", "1")
        .start()
        .await?;
    let anybody = stack.shop().anybody();
    let email = unique_email();
    let account = json!({ "email": email, "password": PASSWORD });
    let registered = anybody
        .post("/auth/register")
        .json(account.clone())
        .await?
        .is(201)?;
    let device = registered["device_token"].as_str().context("a device token")?;

    let guesses = (0..60).map(|address| {
        let (anybody, email) = (anybody.clone(), email.clone());
        async move {
            let address = format!("198.51.100.{address}");
            let mut looked_at = 0;
            for _ in 0..15 {
                let guess = json!({ "email": email, "password": WRONG });
                let answer = log_in(&anybody, &address, guess).await?;
                match answer.status().as_u16() {
                    401 => looked_at += 1,
                    // What one account may have at work at once is used up.
                    503 => drop(answer.is_problem(503)?.of_type("hashing-busy")?),
                    _ => {
                        answer.is_problem(429)?.of_type("too-many-failed-attempts")?;
                        let seconds: u64 = answer.header("retry-after").context("when")?.parse()?;
                        ensure!((1..=900).contains(&seconds), "{seconds}");
                    }
                }
            }
            anyhow::Ok(looked_at)
        }
    });
    let owner = async {
        for number in 0..10 {
            let mut credentials = account.clone();
            credentials["device_token"] = device.into();
            let address = format!("203.0.113.{number}");
            let session = log_in(&anybody, &address, credentials).await?.is(200)?;
            ensure!(session["device_token"] == device, "it stays the device's");
        }
        anyhow::Ok(())
    };
    let (looked_at, ()) = tokio::try_join!(try_join_all(guesses), owner)?;
    let mut looked_at: usize = looked_at.iter().sum();
    ensure!(looked_at >= FREE, "{looked_at} guesses were looked at");
    ensure!(looked_at <= FREE + 8, "{looked_at} of 900 guesses were looked at");

    // So that the next wait does not end meanwhile.
    loop {
        let guess = json!({ "email": email, "password": WRONG });
        let address = format!("198.51.100.{}", 100 + looked_at);
        let answer = log_in(&anybody, &address, guess).await?;
        let wait = answer.header("retry-after").and_then(|wait| wait.parse().ok());
        if wait.is_some_and(|seconds: u64| seconds > 5) {
            break;
        }
        looked_at += usize::from(answer.status() == 401);
        sleep(Duration::from_millis(500)).await;
    }
    // Neither the right password without the device, nor an email that nobody has, says anything else.
    let stranger = log_in(&anybody, "203.0.113.99", account.clone()).await?;
    stranger.is_problem(429)?.of_type("too-many-failed-attempts")?;
    let nobody = unique_email();
    for attempt in 0..=FREE {
        let guess = json!({ "email": nobody, "password": WRONG });
        let answer = log_in(&anybody, &format!("203.0.113.{}", 100 + attempt), guess).await?;
        let expected = if attempt < FREE { 401 } else { 429 };
        ensure!(
            answer.status().as_u16() == expected,
            "attempt {attempt}: {answer}"
        );
    }

    let refused = counted(&stack, Service::User, "security.login.refused").await?;
    ensure!(refused == (looked_at + FREE) as u64, "{refused} were told of");
    ensure!(counted(&stack, Service::User, "security.back_off.begun").await? == 2);
    ensure!(counted(&stack, Service::User, "security.login.backed_off").await? > 0);
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_guess_their_current_password_neither_get_far_nor_starve_anybody() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let shop = stack.shop();
    let thieves = try_join_all((0..2).map(|_| shop.customer())).await?;
    let guesses = thieves.iter().flat_map(|thief| {
        (0..90).map(|_| {
            let change = json!({ "new_password": "battery staple", "current_password": WRONG });
            thief.put("/users/me").json(change)
        })
    });
    let guesses = try_join_all(guesses.map(|call| async move { call.await }));
    let others = async {
        for _ in 0..24 {
            shop.customer().await?;
        }
        anyhow::Ok(())
    };
    let (answers, ()) = tokio::try_join!(guesses, others)?;
    let mut looked_at = 0;
    for answer in answers {
        match answer.status().as_u16() {
            403 => {
                answer.is_problem(403)?.of_type("wrong-password")?;
                looked_at += 1;
            }
            503 => drop(answer.is_problem(503)?.of_type("hashing-busy")?),
            _ => drop(answer.is_problem(429)?.of_type("too-many-failed-attempts")?),
        }
    }
    ensure!(looked_at <= 2 * (FREE + 3), "{looked_at} of 180 were looked at");
    let change = json!({ "new_password": "battery staple", "current_password": WRONG });
    for thief in &thieves {
        // Nobody has an attempt left, or soon none.
        let mut last = thief.put("/users/me").json(change.clone()).await?;
        for _ in 0..=FREE {
            if last.status() == 429 {
                break;
            }
            last = thief.put("/users/me").json(change.clone()).await?;
        }
        last.is_problem(429)?.of_type("too-many-failed-attempts")?;
        ensure!(last.header("retry-after").is_some(), "{last}");
    }
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keepers_are_woken_for_is_counted_by_its_name() -> anyhow::Result<()> {
    let stack = Stack::builder().start().await?;
    let shop = stack.shop();
    let admin = shop.admin().await?;
    let session = shop.register(&unique_email(), PASSWORD).await?;
    let user = format!("/users/{}", session.user["id"].as_str().context("an id")?);
    let spend = || {
        let token = json!({ "refresh_token": session.refresh_token });
        shop.anybody().post("/auth/refresh").json(token)
    };
    let next = spend().await?.is(200)?;
    let next = json!({ "refresh_token": next["refresh_token"] });
    shop.anybody().post("/auth/refresh").json(next).await?.is(200)?;
    spend().await?.is_problem(401)?.of_type("refresh-token-reused")?;
    for change in [
        json!({ "role": "admin" }),
        json!({ "role": "user" }),
        json!({ "disabled": true }),
        json!({ "disabled": false }),
    ] {
        admin.patch(&user).json(change).await?.is(200)?;
    }
    let customer = shop.register(&unique_email(), PASSWORD).await?.api;
    for (current, status) in [(WRONG, 403), (PASSWORD, 200)] {
        let change = json!({ "new_password": "battery staple", "current_password": current });
        let answer = customer.put("/users/me").json(change).await?;
        ensure!(answer.status().as_u16() == status, "{answer}");
    }
    for (event, times) in [
        ("security.refresh_token.reused", 1),
        ("security.role.changed", 2),
        ("security.account.disabled", 1),
        ("security.account.enabled", 1),
        ("security.proof.refused", 1),
        ("security.password.changed", 1),
        ("security.login.refused", 0),
    ] {
        let found = counted(&stack, Service::User, event).await?;
        ensure!(found == times, "{event}: {found} times");
    }
    stack.stop().await
}
