//! The storefront's and the admin's pages as any client gets them, without the services behind. In a browser: `tests/browser`.

use crate::support::{Gateway, is, problem};

/// Pages that show nothing of the services.
const SHELLS: [&str; 18] = [
    "/shop/cart",
    "/shop/checkout",
    "/shop/orders",
    "/shop/orders/0190a3b0-0000-7000-8000-000000000000",
    "/shop/account",
    "/shop/login",
    "/shop/register",
    "/admin",
    "/admin/products",
    "/admin/products/new",
    "/admin/products/0190a3b0-0000-7000-8000-000000000000",
    "/admin/import",
    "/admin/orders",
    "/admin/orders/0190a3b0-0000-7000-8000-000000000000",
    "/admin/users",
    "/admin/users/0190a3b0-0000-7000-8000-000000000000",
    "/admin/audit",
    "/admin/flow",
];

fn html(response: &reqwest::Response) -> bool {
    response.headers()["content-type"] == "text/html; charset=utf-8"
}

#[tokio::test]
async fn a_page_is_html_that_may_load_nothing_from_elsewhere_whatever_is_accepted() {
    let gateway = Gateway::start(&[]).await;
    for path in SHELLS {
        let mut pages = Vec::new();
        for accepted in ["text/html", "application/json", "*/*;q=0"] {
            let page = gateway.get(path).header("accept", accepted).send().await.unwrap();
            assert_eq!(page.status(), 200, "{path}");
            assert!(html(&page), "{path}");
            let policy = page.headers()["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'self';"), "{policy}");
            assert!(
                !policy.contains("unsafe") && !policy.contains("data:"),
                "{policy}"
            );
            assert_eq!(page.headers()["x-content-type-options"], "nosniff");
            pages.push(page.text().await.unwrap());
        }
        assert!(pages[0] == pages[1] && pages[1] == pages[2], "{path}");
        for inline in [" style=", " onclick=", "<style", "<script>"] {
            assert!(!pages[0].contains(inline), "{path}: {inline}");
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn where_people_are_a_refusal_is_a_page() {
    let gateway = Gateway::start(&["--rate-limit-burst=6", "--rate-limit-per-second=1"]).await;
    let missing = gateway.get("/shop/nothing").send().await.unwrap();
    assert_eq!((missing.status().as_u16(), html(&missing)), (404, true));
    let wrong = gateway.call("DELETE", "/shop/cart").send().await.unwrap();
    assert_eq!((wrong.status().as_u16(), html(&wrong)), (405, true));
    assert_eq!(wrong.headers()["allow"], "GET,HEAD,OPTIONS");
    let head = gateway.call("HEAD", "/shop/cart").send().await.unwrap();
    assert_eq!((head.status().as_u16(), html(&head)), (200, true));
    let down = gateway.get("/").send().await.unwrap();
    assert_eq!((down.status().as_u16(), html(&down)), (503, true));
    assert!(down.headers().contains_key("retry-after"));
    assert_eq!(down.headers()["cache-control"], "no-store");
    let elsewhere = gateway.get("/nothing").send().await.unwrap();
    assert_eq!(problem(elsewhere).await, is(404, "not-found"));
    let mut last = gateway.get("/shop/cart").send().await.unwrap();
    // On a machine that is slow some come too late to be too many.
    for _ in 0..200 {
        if last.status() == 429 {
            break;
        }
        last = gateway.get("/shop/cart").send().await.unwrap();
    }
    assert_eq!((last.status().as_u16(), html(&last)), (429, true));
    assert!(last.headers().contains_key("retry-after"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_page_is_in_the_language_of_its_reader() {
    let gateway = Gateway::start(&[]).await;
    let read = async |path: &str, language: &str, cookie: &str| {
        let page = gateway.get(path).header("accept-language", language);
        let page = page.header("cookie", cookie).send().await.unwrap();
        let chosen = page.headers().get("set-cookie").cloned();
        assert!(
            page.headers()["vary"]
                .to_str()
                .unwrap()
                .contains("accept-language")
        );
        (page.text().await.unwrap().contains("lang=\"de\" data"), chosen)
    };
    assert!(!read("/shop/cart", "fr, en;q=0.5", "").await.0);
    assert!(read("/shop/cart", "de-CH, en;q=0.5", "").await.0);
    assert!(read("/shop/cart", "en", "language=de").await.0);
    let (german, chosen) = read("/shop/cart?lang=de", "en", "").await;
    assert!(
        german
            && chosen
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("language=de; Path=/;")
    );
    gateway.stop().await;
}

#[tokio::test]
async fn what_a_page_loads_is_kept_for_ever() {
    let gateway = Gateway::start(&[]).await;
    let page = gateway
        .get("/shop/cart")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let assets: Vec<_> = page
        .split('"')
        .filter(|part| part.starts_with("/shop/assets/"))
        .collect();
    assert!(assets.len() >= 8, "{page}");
    for path in assets {
        let asset = gateway
            .get(path)
            .header("accept-encoding", "gzip")
            .send()
            .await
            .unwrap();
        assert_eq!(asset.status(), 200, "{path}");
        assert_eq!(
            asset.headers()["cache-control"],
            "public, max-age=31536000, immutable"
        );
        assert_eq!(asset.headers()["content-encoding"], "gzip");
        let tag = asset.headers()["etag"].clone();
        let known = gateway
            .get(path)
            .header("accept-encoding", "gzip")
            .header("if-none-match", tag);
        assert_eq!(known.send().await.unwrap().status(), 304, "{path}");
        let plain = gateway.get(path).header("accept-encoding", "identity");
        assert!(
            !plain
                .send()
                .await
                .unwrap()
                .headers()
                .contains_key("content-encoding")
        );
    }
    let old = gateway
        .get("/shop/assets/main-0000000000000000.js")
        .send()
        .await
        .unwrap();
    assert_eq!(old.status(), 404);
    gateway.stop().await;
}

#[tokio::test]
async fn the_pages_can_be_switched_off_and_are_no_part_of_the_api() {
    let gateway = Gateway::start(&["--pages=off"]).await;
    for path in SHELLS {
        let hidden = gateway.get(path).send().await.unwrap();
        assert_eq!(problem(hidden).await, is(404, "not-found"), "{path}");
    }
    let document = gateway.json("/openapi.json").await;
    let mut paths = document["paths"].as_object().unwrap().keys();
    assert!(!paths.any(|path| path == "/" || path.starts_with("/shop") || path.starts_with("/admin")));
    gateway.stop().await;
}
