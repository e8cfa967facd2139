//! How fast lists of products are.

use std::time::Instant;

use anyhow::ensure;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{catalog, http_client::Client, latency::Latencies, shop::Shop};

/// Lists that a shop's pages ask for, the worst of them included.
const LISTS: [(&str, &str); 10] = [
    ("newest", "/products"),
    ("page 100", "/products?page=100"),
    ("last page", "/products?page=100&page_size=100"),
    ("cheapest", "/products?sort=price"),
    ("dearest, page 100", "/products?sort=-price&page=100"),
    ("by name", "/products?sort=name"),
    ("category", "/products?category=category-7"),
    (
        "category, cheapest",
        "/products?category=category-7&sort=price&page=20",
    ),
    ("rare word", "/products?q=word777"),
    ("common word, cheapest", "/products?q=product&sort=price"),
];

pub(crate) async fn measure(shop: &Shop, count: usize, requests: usize) -> anyhow::Result<Value> {
    catalog::fill(&shop.inventory, count).await?;
    let mut client = Client::connect(&shop.gateway).await?;
    let mut figures = Vec::new();
    let mut all = Latencies::default();
    println!(
        "\n{:<24} {:>9} {:>9} {:>9}",
        format!("{count} products, ms"),
        "p50",
        "p99",
        "max"
    );
    for (name, path) in LISTS {
        let mut latencies = Latencies::default();
        for _ in 0..requests {
            let began = Instant::now();
            let answer = client.send("GET", path, None, Bytes::new()).await?;
            latencies.add(began.elapsed());
            ensure!(
                answer.status() == StatusCode::OK,
                "{path}: {} {}",
                answer.status(),
                String::from_utf8_lossy(answer.body())
            );
        }
        all.extend(latencies.clone());
        let found = latencies.percentiles();
        println!(
            "{name:<24} {:>9.2} {:>9.2} {:>9.2}",
            found.p50, found.p99, found.max
        );
        figures.push(json!({ "list": name, "path": path, "ms": found }));
    }
    let overall = all.percentiles();
    println!(
        "{:<24} {:>9.2} {:>9.2} {:>9.2}",
        "all of them", overall.p50, overall.p99, overall.max
    );
    Ok(json!({ "products": count, "lists": figures, "ms": overall }))
}
