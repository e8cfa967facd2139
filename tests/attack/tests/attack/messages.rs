//! Requests as no library would send them.

use anyhow::{Context as _, ensure};
use attack::{Target, raw};
use serde_json::json;

/// What a proxy before us would read as one request and we as two, or the other way round.
pub(super) async fn requests_that_are_read_in_two_ways(target: Target) -> anyhow::Result<()> {
    let from = target.new_address();
    let inner = "GET /users HTTP/1.1\r\nHost: shop\r\n\r\n";
    let post = "POST /auth/login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n";
    for (what, request) in [
        (
            "two lengths",
            format!("{post}Content-Length: 0\r\nContent-Length: 40\r\n\r\n{inner}"),
        ),
        (
            "a length that is none",
            format!("{post}Content-Length: +5\r\n\r\n{inner}"),
        ),
        (
            "a length and chunks",
            format!("{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        ),
        (
            "an unknown coding",
            format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{inner}"),
        ),
        (
            "a chunk that is none",
            format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n{inner}"),
        ),
        (
            "a space before the colon",
            format!("{post}Content-Length : 5\r\n\r\n{inner}"),
        ),
        (
            "a folded header",
            format!("{post}X-A: b\r\n Content-Length: 5\r\n\r\n{inner}"),
        ),
        (
            "a null in a header",
            "GET / HTTP/1.1\r\nHost: shop\r\nX-A: a\0b\r\n\r\n".to_owned(),
        ),
        (
            "two hosts",
            "GET / HTTP/1.1\r\nHost: shop\r\nHost: other\r\n\r\n".to_owned(),
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (
            "a host that is none",
            "GET / HTTP/1.1\r\nHost: shop/evil\r\n\r\n".to_owned(),
        ),
        (
            "a version that is none",
            "GET / HTTP/9.9\r\nHost: shop\r\n\r\n".to_owned(),
        ),
        ("no request at all", "\u{16}\u{3}\u{1}hello\r\n\r\n".to_owned()),
    ] {
        let reply = raw::exchange(from, target.gateway, request.as_bytes())
            .await
            .context(what)?;
        ensure!((400..500).contains(&reply.status), "{what}: {reply:?}");
        ensure!(
            !reply.problem().is_empty(),
            "{what}: no problem document: {reply:?}"
        );
        ensure!(
            !reply.body.contains("HTTP/1.1 "),
            "{what}: two answers: {reply:?}"
        );
    }
    let long = format!(
        "GET /products?q={} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n",
        "a".repeat(9_000)
    );
    let reply = raw::exchange(from, target.gateway, long.as_bytes()).await?;
    ensure!(
        reply.status == 414 && reply.problem() == "uri-too-long",
        "{reply:?}"
    );
    let large = format!(
        "GET /products HTTP/1.1\r\nHost: shop\r\nX-A: {}\r\n\r\n",
        "a".repeat(64 * 1024)
    );
    let reply = raw::exchange(from, target.gateway, large.as_bytes()).await?;
    ensure!(
        reply.status == 431 && reply.problem() == "headers-too-large",
        "{reply:?}"
    );
    Ok(())
}

/// A path is what it says, not what somebody makes of it.
pub(super) async fn paths_that_lead_elsewhere(target: Target) -> anyhow::Result<()> {
    let from = target.new_address();
    for (path, status) in [
        ("/products/../users", 404),
        ("/products/%2e%2e/users", 404),
        ("//users", 404),
        ("/users/", 404),
        ("/USERS", 404),
        ("/users;a=b", 404),
        ("/users%00", 404),
        ("/users%2f", 404),
        ("/problems/..%2f..%2fetc%2fpasswd", 404),
        ("/products/%c0%ae", 422),
        ("/products/'%20OR%201=1", 404),
        ("/metrics", 404),
        ("/readyz?verbose", 422),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
        let reply = raw::exchange(from, target.gateway, request.as_bytes()).await?;
        let near = reply.status == status || (status == 404 && matches!(reply.status, 308 | 400 | 422));
        ensure!(near && reply.status != 200, "{path}: {reply:?}");
    }
    for (request, status) in [
        ("OPTIONS /nothing-here", 404),
        ("TRACE /products", 405),
        ("CONNECT shop:80", 400),
        ("DELETE /orders", 405),
        ("get /products", 405),
    ] {
        let request = format!("{request} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
        let reply = raw::exchange(from, target.gateway, request.as_bytes()).await?;
        let near = reply.status == status || matches!(reply.status, 400 | 404 | 405 | 501);
        ensure!(near, "{request}: {reply:?}");
        if reply.status == 405 {
            ensure!(reply.header("allow").is_some(), "{request}: {reply:?}");
        }
    }
    Ok(())
}

/// Bodies are JSON in UTF-8 as they say they are, and small.
pub(super) async fn bodies_that_are_no_json(target: Target) -> anyhow::Result<()> {
    let from = target.new_address();
    let good = br#"{"email": "nobody@shop.example", "password": "wrong password"}"#;
    let mut with_mark = b"\xef\xbb\xbf".to_vec();
    with_mark.extend_from_slice(good);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000)).into_bytes();
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
    let cases: [(&str, &str, &[u8], u16); 9] = [
        (
            "bytes that are no UTF-8",
            "Content-Type: application/json",
            b"{\"email\": \"\xff\"}",
            400,
        ),
        (
            "a byte order mark",
            "Content-Type: application/json",
            &with_mark,
            401,
        ),
        ("deep nesting", "Content-Type: application/json", &deep, 422),
        ("nothing", "Content-Type: application/json", b"", 400),
        (
            "a body and another",
            "Content-Type: application/json",
            b"{}{}",
            400,
        ),
        (
            "gzip",
            "Content-Type: application/json\r\nContent-Encoding: gzip",
            &gzip,
            415,
        ),
        (
            "UTF-16",
            "Content-Type: application/json; charset=utf-16",
            good,
            415,
        ),
        (
            "a form",
            "Content-Type: application/x-www-form-urlencoded",
            good,
            415,
        ),
        ("no type", "X-A: b", good, 415),
    ];
    for (what, headers, body, status) in cases {
        let mut request = format!(
            "POST /auth/login HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n{headers}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        let reply = raw::exchange(from, target.gateway, &request)
            .await
            .context(what)?;
        ensure!(reply.status == status, "{what}: {reply:?}");
        for word in ["expected value", "serde", "missing field `", "unknown variant"] {
            ensure!(
                !reply.body.contains(word),
                "{what}: the parser's words: {reply:?}"
            );
        }
    }
    // Refused before it is read, and the answer can be read all the same.
    let head = "POST /auth/login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n";
    let mut large = head.as_bytes().to_vec();
    large.resize(head.len() + 8_000_000, b'x');
    let reply = raw::exchange(from, target.gateway, &large).await?;
    ensure!(
        reply.status == 413 && reply.problem() == "body-too-large",
        "{reply:?}"
    );
    Ok(())
}

/// Every field that is wrong is named, in the words of the API, and nothing that was sent is run or shown as a page.
pub(super) async fn fields_that_are_none(target: Target) -> anyhow::Result<()> {
    let admin = target.admin().await?;
    for (body, fields) in [
        (
            json!({ "name": 5, "price": "much", "sku": [], "made_up": true }),
            ["name", "price", "sku", "made_up"].as_slice(),
        ),
        (
            json!({ "name": "", "price": 1, "stock": -1, "sku": "\u{202e}", "image_url": "javascript:alert(1)" }),
            &["name", "stock", "sku", "image_url"],
        ),
    ] {
        let answer = admin.post("/products").json(body).await?;
        let mut problem = answer.is_problem(422)?;
        for field in fields {
            problem = problem.names(field)?;
        }
        for word in ["i64", "u32", "struct", "enum", "serde", "expected a borrowed"] {
            ensure!(!answer.text().contains(word), "{answer}");
        }
    }
    for query in [
        "page=0",
        "page_size=101",
        "page=x",
        "made_up=1",
        "sort=--",
        "q=a%ff",
        "page=1&page=2",
    ] {
        let answer = admin.get(format!("/products?{query}")).await?;
        ensure!(matches!(answer.status().as_u16(), 400 | 422), "{query}: {answer}");
        answer.is_problem(answer.status().as_u16())?;
    }
    // What is text stays text.
    for name in [
        "'; DROP TABLE products; --",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "${jndi:ldap://127.0.0.1/a}",
        "%s%s%n",
    ] {
        let product = admin
            .post("/products")
            .json(json!({ "name": name, "price": 1 }))
            .await?;
        let path = format!("/products/{}", product.is(201)?["id"].as_str().context("an id")?);
        let read = admin.get(&path).await?;
        ensure!(read.is(200)?["name"] == name, "{read}");
        ensure!(read.header("x-content-type-options") == Some("nosniff"), "{read}");
        ensure!(
            read.header("content-type")
                .is_some_and(|kind| kind.starts_with("application/json"))
        );
    }
    for query in [
        "%27",
        "%27%20OR%201=1--",
        "%25",
        "_",
        "(((",
        "a%20%26%20!%20b",
        "%5C",
    ] {
        let answer = admin.get(format!("/products?q={query}")).await?;
        ensure!(matches!(answer.status().as_u16(), 200 | 422), "{query}: {answer}");
    }
    Ok(())
}

/// A cursor is a place in a list, and no right to see it.
pub(super) async fn cursors_that_nobody_gave(target: Target) -> anyhow::Result<()> {
    let product = target.product(10).await?;
    let admin = target.admin().await?;
    let (_, session) = target.customer().await?;
    for _ in 0..3 {
        session.api.place_order(&[(&product, 1)]).await?;
    }
    // An admin's cursor, behind which are everybody's orders, shows a customer none but his own.
    let everybody = admin.get("/orders?page_size=1").await?.is(200)?;
    let next = everybody["next"].as_str().context("there is more")?;
    let answer = session.api.get(format!("/orders?cursor={next}")).await?;
    ensure!(matches!(answer.status().as_u16(), 200 | 422), "{answer}");
    if answer.status() == 200 {
        let shown = answer.is(200)?;
        let others = shown["items"].as_array().into_iter().flatten();
        let mut others = others.filter(|order| order["user_id"] != session.user["id"]);
        ensure!(others.next().is_none(), "{shown}");
    }
    let mine = session.api.get("/orders?page_size=1").await?.is(200)?;
    let next = mine["next"].as_str().context("there is more")?;
    let (last, rest) = (next.chars().last().unwrap_or('A'), next.len().saturating_sub(1));
    let changed = if last == 'A' { 'B' } else { 'A' };
    let bent = format!("{}{changed}", next.get(..rest).unwrap_or_default());
    let long = "A".repeat(5_000);
    for cursor in ["x", "%00", "..", "AAAAAAAA", "%27%20OR%201=1--", &bent, &long] {
        for path in ["/orders", "/products"] {
            let answer = session.api.get(format!("{path}?cursor={cursor}")).await?;
            ensure!(answer.status().as_u16() < 500, "{cursor}: {answer}");
            if answer.status() != 200 {
                answer.is_problem(answer.status().as_u16())?.names("cursor")?;
            }
        }
    }
    Ok(())
}

/// Whatever a header asks for, what was done is said.
pub(super) async fn headers_that_hide_what_was_done(target: Target) -> anyhow::Result<()> {
    let product = target.product(10).await?;
    let (_, session) = target.customer().await?;
    let order = shop_client::order_of(&[(&product, 1)]);
    for coding in ["br, *;q=0", "identity;q=0", "*;q=0", "made-up", ""] {
        let call = session.api.post("/orders").json(order.clone());
        call.header("accept-encoding", coding).await?.is(201)?;
    }
    let call = session
        .api
        .get("/orders/none-of-mine")
        .header("accept-encoding", "*;q=0");
    ensure!(call.await?.status().as_u16() != 406);
    let admin = target.admin().await?;
    let path = format!("/products/{}", product["id"].as_str().context("an id")?);
    let tag = admin
        .get(&path)
        .await?
        .header("etag")
        .context("a tag")?
        .to_owned();
    let weak = format!("W/{tag}");
    for (wanted, status) in [
        (weak.as_str(), 412),
        ("\"none\"", 412),
        ("abc", 400),
        ("\"none\", *", 400),
    ] {
        let call = admin
            .patch(&path)
            .json(json!({ "name": "Other" }))
            .header("if-match", wanted);
        let answer = call.await?;
        let status_is = answer.status().as_u16();
        ensure!(
            status_is == status || (status == 400 && matches!(status_is, 412 | 422)),
            "{wanted}: {answer}"
        );
    }
    let unchanged = admin
        .get(&path)
        .header("if-none-match", format!("\"none\", {weak}"))
        .await?;
    ensure!(
        unchanged.status().as_u16() == 304 && unchanged.text().is_empty(),
        "{unchanged}"
    );
    Ok(())
}

/// A page of another site reads nothing in a browser.
pub(super) async fn pages_of_other_sites(target: Target) -> anyhow::Result<()> {
    let (_, session) = target.customer().await?;
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1",
        "https://shop.example.evil.example",
    ] {
        let answer = session.api.get("/users/me").header("origin", origin).await?;
        ensure!(
            answer.header("access-control-allow-origin").is_none(),
            "{origin}: {answer}"
        );
        let call = session.api.call("OPTIONS".parse()?, "/orders");
        let preflight = call
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .await?;
        ensure!(
            preflight.header("access-control-allow-origin").is_none(),
            "{origin}: {preflight}"
        );
    }
    Ok(())
}
