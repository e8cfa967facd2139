-- inventory-service may be of a later version, and reject for a reason that this version has no name for: it is recorded
-- as it came.
--
-- contract: the version before writes the two reasons that it knows, and the new condition allows them
ALTER TABLE orders DROP CONSTRAINT orders_rejection_reason_check;

ALTER TABLE orders ADD CONSTRAINT orders_rejection_reason_check
    CHECK (rejection_reason ~ '^[a-z0-9_]{1,64}$') NOT VALID;
