-- Answers that are given again when a request is repeated with its Idempotency-Key. A row is written in the transaction
-- of its order: there is never a key without its order, nor an order whose key is missing.
CREATE TABLE idempotency_keys (
    user_id        uuid NOT NULL,
    key            text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
    request_digest bytea NOT NULL,                 -- another body under the same key is a mistake
    answer         bytea NOT NULL,                 -- a shop.order.v1.Order, encoded, as it was created
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);

-- Old keys are removed oldest first.
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
