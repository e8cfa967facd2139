-- $1: the ids of new products, each with a stock that no measurement uses up, and its ledger.
WITH created AS (
    INSERT INTO products (id, sku, name, description, price_minor_units, currency_code, category, image_url)
    SELECT id, 'BENCH-' || id, 'Bench ' || n, '', 1000 + n, 'USD', 'bench', ''
    FROM unnest($1::uuid[]) WITH ORDINALITY AS given (id, n)
    RETURNING id
), stocked AS (
    INSERT INTO stock (product_id, available) SELECT id, 1000000000 FROM created
)
INSERT INTO stock_movements (product_id, kind, delta) SELECT id, 'initial', 1000000000 FROM created
