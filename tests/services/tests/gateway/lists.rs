//! Lists: by number, by cursor, and along the links between their pages.

use serde_json::{Value, json};

use crate::shop::Shop;

#[tokio::test]
async fn lists_are_followed_by_their_cursor_over_http() {
    let shop = Shop::open().await;
    for _ in 0..5 {
        shop.order().await;
    }
    for name in ["Cup", "Mug", "Pot"] {
        shop.post_with_key("/products", name, &json!({ "name": name, "price": 5 }))
            .await;
    }
    for (list, count) in [
        ("/orders?page_size=2", 5),
        ("/products?page_size=2&sort=-name", 3),
        ("/users?page_size=2", 1),
    ] {
        let mut page = shop.get(list).await;
        let mut ids = Vec::new();
        loop {
            ids.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["id"].clone()),
            );
            assert_eq!(page["total"], count);
            let Some(next) = page["next"].as_str() else { break };
            page = shop.get(&format!("{list}&cursor={next}")).await;
        }
        ids.dedup();
        assert_eq!(ids.len(), count, "{list}");
    }
    let next = shop.get("/products?page_size=2").await["next"]
        .as_str()
        .unwrap()
        .to_owned();
    let refused = async |path: String| {
        let answer = shop
            .gateway
            .get(&path)
            .bearer_auth(&shop.token)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 422, "{path}");
        let problem: Value = answer.json().await.unwrap();
        problem["errors"][0].clone()
    };
    assert_eq!(
        refused(format!("/products?page=2&cursor={next}")).await["field"],
        "page"
    );
    let other = refused(format!("/products?sort=price&cursor={next}")).await;
    assert!(
        other["field"] == "cursor" && other["detail"].as_str().unwrap().contains("another sort"),
        "{other}"
    );
    assert_eq!(refused("/orders?cursor=none".to_owned()).await["field"], "cursor");
    assert_eq!(
        refused("/orders?created_from=yesterday".to_owned()).await["field"],
        "created_from"
    );
    assert_eq!(
        shop.get("/orders?created_from=1970-01-01T00:00:00%2B02:00").await["total"],
        5
    );
    assert_eq!(
        shop.get("/orders?created_to=2020-01-01T00:00:00Z").await["total"],
        0
    );
    shop.close().await;
}

/// The targets of a `Link` header, by their relation.
fn links(header: Option<&reqwest::header::HeaderValue>) -> Vec<(String, String)> {
    let text = header.map_or("", |header| header.to_str().unwrap());
    let links = text.split(", <").filter(|link| !link.is_empty());
    links
        .map(|link| {
            let (target, relation) = link.trim_start_matches('<').split_once(">; rel=\"").unwrap();
            (relation.trim_end_matches('"').to_owned(), target.to_owned())
        })
        .collect()
}

/// Along `next` (RFC 8288) from whatever page, every list of the document is read to its end.
#[tokio::test]
#[allow(clippy::too_many_lines)] // one story
async fn every_list_is_followed_by_its_links() {
    let shop = Shop::open().await;
    for _ in 0..5 {
        shop.order().await;
    }
    for name in ["Cup", "Mug", "Pot"] {
        shop.post_with_key(
            "/products",
            name,
            &json!({ "name": name, "price": 5, "stock": 1 }),
        )
        .await;
        let account = json!({ "email": format!("{name}@example.com"), "password": "correct horse" });
        shop.gateway
            .post("/auth/register")
            .json(&account)
            .send()
            .await
            .unwrap();
    }
    let product = shop.get("/products").await["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let stock = format!("/products/{product}/stock");
    for key in ["a", "b", "c", "d"] {
        shop.post_with_key(&stock, key, &json!({ "delta": 1, "reason": "a & b" }))
            .await;
    }
    let document = shop.get("/openapi.json").await;
    let mut lists = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().into_iter().flatten();
        let named = |name: &str| parameters.clone().any(|parameter| parameter["name"] == name);
        if !named("cursor") {
            continue;
        }
        lists.push(path.as_str());
        let described = &item["get"]["responses"]["200"]["headers"]["link"];
        assert!(described.is_object(), "{path}");
        let at = path.replace("{id}", &product);
        let size = if named("limit") { "limit" } else { "page_size" };
        let whole = shop.get(&format!("{at}?{size}=100")).await;
        let whole: Vec<_> = whole["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| &item["id"])
            .cloned()
            .collect();
        assert!(whole.len() >= 3, "{path}");
        for beginning in [format!("{at}?{size}=2"), format!("{at}?cursor=&{size}=2")] {
            let (mut target, mut read, mut relations) = (beginning.clone(), Vec::new(), Vec::new());
            loop {
                let answer = shop
                    .gateway
                    .get(&target)
                    .bearer_auth(&shop.token)
                    .send()
                    .await
                    .unwrap();
                assert_eq!(answer.status(), 200, "{target}");
                let links = links(answer.headers().get("link"));
                let page: Value = answer.json().await.unwrap();
                read.extend(
                    page["items"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|item| item["id"].clone()),
                );
                relations.push(
                    links
                        .iter()
                        .map(|(relation, _)| relation.clone())
                        .collect::<Vec<_>>(),
                );
                for (_, target) in &links {
                    assert!(target.starts_with(&format!("{at}?{size}=2&")), "{target}");
                }
                let Some((_, next)) = links.into_iter().find(|(relation, _)| relation == "next") else {
                    break;
                };
                target = next;
            }
            assert_eq!(read, whole, "{beginning}");
            let numbered = !beginning.contains("cursor") && size == "page_size";
            assert_eq!(
                relations[0].contains(&"last".to_owned()),
                numbered,
                "{beginning}: {relations:?}"
            );
            assert_eq!(
                relations[1].contains(&"prev".to_owned()),
                numbered,
                "{beginning}: {relations:?}"
            );
            assert!(
                relations.iter().all(|page| page.contains(&"first".to_owned())),
                "{beginning}"
            );
        }
    }
    assert_eq!(
        lists,
        [
            "/audit",
            "/orders",
            "/products",
            "/products/{id}/stock/movements",
            "/users"
        ]
    );
    // What narrows and orders a list is kept.
    let answer = shop
        .gateway
        .get("/products?q=m%C3%BCg%26%20&sort=-name&page=3")
        .send()
        .await
        .unwrap();
    let links = links(answer.headers().get("link"));
    assert_eq!(links[0].1, "/products?q=m%C3%BCg%26+&sort=-name&page=1");
    assert_eq!(links.len(), 3, "first, prev and last: {links:?}");
    shop.close().await;
}
