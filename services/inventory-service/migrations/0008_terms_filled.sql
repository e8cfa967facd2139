-- no-transaction
-- Fills in what the trigger of 0005 fills in from now on, some rows at a time and each time for itself, so that nobody
-- waits longer than for these. Begun again, it goes on.
-- contract: it changes nothing that the version before reads
DO $$
DECLARE
    last uuid := '00000000-0000-0000-0000-000000000000';
    batch uuid[];
BEGIN
    LOOP
        SELECT array_agg(id ORDER BY id) INTO batch FROM (
            SELECT id FROM products WHERE id > last ORDER BY id LIMIT 500
        ) AS next;
        EXIT WHEN batch IS NULL;
        UPDATE products
        SET terms = product_terms(name, sku, description, category, currency_code),
            price_amount = shown_amount(price_minor_units, currency_code)
        WHERE id = ANY (batch) AND terms IS NULL AND deleted_at IS NULL;
        COMMIT;
        last := batch[cardinality(batch)];
    END LOOP;
    -- Of an empty table it would be known from then on that it is empty, and statements planned so as to read all of it.
    IF EXISTS (SELECT FROM products) THEN
        ANALYZE products (terms, price_amount);
    END IF;
END
$$;
