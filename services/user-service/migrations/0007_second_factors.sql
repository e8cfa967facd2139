-- Second factors: one for an account at most. Who can read this table can make the codes of any account that has one, as
-- signing_keys: give its role to no other service, and its backups to nobody. Secrets are no passwords: a code is made
-- with the secret itself, so a hash would not do. Who writes here holds the row of the user locked.
CREATE TABLE second_factors (
    user_id      uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret       bytea NOT NULL CHECK (octet_length(secret) = 20), -- RFC 4226, section 4: 160 bits
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- None: it was begun, and its holder has not shown yet that he can make codes. Nobody is asked for any until then.
    confirmed_at timestamptz,
    -- The newest step of time whose code was taken: that one and older ones are taken no more.
    last_step    bigint NOT NULL DEFAULT 0
);

-- For whoever has lost what makes the codes. A code that was used is not here any more.
CREATE TABLE recovery_codes (
    user_id   uuid NOT NULL REFERENCES second_factors (user_id) ON DELETE CASCADE,
    code_hash bytea NOT NULL CHECK (octet_length(code_hash) = 32), -- SHA-256; there is nothing to guess in 80 random bits
    PRIMARY KEY (user_id, code_hash)
);

-- Whether a session was opened with the second factor. The version before opens sessions without.
ALTER TABLE sessions ADD COLUMN second_factor boolean NOT NULL DEFAULT false;
