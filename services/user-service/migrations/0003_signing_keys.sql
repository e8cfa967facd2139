-- The keys of access tokens, private parts included, where they are not given by a file. Who can read this table can
-- make tokens of any user: give its role to no other service, and its backups to nobody.
CREATE TABLE signing_keys (
    key_id      text PRIMARY KEY,                   -- the JWK thumbprint (RFC 7638)
    private_key bytea NOT NULL,                     -- Ed25519 in PKCS#8
    created_at  timestamptz NOT NULL DEFAULT now()  -- decides which key signs
);
