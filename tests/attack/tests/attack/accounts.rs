//! Opening an account, and finding out who has one.

use anyhow::{Context as _, ensure};
use attack::{PASSWORD, Target};
use serde_json::json;
use shop_client::unique_email;

/// The first guesses of everybody are refused, in every spelling, and so is what one knows of the account.
pub(super) async fn passwords_that_everybody_tries(target: Target) -> anyhow::Result<()> {
    let shop = target.from_elsewhere()?;
    let email = unique_email();
    for password in [
        "password",
        "12345678",
        "        ",
        "qwertyuiop",
        "Passw0rd!",
        "iloveyou1",
        "aaaaaaaaaaaa",
        "ｐａｓｓｗｏｒｄ",
        &email,
        email.split('@').next().context("a name")?,
    ] {
        let body = json!({ "email": email, "password": password, "name": "Ada" });
        let answer = shop.anybody().post("/auth/register").json(body).await?;
        let problem = answer.is_problem(422).with_context(|| format!("{password:?}"))?;
        let problem = problem.names("password")?;
        let told = problem.document()["detail"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        ensure!(
            password == "password" || !told.contains(password),
            "it is told again: {answer}"
        );
    }
    Ok(())
}

/// Text that shows as nothing, or as something else than it is.
pub(super) async fn texts_that_nobody_sees(target: Target) -> anyhow::Result<()> {
    let shop = target.from_elsewhere()?;
    let admin = target.admin().await?;
    for text in [
        "\u{200b}\u{200b}",
        "\u{202e}gpj.exe",
        "a\u{2066}b",
        "\u{e0041}\u{e0042}",
        "\u{2060}",
        "a\0b",
        "line\nbreak",
        "\u{feff}",
        " ",
    ] {
        let product = json!({ "name": text, "price": 1 });
        let answer = admin.post("/products").json(product).await?;
        answer
            .is_problem(422)
            .with_context(|| format!("{text:?}"))?
            .names("name")?;
    }
    for name in ["\u{202e}nimda", "a\u{2067}b"] {
        let body = json!({ "email": unique_email(), "password": PASSWORD, "name": name });
        let answer = shop.anybody().post("/auth/register").json(body).await?;
        answer.is_problem(422)?.names("name")?;
    }
    for email in [
        "a@b@c.example",
        "a b@c.example",
        "\"a\"@",
        "@c.example",
        "a@-c.example",
        "a@c..example",
        "a\u{200b}@c.example",
    ] {
        let body = json!({ "email": email, "password": PASSWORD });
        let answer = target
            .from_elsewhere()?
            .anybody()
            .post("/auth/register")
            .json(body)
            .await?;
        answer
            .is_problem(422)
            .with_context(|| email.to_owned())?
            .names("email")?;
    }
    Ok(())
}

/// A login tells nobody whether there is such an account.
pub(super) async fn who_has_an_account(target: Target) -> anyhow::Result<()> {
    let (shop, session) = target.customer().await?;
    let email = session.user["email"].as_str().context("an email")?.to_owned();
    let mut answers = Vec::new();
    for email in [email, unique_email()] {
        let body = json!({ "email": email, "password": "not this one, I think" });
        let answer = shop.anybody().post("/auth/login").json(body).await?;
        let problem = answer.is_problem(401)?;
        let mut document = problem.document().clone();
        document["trace_id"] = json!(null);
        answers.push(document);
    }
    ensure!(answers[0] == answers[1], "{answers:?}");
    Ok(())
}
