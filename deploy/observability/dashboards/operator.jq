# What the operator does.
include "panels";

dashboard("shop-operator"; "Shop: operator"; "Reconciles of Shops"; [
    row("Reconciles"; [
        graph("Rate, by how they ended"; "short"; "`settled` and `done` have nothing left to do, `waiting` for something to become ready, `failed` is tried again with back-off. Never `panicked`.";
            [query("sum by (outcome) (rate(shop_operator_reconcile_duration_seconds_count{namespace=~'$namespace'}[@rate]))"; "{{outcome}}")]),
        graph("Duration"; "s"; "One that waits for a database's answer takes longer.";
            [
                query("histogram_quantile(0.5, sum by (le) (rate(shop_operator_reconcile_duration_seconds_bucket{namespace=~'$namespace'}[@rate])))"; "p50"),
                query("histogram_quantile(0.99, sum by (le) (rate(shop_operator_reconcile_duration_seconds_bucket{namespace=~'$namespace'}[@rate])))"; "p99")
            ]),
        graph("Shops at work and waiting"; "short"; "At most MAX_CONCURRENT_RECONCILES at once (the chart's maxConcurrentReconciles).";
            [
                query("sum(shop_operator_reconciles_running{namespace=~'$namespace'})"; "running"),
                query("sum(shop_operator_reconciles_queued{namespace=~'$namespace'})"; "queued")
            ]),
        graph("Requests to the API server"; "reqps"; "By verb. A settled Shop costs next to none.";
            [query("sum by (method) (rate(shop_operator_api_server_requests_total{namespace=~'$namespace'}[@rate]))"; "{{method}}")])
    ])
])
