-- Answers that are given again when a request is repeated with its Idempotency-Key. A row is written in the transaction
-- of what the request has made or moved: there is never a key without it, nor the other way.
CREATE TABLE idempotency_keys (
    user_id        uuid NOT NULL,                  -- who asks
    key            text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
    request_digest bytea NOT NULL,                 -- another request under the same key is a mistake
    answer         bytea NOT NULL,                 -- the answer's message of shop.inventory.v1, encoded
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);

-- Old keys are removed oldest first.
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
