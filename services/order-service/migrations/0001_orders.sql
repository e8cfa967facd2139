-- Orders. The id is a UUIDv7 made by the service: order by id is order by time.
CREATE TABLE orders (
    id                uuid PRIMARY KEY,
    user_id           uuid NOT NULL,
    -- pending → confirmed | rejected; pending | confirmed → cancelled; confirmed → completed. See order.rs.
    status            text NOT NULL CHECK (status IN ('pending', 'confirmed', 'rejected', 'cancelled', 'completed')),
    currency_code     text NOT NULL CHECK (currency_code ~ '^[A-Z]{3}$'),
    total_minor_units bigint NOT NULL CHECK (total_minor_units >= 0),
    rejection_reason  text CHECK (rejection_reason IN ('insufficient_stock', 'product_not_found')),
    rejected_product  uuid,
    created_at        timestamptz NOT NULL,
    decided_at        timestamptz, -- when it was confirmed or rejected
    updated_at        timestamptz NOT NULL,
    CONSTRAINT orders_rejection_check CHECK (
        (status = 'rejected') = (rejection_reason IS NOT NULL)
        AND (rejection_reason IS NULL) = (rejected_product IS NULL)
    )
);

-- A customer's own orders, newest first.
CREATE INDEX orders_user_idx ON orders (user_id, id);
-- An admin's list of one status. It costs an index entry per change of status, and keeps a list of the few cancelled
-- orders from reading all the others.
CREATE INDEX orders_status_idx ON orders (status, id);

-- What was ordered, with the product's name and price as they were then.
CREATE TABLE order_lines (
    order_id               uuid NOT NULL REFERENCES orders (id),
    line_no                smallint NOT NULL CHECK (line_no BETWEEN 1 AND 100),
    product_id             uuid NOT NULL,
    product_name           text NOT NULL,
    quantity               bigint NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
    unit_price_minor_units bigint NOT NULL CHECK (unit_price_minor_units >= 0),
    PRIMARY KEY (order_id, line_no)
);
