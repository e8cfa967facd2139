# Rate, errors and duration of each hop; then what each stands on.
include "panels";

dashboard("shop-services"; "Shop: services"; "Rate, errors and duration of every hop, and what they are limited by"; [
    row("HTTP: customer → api-gateway"; [
        graph("Rate"; "reqps"; "Requests a second, by route.";
            [query("sum by (http_request_method, http_route) (rate(http_server_request_duration_seconds_count{@shop}[@rate]))"; "{{http_request_method}} {{http_route}}")]),
        graph("Errors"; "reqps"; "What is answered 5xx, by route. 503 is a service that is down or has too much to do.";
            [query("sum by (http_request_method, http_route, http_response_status_code) (rate(http_server_request_duration_seconds_count{@shop,http_response_status_code=~'5..'}[@rate]))"; "{{http_response_status_code}} {{http_request_method}} {{http_route}}")]),
        graph("Duration, p99"; "s"; "Over five minutes. Logging in costs a tenth of a second or two by intention: passwords are hashed.";
            [query("max by (http_request_method, http_route) (shop_route:http_server_request_duration_seconds:p99_rate5m{@shop})"; "{{http_request_method}} {{http_route}}")])
        | to_traces
    ]),
    row("gRPC: as the called service has it"; [
        graph("Rate"; "reqps"; "Calls answered a second.";
            [query("sum by (job, rpc_method) (rate(rpc_server_call_duration_seconds_count{@shop}[@rate]))"; "{{job}}: {{rpc_method}}")]),
        graph("Errors"; "reqps"; "What is the server's fault. A stock that does not suffice, or an order that is not there, is none.";
            [query("sum by (job, rpc_method, rpc_response_status_code) (rate(rpc_server_call_duration_seconds_count{@shop,rpc_response_status_code=~'UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS'}[@rate]))"; "{{job}}: {{rpc_method}} {{rpc_response_status_code}}")]),
        graph("Duration, p99"; "s"; "Of the streams that many calls share (PlaceOrders, QuotePrices) each call counts, and each stream once more.";
            [query("histogram_quantile(0.99, sum by (job, rpc_method, le) (rate(rpc_server_call_duration_seconds_bucket{@shop}[@rate])))"; "{{job}}: {{rpc_method}}")])
        | to_calls
    ]),
    row("gRPC: as the calling service has it"; [
        graph("Rate"; "reqps"; "Calls made a second.";
            [query("sum by (job, rpc_method) (rate(rpc_client_call_duration_seconds_count{@shop}[@rate]))"; "{{job}} → {{rpc_method}}")]),
        graph("Errors"; "reqps"; "Everything but OK: also what the callee rightly refused. Where the other side has none, the connection is at fault.";
            [query("sum by (job, rpc_method, rpc_response_status_code) (rate(rpc_client_call_duration_seconds_count{@shop,rpc_response_status_code!='OK'}[@rate]))"; "{{job}} → {{rpc_method}} {{rpc_response_status_code}}")]),
        graph("Duration, p99"; "s"; "Where it is well above the callee's own, time is lost between the two, or before a retry.";
            [query("histogram_quantile(0.99, sum by (job, rpc_method, le) (rate(rpc_client_call_duration_seconds_bucket{@shop}[@rate])))"; "{{job}} → {{rpc_method}}")])
        | to_calls
    ]),
    row("AMQP: producer-service → RabbitMQ → consumer-service"; [
        graph("Published and consumed"; "short"; "Messages a second. What is consumed is `order.created` and `order.cancelled` only.";
            [
                query("sum by (messaging_destination_name) (rate(messaging_client_sent_messages_total{@shop}[@rate]))"; "sent to {{messaging_destination_name}}"),
                query("sum by (messaging_destination_name) (rate(messaging_client_consumed_messages_total{@shop}[@rate]))"; "taken from {{messaging_destination_name}}")
            ]),
        graph("Errors"; "short"; "Messages that were not published, which are tried again from the outbox, and those that went to the dead letters.";
            [
                query("sum by (error_type) (rate(messaging_client_sent_messages_total{@shop,error_type!=''}[@rate]))"; "not published: {{error_type}}"),
                query("sum by (reason) (rate(shop_consumer_dead_lettered_messages_total{@shop}[@rate]))"; "dead letter: {{reason}}")
            ]),
        graph("Duration, p99"; "s"; "Publishing lasts until the broker's confirm, which is when the message is on disk; processing from taking a batch up to its verdict.";
            [
                query("histogram_quantile(0.99, sum by (le) (rate(messaging_client_operation_duration_seconds_bucket{@shop}[@rate])))"; "publish"),
                query("histogram_quantile(0.99, sum by (le) (rate(messaging_process_duration_seconds_bucket{@shop}[@rate])))"; "process")
            ])
    ]),
    row("Overload"; [
        graph("Calls refused"; "reqps"; "By the called service, which has MAX_CONCURRENT_CALLS at work, and by the caller, which waits for enough of them already.";
            [
                query("sum by (job) (rate(shop_rpc_server_refused_calls_total{@shop}[@rate]))"; "{{job}} as server"),
                query("sum by (job) (rate(shop_rpc_client_refused_calls_total{@shop}[@rate]))"; "{{job}} as client")
            ]),
        graph("Requests refused"; "reqps"; "429: one client asks too often. 503: all together ask too much, or a service is down. 408: a body that did not come.";
            [query("sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count{@shop,http_response_status_code=~'408|429|503'}[@rate]))"; "{{http_response_status_code}}")]),
        graph("Calls at work, and how many may be"; "short"; "The limit of a caller follows how quickly it is answered.";
            [
                query("sum by (job) (shop_rpc_server_active_calls{@shop})"; "{{job}} answers"),
                query("min by (job) (shop_rpc_client_limit{@shop})"; "{{job}} may ask for")
            ]),
        graph("Retries"; "short"; "Attempts beyond the first, a second: at most a tenth of the calls, by a budget.";
            [query("sum by (job, why) (rate(shop_rpc_client_repeats_total{@shop}[@rate]))"; "{{job}}: {{why}}")])
    ]),
    row("Databases"; [
        graph("Sessions"; "short"; "Of each service's pool, by whether somebody has them; at most DATABASE_MAX_CONNECTIONS for each instance.";
            [
                query("sum by (job, db_client_connection_state) (db_client_connection_count{@shop})"; "{{job}}: {{db_client_connection_state}}"),
                query("sum by (job) (db_client_connection_max{@shop})"; "{{job}}: most")
            ]),
        graph("Waiting for a session"; "short"; "Zero but for moments. Otherwise statements are slow, or the pool is too small for the load.";
            [query("sum by (job) (db_client_connection_pending_requests{@shop})"; "{{job}}")]),
        graph("Waits given up"; "short"; "A second. Each was a request that failed.";
            [query("sum by (job) (rate(db_client_connection_timeouts_total{@shop}[@rate]))"; "{{job}}")])
    ])
])
