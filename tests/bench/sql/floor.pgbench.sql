-- One order of two lines and its event, as order-service writes them, one statement and so one
-- transaction each. An id that grows with time
-- stands in for a UUIDv7.
\set random random(0, 1000000000)
WITH new AS (
    SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
            || '7' || substr(md5(:client_id || '-' || :random || clock_timestamp()::text), 1, 19))::uuid AS id,
           clock_timestamp() AS now
), placed AS (
    INSERT INTO orders (id, user_id, status, currency_code, total_minor_units, created_at, updated_at)
    SELECT id, '01890000-0000-7000-8000-000000000001', 'pending', 'USD', 2099, now, now FROM new
), lines AS (
    INSERT INTO order_lines (order_id, line_no, product_id, product_name, quantity, unit_price_minor_units)
    SELECT id, line_no, '01890000-0000-7000-8000-000000000002', 'Bench ' || :random, 1, 1000
    FROM new, generate_series(1, 2) AS line_no
)
INSERT INTO outbox (event_id, order_id, type, data, traceparent, tracestate, occurred_at)
SELECT id, id, 'order.created',
       '{"order_id":"' || id || '","user_id":"01890000-0000-7000-8000-000000000001","lines":[{"product_id":"01890000-0000-7000-8000-000000000002","quantity":1},{"product_id":"01890000-0000-7000-8000-000000000003","quantity":1}],"total_minor_units":2099,"currency":"USD"}',
       '', '', now FROM new;
