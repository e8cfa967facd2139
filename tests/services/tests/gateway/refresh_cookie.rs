//! Whose cookie counts. What becomes of one that does is in `tests/browser`, with a browser and user-service.

use serde_json::json;

use crate::support::{Gateway, is, problem};

#[tokio::test]
async fn a_cookie_that_another_origin_made_the_browser_send_does_nothing() {
    let gateway = Gateway::start(&[]).await;
    for path in ["/auth/refresh", "/auth/logout"] {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("accept", "*/*"),
        ] {
            let sent = gateway
                .post(path)
                .header("cookie", "refresh=token")
                .header(name, value);
            let refused = sent.json(&json!({})).send().await.unwrap();
            assert_eq!(
                problem(refused).await,
                is(403, "cross-site-request"),
                "{path} {name}: {value}"
            );
        }
        let own = gateway
            .post(path)
            .header("cookie", "refresh=token")
            .header("sec-fetch-site", "same-origin");
        let down = own.json(&json!({})).send().await.unwrap();
        assert_eq!(
            down.status(),
            503,
            "{path}: user-service is asked, which is not there"
        );
        // The name that only HTTPS has is not believed over HTTP, where anybody on the way could have set it.
        let other = gateway
            .post(path)
            .header("cookie", "__Host-refresh=token")
            .header("sec-fetch-site", "same-origin");
        let missing = other.json(&json!({})).send().await.unwrap();
        assert_eq!(problem(missing).await, is(422, "invalid-input"), "{path}");
        let secure = gateway
            .post(path)
            .header("cookie", "__Host-refresh=token")
            .header("sec-fetch-site", "same-origin")
            .header("origin", "https://shop.example");
        assert_eq!(
            secure.json(&json!({})).send().await.unwrap().status(),
            503,
            "{path}"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn only_a_page_of_this_origin_gets_a_cookie() {
    let gateway = Gateway::start(&[]).await;
    for path in ["/auth/login", "/auth/register"] {
        let body = json!({"email": "ada@example.com", "password": "correct horse", "cookie": true});
        for site in ["cross-site", "same-site", "none"] {
            let sent = gateway.post(path).header("sec-fetch-site", site).json(&body);
            let refused = sent.send().await.unwrap();
            assert_eq!(
                problem(refused).await,
                is(403, "cross-site-request"),
                "{path} {site}"
            );
        }
    }
    gateway.stop().await;
}
