-- Who did what, to what, why, when and from where. A row is written in the transaction of the change that it tells of.
CREATE TABLE audit_records (
    id           uuid PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_kind   text NOT NULL,        -- user, admin, anonymous, system or unknown; later versions may add others
    actor_id     uuid,                 -- the account
    session_id   uuid,                 -- the session that it used
    address      text,                 -- where the request came from: an IP address
    action       text NOT NULL,        -- product.updated
    subject_kind text NOT NULL,        -- product
    subject_id   uuid NOT NULL,
    reason       text,                 -- in the words of who did it
    changes      jsonb NOT NULL,       -- {"name": {"old": …, "new": …}}
    trace_id     text                  -- in hexadecimal
);

-- Each filter has an index in the order of the list.
CREATE INDEX audit_records_at_idx ON audit_records (at, id);
CREATE INDEX audit_records_actor_idx ON audit_records (actor_id, at, id);
CREATE INDEX audit_records_action_idx ON audit_records (action, at, id);
CREATE INDEX audit_records_kind_idx ON audit_records (subject_kind, at, id);
CREATE INDEX audit_records_subject_idx ON audit_records (subject_id, at, id);

-- Rows are added, and that is all. The service owns the table, and takes from itself the right to do anything else to its
-- rows; the trigger stands where rights don't: for a superuser, and for an owner that has given them back to itself.
CREATE FUNCTION audit_records_are_only_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit records are only added' USING ERRCODE = 'insufficient_privilege';
END
$$;

-- contract: the table is made here, and nobody else's yet
CREATE TRIGGER audit_records_are_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_records
    FOR EACH STATEMENT EXECUTE FUNCTION audit_records_are_only_added();

-- contract: the table is made here, and nobody else's yet
REVOKE UPDATE, DELETE, TRUNCATE ON audit_records FROM CURRENT_USER;
