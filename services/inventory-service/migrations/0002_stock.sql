-- Units for sale now: the hot rows. Narrow, with only the key indexed and room left in each page, so that an update is
-- heap-only (HOT): it writes no index entry and its dead version is reclaimed without a vacuum.
CREATE TABLE stock (
    product_id uuid PRIMARY KEY REFERENCES products (id),
    available  bigint NOT NULL CHECK (available >= 0)
) WITH (fillfactor = 50);

-- What was decided about each order, once: the row is what makes allocation and release idempotent.
CREATE TABLE allocations (
    order_id         uuid PRIMARY KEY,
    -- allocated: its stock is taken.  rejected: none was, see below.  released: given back, or cancelled before it came.
    status           text NOT NULL CHECK (status IN ('allocated', 'rejected', 'released')),
    rejection_reason text CHECK (rejection_reason IN ('insufficient_stock', 'product_not_found')),
    -- The product at fault. No foreign key: it may be one that there never was.
    rejected_product uuid,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT allocations_rejection_check CHECK (
        (status = 'rejected') = (rejection_reason IS NOT NULL)
        AND (rejection_reason IS NULL) = (rejected_product IS NULL)
    )
) WITH (fillfactor = 90);

-- The ledger: every movement of stock, never changed. The deltas of a product add up to its stock. No foreign key: each
-- writer has the product's row of stock locked, and such rows are never deleted; a check per line would buy nothing.
CREATE TABLE stock_movements (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    product_id uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('initial', 'adjustment', 'allocation', 'release')),
    delta      bigint NOT NULL CHECK (
        CASE kind WHEN 'allocation' THEN delta < 0 WHEN 'adjustment' THEN delta <> 0 ELSE delta > 0 END
    ),
    reason     text NOT NULL DEFAULT '' CHECK (char_length(reason) <= 200),
    order_id   uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (product_id, id), -- the ledger of one product, newest first
    CONSTRAINT stock_movements_order_check CHECK ((order_id IS NOT NULL) = (kind IN ('allocation', 'release'))),
    CONSTRAINT stock_movements_why_check CHECK ((reason <> '') = (kind = 'adjustment'))
);

-- An order takes and gives back a product once at most, whatever is delivered how often. Also finds an order's lines.
CREATE UNIQUE INDEX stock_movements_order_key ON stock_movements (order_id, product_id, kind)
    WHERE order_id IS NOT NULL;
