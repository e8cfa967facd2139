# shellcheck shell=bash
# A role for each service's database, that owns it and nothing else, and the only one that may connect to it: what
# operator/src/provision/postgres.rs does in a cluster. Sourced after postgres.sh.
#
# A role that is made here carries a comment. One of the same name without it is somebody else's and is left alone.

ROLE_MARK='shop: start-services.sh'

# own_database URL DATABASE ROLE PASSWORD: as the login of URL, makes the role log in with that password and own the
# database, which is created if need be, with all that is in it: also where it belonged to the administrator, as it did
# before services had roles. Prints why it can't.
own_database() {
    postgres_script "$1" "database=$2" "role=$3" "mark=$ROLE_MARK" 2>&1 <<SQL && take_over "$1" "$2" "$3" 2>&1
SELECT set_config('shop.role', :'role', false), set_config('shop.mark', :'mark', false) \\g /dev/null
DO \$\$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_setting('shop.role')
            AND shobj_description(oid, 'pg_authid') IS DISTINCT FROM current_setting('shop.mark')) THEN
        RAISE EXCEPTION 'the role % is somebody else''s', current_setting('shop.role');
    END IF;
END \$\$;
BEGIN;
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') AS missing \\gset
\\if :missing
CREATE ROLE :"role" LOGIN;
COMMENT ON ROLE :"role" IS :'mark';
\\endif
ALTER ROLE :"role" LOGIN PASSWORD '$4';
SELECT NOT rolsuper AS member FROM pg_roles WHERE rolname = current_user \\gset
\\if :member
GRANT :"role" TO CURRENT_USER; -- nobody else than a superuser may give something to a role that he is no member of
\\endif
COMMIT;
SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS missing \\gset
\\if :missing
CREATE DATABASE :"database" OWNER :"role";
\\endif
ALTER DATABASE :"database" OWNER TO :"role";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
}

# take_over URL DATABASE ROLE: what is in the database and was made by another role. What belongs to an extension goes
# with it, a sequence with the column whose it is, and a type with its table.
take_over() {
    postgres_script "$(postgres_database_url "$1" "$2")" "role=$3" <<'SQL'
BEGIN;
SELECT set_config('shop.role', :'role', true) \g /dev/null
DO $$
DECLARE
    owner_id CONSTANT oid NOT NULL := (SELECT oid FROM pg_roles WHERE rolname = current_setting('shop.role'));
    change text;
BEGIN
    FOR change IN
        WITH own_schemas AS (
            SELECT oid, nspname, nspowner FROM pg_namespace
            WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        ), dependent AS (
            SELECT classid, objid FROM pg_depend WHERE deptype IN ('a', 'e', 'i') AND refclassid <> 'pg_namespace'::regclass
        )
        SELECT format('SCHEMA %I', nspname) FROM own_schemas
            WHERE nspname <> 'public' AND nspowner <> owner_id
        UNION ALL
        SELECT format('TABLE %s', c.oid::regclass) FROM pg_class c JOIN own_schemas s ON s.oid = c.relnamespace
            WHERE c.relowner <> owner_id AND (c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (
                    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
                OR c.relkind = 'S' AND NOT EXISTS (
                    SELECT FROM dependent d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid))
        UNION ALL
        SELECT format('ROUTINE %s', p.oid::regprocedure) FROM pg_proc p JOIN own_schemas s ON s.oid = p.pronamespace
            WHERE p.proowner <> owner_id AND NOT EXISTS (
                SELECT FROM dependent d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid)
        UNION ALL
        SELECT format('TYPE %s', t.oid::regtype) FROM pg_type t JOIN own_schemas s ON s.oid = t.typnamespace
            WHERE t.typowner <> owner_id AND t.typtype IN ('d', 'e') AND NOT EXISTS (
                SELECT FROM dependent d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid)
    LOOP
        EXECUTE format('ALTER %s OWNER TO %I', change, current_setting('shop.role'));
    END LOOP;
END $$;
COMMIT;
SQL
}

# shut_out_of DATABASE_URL DATABASE...: of databases of the server itself, which nobody but its administrator needs.
shut_out_of() {
    local database
    for database in "${@:2}"; do
        postgres_query "$1" "REVOKE ALL ON DATABASE $database FROM PUBLIC" || return 1
    done
}
