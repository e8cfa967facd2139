-- No row has terms yet: the table is read once, and nothing is sorted or written. Built while others write, it would wait
-- for the replicas that wait for this migration. Without the pending list, as products_search_idx.
-- contract: products can't be changed for the second that reading a million takes; stock and orders don't notice
CREATE INDEX products_terms_idx ON products USING gin (terms) WITH (fastupdate = off)
    WHERE deleted_at IS NULL AND terms IS NOT NULL;
