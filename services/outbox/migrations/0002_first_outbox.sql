-- The outbox that order-service 0.1 made for itself becomes a view of this one, under its old name and columns: an older
-- order-service that runs beside a newer one, or that is rolled back to, writes and reads the same events. To be dropped
-- when no order-service 0.1 can run any more. Other services never had one.
--
-- contract: the rows are moved, not lost, and the view stands where the table stood
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('outbox') AND relkind = 'r') THEN
        LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE;
        INSERT INTO outbox_events
            (event_id, subject, type, data, traceparent, tracestate, occurred_at, attempts, next_attempt_at)
        SELECT event_id, order_id, type, data, traceparent, tracestate, occurred_at, attempts, next_attempt_at
        FROM outbox ORDER BY seq;
        DROP TABLE outbox;
        CREATE VIEW outbox AS
            SELECT seq, event_id, subject AS order_id, type, data, traceparent, tracestate, occurred_at, attempts,
                   next_attempt_at
            FROM outbox_events;
    END IF;
END
$$;
