-- Events that are to be published. A row is written in the transaction that changes its order, and deleted when
-- producer-service says that the broker has it.
CREATE TABLE outbox (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- within one order, the order of its changes
    event_id        uuid NOT NULL,                                   -- the same at every attempt
    order_id        uuid NOT NULL,
    type            text NOT NULL CHECK (type IN
                        ('order.created', 'order.cancelled', 'order.confirmed', 'order.rejected', 'order.completed')),
    data            text NOT NULL,                                   -- JSON, as the event's type has it
    traceparent     text NOT NULL,                                   -- W3C trace context of the change; '' for none
    tracestate      text NOT NULL,
    occurred_at     timestamptz NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT '-infinity'
)
-- Every row is short-lived. Vacuum often, by count rather than by share of a table that is all but empty, so that
-- looking for the first row does not wade through dead ones.
WITH (
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_analyze_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0
);

-- Whether an order has an earlier event that is not published yet.
CREATE INDEX outbox_order_idx ON outbox (order_id, seq);
