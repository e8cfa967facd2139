# The page to begin with: is it well, do orders get through, and where else to look.
include "panels";

dashboard("shop"; "Shop"; "Whether the shop is well, and how far orders come"; [
    row("Now"; [
        number("Alerts"; "none"; 1; "Firing now. Each has a runbook of its name in deploy/observability/runbooks.";
            [query("sum(ALERTS{alertstate='firing',alertname=~'Shop.*',namespace=~'$namespace'}) or vector(0)"; "")]),
        number("Instances down"; "none"; 1; "Of all services, those that do not answer Prometheus.";
            [query("sum(up{@shop} == bool 0)"; "")]),
        number("Requests that fail"; "percentunit"; 0.001; "Answers 5xx of the last five minutes; the shop means to stay under 0.1 %.";
            [query("max(shop:http_server_errors:ratio_rate5m{@shop})"; "")]),
        number("Oldest event"; "s"; 60; "That waits in an outbox. Beyond a few seconds events are not published, and orders stay pending.";
            [query("max(shop_outbox_oldest_age_seconds{@shop})"; "")]),
        number("Queue"; "short"; 1000; "Messages that wait for consumer-service.";
            [query("sum(max by (namespace, shop) (shop_queue_messages{@shop,messaging_destination_name='consumer-service.orders'}))"; "")]),
        number("Dead letters"; "short"; 1; "Messages that could not be worked off, and wait for a person.";
            [query("sum(max by (namespace, shop) (shop_queue_messages{@shop,messaging_destination_name='consumer-service.orders.dead-letters'}))"; "")]),
        number("Poison events"; "short"; 1; "Events that can't be published, and wait for a person.";
            [query("sum(max by (namespace, shop, job) (shop_outbox_poison_events{@shop}))"; "")])
        | size(3; 4)
    ]),
    row("Orders"; [
        funnel("Orders, by how far they came"; "short"; "Within the time that the page shows. Placed = confirmed + rejected, but for those that are pending or were cancelled before; those completed or cancelled were confirmed before, maybe earlier.";
            [
                query("sum(increase(shop_orders_created_total{@shop}[$__range]))"; "placed"),
                query("sum by (shop_order_status) (increase(shop_orders_time_to_status_seconds_count{@shop}[$__range]))"; "{{shop_order_status}}")
            ]),
        graph("Orders a second"; "short"; "The curve of what is placed, and that of what is confirmed and rejected just behind it.";
            [
                query("sum(rate(shop_orders_created_total{@shop}[@rate]))"; "placed"),
                query("sum by (shop_order_status) (rate(shop_orders_time_to_status_seconds_count{@shop}[@rate]))"; "{{shop_order_status}}")
            ]),
        graph("Time from placed to each status, p95"; "s"; "Confirmed and rejected: well below a second; this is the way over the outbox, the broker and the stock. Completed and cancelled are people's doing.";
            [query("max by (shop_order_status) (shop_status:shop_orders_time_to_status_seconds:p95_rate5m{@shop})"; "{{shop_order_status}}")])
    ]),
    row("Stock"; [
        graph("Stock asked for and given back"; "short"; "Orders a second. Allocated is confirmed, rejected had too little stock, released was cancelled before it was worked off.";
            [query("sum by (operation, outcome) (rate(shop_stock_orders_total{@shop}[@rate]))"; "{{operation}}: {{outcome}}")]),
        graph("Orders rejected for want of stock"; "percentunit"; "Of all whose stock was asked for. All at once: somebody buys what is gone, or an import set stocks to zero.";
            [query("sum(rate(shop_stock_orders_total{@shop,operation='allocate',outcome='rejected'}[@rate])) / sum(rate(shop_stock_orders_total{@shop,operation='allocate'}[@rate]))"; "rejected")])
    ]),
    row("Customers"; [
        graph("Requests a second, by answer"; "reqps"; "4xx are requests that were refused with a reason, 5xx are ours.";
            [query("sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count{@shop}[@rate]))"; "{{http_response_status_code}}")]),
        (graph("Slowest routes, p99"; "s"; "Over five minutes. A point of a curve leads to its traces.";
            [query("topk(10, max by (http_request_method, http_route) (shop_route:http_server_request_duration_seconds:p99_rate5m{@shop}))"; "{{http_request_method}} {{http_route}}")])
        | to_traces)
    ]),
    row("From here to a trace"; [
        text("A point of a curve above links to **Jaeger** (its address is the variable at the top), where the spans are if the services have `OTEL_EXPORTER_OTLP_ENDPOINT`. Without it **log lines** lead on: each within a request has its `trace_id`, as each error that a customer sees has, and one request is one trace through all services.\n\n```\ngrep -h 'a request failed' .shop/logs/api-gateway.log     # with method, route, status and trace id\ngrep -h TRACE_ID .shop/logs/*.log                         # the same request everywhere else\n```\n\nIn a cluster: `kubectl logs --selector app.kubernetes.io/instance=SHOP --prefix --tail=-1 | grep TRACE_ID`.")
        | size(24; 6)
    ])
])
