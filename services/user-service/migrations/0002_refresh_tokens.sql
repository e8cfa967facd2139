-- Refresh tokens. Those of one login and its refreshes are a family. To revoke is to delete: a token that is not here is
-- not valid. Who writes here holds the row of the user locked, so the writers of one user come one after the other.
CREATE TABLE refresh_tokens (
    token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32), -- SHA-256; the token itself is nowhere
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    family_id  uuid NOT NULL,
    issued_at  timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL CHECK (expires_at > issued_at),
    -- Spent tokens stay until they expire: to be presented again is how a stolen one shows.
    spent_at   timestamptz
);

-- A family is one chain: of its tokens one at most can be used.
CREATE UNIQUE INDEX refresh_tokens_unspent_key ON refresh_tokens (family_id) WHERE spent_at IS NULL;

-- Revokes a family, or all that a user has.
CREATE INDEX refresh_tokens_user_idx ON refresh_tokens (user_id, family_id);

-- What has expired, oldest first.
CREATE INDEX refresh_tokens_expires_at_idx ON refresh_tokens (expires_at);
