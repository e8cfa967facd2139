-- What is known of a session beside its tokens. Its id is the family_id of its refresh tokens; whether it lives they alone
-- say, since the version before knows only them. A session of that version has no row until it is refreshed.
-- Who writes here holds the row of the user locked.
CREATE TABLE sessions (
    id               uuid PRIMARY KEY,
    user_id          uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at       timestamptz NOT NULL DEFAULT now(),
    -- When the password was given. None where the version before opened the session.
    authenticated_at timestamptz,
    last_used_at     timestamptz NOT NULL DEFAULT now(),
    -- The end, however it is used: no token of it expires later.
    ends_at          timestamptz NOT NULL,
    address          text NOT NULL DEFAULT '' CHECK (char_length(address) <= 100),
    user_agent       text NOT NULL DEFAULT '' CHECK (char_length(user_agent) <= 200),
    -- What its tokens are made with, each from the one before. A token can't be had from it without the one before.
    seed             bytea NOT NULL CHECK (octet_length(seed) = 32)
);

-- The sessions of an account, the one used last first.
CREATE INDEX sessions_user_idx ON sessions (user_id, last_used_at);

-- What has ended, oldest first.
CREATE INDEX sessions_ends_at_idx ON sessions (ends_at);
