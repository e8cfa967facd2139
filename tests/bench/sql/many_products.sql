-- $1: how many. Every name has the word "product" in common, and a word that a thousandth of them share.
WITH created AS (
    INSERT INTO products (id, sku, name, description, price_minor_units, currency_code, category, image_url, created_at)
    SELECT gen_random_uuid(), 'MANY-' || gen_random_uuid(), 'Product word' || n % 1000 || ' number ' || n,
           'A thing of use in any home, made to last, of the series ' || n / 1000,
           (n::bigint * 7919) % 100000, 'USD', 'category-' || n % 50, '', now() - n * interval '1 second'
    FROM generate_series(1, $1::bigint) AS n
    RETURNING id
), stocked AS (
    INSERT INTO stock (product_id, available) SELECT id, 100 FROM created
)
INSERT INTO stock_movements (product_id, kind, delta) SELECT id, 'initial', 100 FROM created
