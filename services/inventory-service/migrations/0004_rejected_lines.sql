-- Every line that an order was rejected for, in their order, where there is more than the one of rejection_reason and
-- rejected_product: [{"product_id", "reason"}]. The version before writes and reads that one alone.
ALTER TABLE allocations ADD COLUMN rejected_lines jsonb;
