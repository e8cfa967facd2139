# The way of an event: committed, published, taken, worked off, or put aside.
include "panels";

dashboard("shop-events"; "Shop: events"; "Outboxes, the queue, and what did not get through"; [
    row("Outboxes"; [
        graph("Age of the oldest event"; "s"; "Under a second or two. It rises by a second a second while nothing is published.";
            [query("max by (job) (shop_outbox_oldest_age_seconds{@shop})"; "{{job}}")]),
        graph("Events that wait"; "short"; "Committed and not yet published.";
            [query("max by (job) (shop_outbox_events{@shop})"; "{{job}}")]),
        graph("Published"; "short"; "Events a second, by how they went: from memory at once, or found by a sweep because whoever had them died or failed.";
            [query("sum by (job, shop_outbox_from) (rate(shop_outbox_published_total{@shop}[@rate]))"; "{{job}}: {{shop_outbox_from}}")]),
        graph("Events of a batch, mean"; "short"; "Above one where many commit at once.";
            [query("sum by (job) (rate(shop_outbox_batch_size_sum{@shop}[@rate])) / sum by (job) (rate(shop_outbox_batch_size_count{@shop}[@rate]))"; "{{job}}")])
    ]),
    row("Queues"; [
        graph("Messages that wait"; "short"; "Without those that consumer-service has in hand. Near zero but for peaks.";
            [query("max by (messaging_destination_name) (shop_queue_messages{@shop})"; "{{messaging_destination_name}}")]),
        graph("Messages of a batch, mean"; "short"; "How many were there when consumer-service looked: it rises with the load.";
            [query("sum(rate(shop_consumer_batch_size_sum{@shop}[@rate])) / sum(rate(shop_consumer_batch_size_count{@shop}[@rate]))"; "consumer-service")]),
        graph("Time for a batch"; "s"; "Until inventory-service has committed and order-service has recorded.";
            [
                query("histogram_quantile(0.5, sum by (le) (rate(messaging_process_duration_seconds_bucket{@shop}[@rate])))"; "p50"),
                query("histogram_quantile(0.99, sum by (le) (rate(messaging_process_duration_seconds_bucket{@shop}[@rate])))"; "p99")
            ])
    ]),
    row("What did not get through"; [
        graph("Dead letters"; "short"; "Messages that wait for a person: `consumer-service dead-letters list`.";
            [query("max by (namespace, shop) (shop_queue_messages{@shop,messaging_destination_name='consumer-service.orders.dead-letters'})"; "{{namespace}}/{{shop}}")]),
        graph("Messages that became dead letters"; "short"; "Within the time that the page shows, by the reason.";
            [query("sum by (reason) (increase(shop_consumer_dead_lettered_messages_total{@shop}[$__range]))"; "{{reason}}")]),
        graph("Poison events"; "short"; "That can't be published: `order-service outbox poison list`.";
            [query("max by (job) (shop_outbox_poison_events{@shop})"; "{{job}}")]),
        graph("Events set aside"; "short"; "A second.";
            [query("sum by (job) (rate(shop_outbox_set_aside_total{@shop}[@rate]))"; "{{job}}")])
    ])
])
