-- Attempts in a row to prove who one is that have failed, or whose end is not known yet: each is counted before it is
-- looked at, so that many at once are as many. A lane is whose attempts are counted together: an email's (whether or not
-- an account has it), a known device's, or those of somebody who is logged in. Rows are few and go soon; backups need none.
CREATE TABLE login_backoffs (
    lane          bytea PRIMARY KEY CHECK (octet_length(lane) = 32), -- SHA-256
    failures      integer NOT NULL CHECK (failures >= 0),
    last_at       timestamptz NOT NULL DEFAULT now(),
    -- Until then nothing is looked at. None: nothing is refused.
    refused_until timestamptz
);

-- What has lain longest.
CREATE INDEX login_backoffs_last_at_idx ON login_backoffs (last_at);

-- Devices from which somebody has logged in. Who holds such a token has attempts of his own; it opens nothing.
-- Who writes here holds the row of the user locked.
CREATE TABLE known_devices (
    token_hash   bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32), -- SHA-256; the token itself is nowhere
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
);

-- The devices of an account, the one used last first.
CREATE INDEX known_devices_user_idx ON known_devices (user_id, last_used_at);

-- What has expired, oldest first.
CREATE INDEX known_devices_expires_at_idx ON known_devices (expires_at);
