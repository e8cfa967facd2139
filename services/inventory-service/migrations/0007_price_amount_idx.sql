-- As 0006. Both end in the id, as the indexes of the other orders do.
-- contract: products can't be changed for the second that reading a million takes; stock and orders don't notice
CREATE INDEX products_price_amount_idx ON products (price_amount, id)
    WHERE deleted_at IS NULL AND price_amount IS NOT NULL;
-- contract: the same
CREATE INDEX products_category_price_amount_idx ON products (category, price_amount, id)
    WHERE deleted_at IS NULL AND price_amount IS NOT NULL;
