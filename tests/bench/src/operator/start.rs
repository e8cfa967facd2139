//! How long `spec: {}` takes from apply to Ready, beside what helm needs for the same objects.

use kube::{Api, Client, api::DeleteParams};
use serde::Serialize;
use serde_json::{Value, json};
use shop_operator::crd::Shop;

use super::{
    chart, cluster, floor,
    timeline::{self, Timeline},
};

const SHOP: &str = "demo";

/// One Shop and its floor, in seconds.
#[derive(Serialize)]
struct Run {
    /// Whether no Shop had run on the node before.
    is_first: bool,
    /// The Shop, from its creation.
    shop: Timeline,
    /// Its data stores, from the first `StatefulSet` until both answered.
    stores: f64,
    /// `helm install --wait` of the six services as static manifests, on data stores that are there.
    helm_services: f64,
    /// The same of the data stores.
    helm_stores: f64,
    /// The whole, beside the floor and what the data stores took meanwhile.
    ratio: f64,
}

pub(super) async fn measure(client: &Client, runs: u16) -> anyhow::Result<Value> {
    println!("installing the operator");
    chart::install(client, 1).await?;
    let mut figures = Vec::new();
    for number in 1..=runs {
        println!("Shop {number} of {runs}");
        let namespace = format!("bench-start-{number}");
        figures.push(run(client, &namespace, number == 1).await?);
    }
    let median = median_of_all_but_the_first(&figures);
    print(&figures, median);
    Ok(json!({ "runs": figures, "median_ratio": median }))
}

async fn run(client: &Client, namespace: &str, is_first: bool) -> anyhow::Result<Run> {
    cluster::create_namespace(client, namespace).await?;
    let shop = timeline::of_new_shop(client, namespace, SHOP).await?;
    let floor = floor::measure(client, namespace, SHOP).await?;
    let shops: Api<Shop> = Api::namespaced(client.clone(), namespace);
    shops.delete(SHOP, &DeleteParams::background()).await?;
    cluster::delete_namespace(client, namespace).await?;
    let (stores, helm_services) = (shop.stores(), floor.services.as_secs_f64());
    Ok(Run {
        is_first,
        ratio: shop.ready / (helm_services + stores),
        shop,
        stores,
        helm_services,
        helm_stores: floor.stores.as_secs_f64(),
    })
}

/// Of the ratios; the first run is of another kind, and counts where there is no other.
fn median_of_all_but_the_first(runs: &[Run]) -> f64 {
    let mut ratios: Vec<_> = runs
        .iter()
        .filter(|run| !run.is_first || runs.len() == 1)
        .map(|run| run.ratio)
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let middle = ratios.len() / 2;
    let at = |index: usize| ratios.get(index).copied().unwrap_or_default();
    if ratios.len().is_multiple_of(2) {
        f64::midpoint(at(middle.saturating_sub(1)), at(middle))
    } else {
        at(middle)
    }
}

fn print(runs: &[Run], median: f64) {
    println!(
        "\n`spec: {{}}`, seconds from apply to Ready, and what helm install --wait takes for the same objects as static\n\
         manifests. \"first\" is the first Shop of a new node: nothing of its images was read and no name was looked up\n\
         before. To pull and unpack them is in no figure: this node has no registry, and had them before. helm comes\n\
         after its Shop, so that it always finds a node on which they ran, and databases with their tables."
    );
    println!(
        "{:<8} {:>9} {:>14} {:>14} {:>14} {:>26}",
        "run", "operator", "of it, stores", "helm services", "helm stores", "operator/(helm s. + stores)"
    );
    for (index, run) in runs.iter().enumerate() {
        println!(
            "{:<8} {:>9.2} {:>14.2} {:>14.2} {:>14.2} {:>26.2}",
            name(index, run),
            run.shop.ready,
            run.stores,
            run.helm_services,
            run.helm_stores,
            run.ratio
        );
    }
    if runs.len() > 1 {
        println!("median of the ratio, without the first: {median:.2}; the aim is at most 1.10");
    }
    println!(
        "\nthe same in parts: seconds until the data stores were there, answered, the services were there, had their pods,\n\
         and the Shop was Ready; and when each part had its pod"
    );
    for (index, run) in runs.iter().enumerate() {
        let shop = &run.shop;
        println!(
            "{:<8} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
            name(index, run),
            shop.stores_made,
            shop.stores_ready,
            shop.services_made,
            shop.services_available,
            shop.ready
        );
        let mut parts: Vec<_> = shop.parts.iter().collect();
        parts.sort_by(|one, other| one.1.total_cmp(other.1));
        let parts = parts.into_iter().map(|(name, since)| {
            let part = name.strip_prefix(SHOP).unwrap_or(name);
            format!("{} {since:.1}", part.trim_start_matches('-'))
        });
        println!("{:<8} {}", "", parts.collect::<Vec<_>>().join(", "));
    }
}

fn name(index: usize, run: &Run) -> String {
    if run.is_first {
        "first".to_owned()
    } else {
        (index + 1).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(is_first: bool, ratio: f64) -> Run {
        Run {
            is_first,
            shop: Timeline::default(),
            stores: 0.0,
            helm_services: 0.0,
            helm_stores: 0.0,
            ratio,
        }
    }

    #[test]
    fn the_first_run_counts_only_where_it_is_the_only_one() {
        let median = |ratios: &[f64]| {
            let runs: Vec<_> = ratios
                .iter()
                .enumerate()
                .map(|(index, ratio)| run(index == 0, *ratio))
                .collect();
            (median_of_all_but_the_first(&runs) * 100.0).round()
        };
        assert_eq!(median(&[1.5]).to_string(), "150");
        assert_eq!(median(&[9.0, 1.3]).to_string(), "130");
        assert_eq!(median(&[9.0, 1.2, 1.0]).to_string(), "110");
        assert_eq!(median(&[9.0, 1.2, 1.0, 3.0]).to_string(), "120");
    }
}
