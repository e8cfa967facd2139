-- Accounts.
CREATE TABLE users (
    id            uuid PRIMARY KEY,       -- UUIDv7: the newest has the greatest, which is the order of the list
    -- As given. ASCII, so that lower() means the same under every locale.
    email         text NOT NULL CHECK (email ~ '^[!-~]+@[!-~]+$' AND char_length(email) <= 254),
    name          text NOT NULL DEFAULT '' CHECK (char_length(name) <= 200),
    role          text NOT NULL CHECK (role IN ('user', 'admin')),
    disabled      boolean NOT NULL DEFAULT false,
    -- In the PHC string format, parameters and salt included.
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- One account per email, however it is written: this index decides between two registrations at once.
CREATE UNIQUE INDEX users_email_key ON users (lower(email COLLATE "C"));

-- The enabled admins, locked and counted before one of them ceases to be: there must be one left.
CREATE INDEX users_enabled_admins_idx ON users (id) WHERE role = 'admin' AND NOT disabled;
