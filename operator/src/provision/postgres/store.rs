//! Every statement that the operator sends to a PostgreSQL server.
//!
//! Names can't be parameters of such statements, so they are quoted here ([`ident`], [`literal`]), and every one has a deadline. A statement changes
//! an object and marks it in one transaction wherever the server allows that.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    PostgresError, Server,
    quote::{ident, literal},
    session::{close, connect, within},
};

/// There on every server unless somebody removed it.
const MAINTENANCE_DATABASE: &str = "postgres";
/// The first version in which a membership says whether it may be inherited and taken on.
const MEMBERSHIP_OPTIONS: i32 = 160_000;

/// A role as the server has it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "the server's own attributes")]
pub(super) struct Role {
    pub(super) mark: Option<String>,
    rolcanlogin: bool,
    rolinherit: bool,
    rolsuper: bool,
    rolcreatedb: bool,
    rolcreaterole: bool,
    rolreplication: bool,
    rolbypassrls: bool,
    expires: bool,
    /// The role that its sessions begin as.
    pub(super) acts_as: Option<String>,
}

chassis::from_row!(Role {
    mark,
    rolcanlogin,
    rolinherit,
    rolsuper,
    rolcreatedb,
    rolcreaterole,
    rolreplication,
    rolbypassrls,
    expires,
    acts_as
});

impl Role {
    /// The words that make its attributes what they should be. Only those that differ: some may be named by a superuser
    /// alone, even if they stay as they are.
    pub(super) fn corrections(&self, can_login: bool) -> Vec<&'static str> {
        let login = if can_login { "LOGIN" } else { "NOLOGIN" };
        [
            (self.rolcanlogin != can_login, login),
            (!self.rolinherit, "INHERIT"),
            (self.rolsuper, "NOSUPERUSER"),
            (self.rolcreatedb, "NOCREATEDB"),
            (self.rolcreaterole, "NOCREATEROLE"),
            (self.rolreplication, "NOREPLICATION"),
            (self.rolbypassrls, "NOBYPASSRLS"),
            (self.expires, "VALID UNTIL 'infinity'"),
        ]
        .into_iter()
        .filter_map(|(differs, word)| differs.then_some(word))
        .collect()
    }
}

/// A database as the server has it.
#[derive(Debug)]
pub(super) struct DatabaseRow {
    pub(super) mark: Option<String>,
    pub(super) owner: String,
    /// Whether PUBLIC, that is every role, has a privilege on it.
    pub(super) open_to_all: bool,
    /// Whether the owner has every privilege on it.
    pub(super) open_to_owner: bool,
}

chassis::from_row!(DatabaseRow {
    mark,
    owner,
    open_to_all,
    open_to_owner
});

/// One session with a server.
pub(super) struct Store {
    connection: PgConnection,
    address: String,
    version: i32,
}

impl Store {
    /// As the administrator, in the database that is there for such work.
    pub(super) async fn open(server: &Server) -> Result<Self, PostgresError> {
        Self::open_database(server, MAINTENANCE_DATABASE).await
    }

    /// As the administrator, in `database`.
    pub(super) async fn open_database(server: &Server, database: &str) -> Result<Self, PostgresError> {
        let address = server.address();
        let connection = connect(server, &server.user, &server.password, database).await?;
        let mut store = Self {
            connection,
            address,
            version: 0,
        };
        store.version = store
            .read_one(
                "ask for the version",
                "SELECT current_setting('server_version_num')::int",
                &[],
            )
            .await?;
        Ok(store)
    }

    /// Waits until no other run works on the same shop. The lock ends with the session.
    pub(super) async fn lock(&mut self, shop_uid: &str) -> Result<(), PostgresError> {
        let sql = "SELECT pg_advisory_lock(hashtextextended($1, 0)) IS NULL";
        self.read_one::<bool>("wait for another run to end", sql, &[shop_uid])
            .await
            .map(drop)
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        close(self.connection).await;
    }

    pub(super) async fn role(&mut self, name: &str) -> Result<Option<Role>, PostgresError> {
        let sql = "SELECT shobj_description(r.oid, 'pg_authid') AS mark,
                r.rolcanlogin, r.rolinherit, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls,
                coalesce(r.rolvaliduntil <> 'infinity', false) AS expires,
                (SELECT substr(setting, length('role=') + 1)
                    FROM pg_db_role_setting s, unnest(s.setconfig) setting
                    WHERE s.setrole = r.oid AND s.setdatabase = 0 AND setting LIKE 'role=%') AS acts_as
            FROM pg_roles r WHERE r.rolname = $1";
        let query = sqlx::query_as(sql)
            .bind(name)
            .fetch_optional(&mut self.connection);
        within(&self.address, &format!("look for the role {name:?}"), query).await
    }

    pub(super) async fn database(&mut self, name: &str) -> Result<Option<DatabaseRow>, PostgresError> {
        let sql = "SELECT shobj_description(d.oid, 'pg_database') AS mark, o.rolname::text AS owner,
                EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) WHERE grantee = 0)
                    AS open_to_all,
                (SELECT count(DISTINCT privilege_type) = 3
                    FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) WHERE grantee = d.datdba)
                    AS open_to_owner
            FROM pg_database d JOIN pg_roles o ON o.oid = d.datdba WHERE d.datname = $1";
        let query = sqlx::query_as(sql)
            .bind(name)
            .fetch_optional(&mut self.connection);
        within(&self.address, &format!("look for the database {name:?}"), query).await
    }

    /// Whether `login` is a member of `owner` that has its privileges and may take it on.
    pub(super) async fn is_member(&mut self, login: &str, owner: &str) -> Result<bool, PostgresError> {
        // By way of JSON because the options are no columns before PostgreSQL 16.
        let sql = "SELECT EXISTS (SELECT FROM pg_auth_members m, to_jsonb(m) AS option
            WHERE m.member = (SELECT oid FROM pg_roles WHERE rolname = $1)
                AND m.roleid = (SELECT oid FROM pg_roles WHERE rolname = $2)
                AND coalesce((option->>'inherit_option')::bool, true)
                AND coalesce((option->>'set_option')::bool, true))";
        self.read_one("look for a membership", sql, &[login, owner]).await
    }

    /// The roles with this mark that are members of `owner` or begin their sessions as it.
    pub(super) async fn logins_of(&mut self, owner: &str, mark: &str) -> Result<Vec<String>, PostgresError> {
        let sql = "SELECT r.rolname::text FROM pg_roles r
            WHERE shobj_description(r.oid, 'pg_authid') = $2
                AND (EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid
                        AND m.roleid = (SELECT oid FROM pg_roles WHERE rolname = $1))
                    OR EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setrole = r.oid
                        AND s.setdatabase = 0 AND 'role=' || $1 = ANY (s.setconfig)))
            ORDER BY 1";
        self.read("look for the logins", sql, &[owner, mark]).await
    }

    /// The verifier of a role's password, if this account may see it.
    pub(super) async fn verifier(&mut self, role: &str) -> Result<Verifier, PostgresError> {
        let sql = "SELECT has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT')";
        if !self.read_one::<bool>("ask for its privileges", sql, &[]).await? {
            return Ok(Verifier::Hidden);
        }
        let sql = "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1";
        self.read_one("read a verifier", sql, &[role])
            .await
            .map(Verifier::Known)
    }

    /// The databases of `owner` to go to so that `login`, which owns something or was granted something, can be dropped.
    pub(super) async fn traces(&mut self, login: &str, owner: &str) -> Result<Vec<String>, PostgresError> {
        // 0: what all databases share. Memberships go with the role and need no care.
        let sql = "SELECT d.datname::text FROM pg_database d
            WHERE d.datdba = (SELECT oid FROM pg_roles WHERE rolname = $2)
                AND EXISTS (SELECT FROM pg_shdepend s WHERE s.dbid IN (d.oid, 0)
                    AND s.classid <> 'pg_auth_members'::regclass
                    AND s.refclassid = 'pg_authid'::regclass
                    AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1))
            ORDER BY 1";
        self.read("look for what a role owns", sql, &[login, owner]).await
    }

    pub(super) async fn create_role(
        &mut self,
        name: &str,
        kind: NewRole<'_>,
        mark: &str,
    ) -> Result<(), PostgresError> {
        let attributes = match kind {
            NewRole::Owner => "NOLOGIN".to_owned(),
            NewRole::Login { verifier } => format!("LOGIN PASSWORD {}", literal(verifier)),
        };
        let role = ident(name);
        let mark = literal(mark);
        self.write(
            &format!("create the role {name:?}"),
            format!("CREATE ROLE {role} {attributes}; COMMENT ON ROLE {role} IS {mark}"),
        )
        .await
    }

    pub(super) async fn alter_role(&mut self, name: &str, words: &[&str]) -> Result<(), PostgresError> {
        let sql = format!("ALTER ROLE {} {}", ident(name), words.join(" "));
        self.write(&format!("alter the role {name:?}"), sql).await
    }

    /// From now on it can begin no session.
    pub(super) async fn lock_out(&mut self, login: &str) -> Result<(), PostgresError> {
        self.alter_role(login, &["NOLOGIN"]).await
    }

    pub(super) async fn set_verifier(&mut self, name: &str, verifier: &str) -> Result<(), PostgresError> {
        let sql = format!("ALTER ROLE {} PASSWORD {}", ident(name), literal(verifier));
        self.write(&format!("set the password of {name:?}"), sql).await
    }

    pub(super) async fn act_as(&mut self, login: &str, owner: &str) -> Result<(), PostgresError> {
        let sql = format!("ALTER ROLE {} SET role = {}", ident(login), literal(owner));
        self.write(&format!("make {login:?} act as {owner:?}"), sql).await
    }

    pub(super) async fn add_member(&mut self, login: &str, owner: &str) -> Result<(), PostgresError> {
        let sql = self.grant(&ident(owner), &ident(login));
        self.write(&format!("make {login:?} a member of {owner:?}"), sql)
            .await
    }

    pub(super) async fn remove_member(&mut self, login: &str, owner: &str) -> Result<(), PostgresError> {
        let sql = format!("REVOKE {} FROM {}", ident(owner), ident(login));
        self.write(&format!("end the membership of {login:?} in {owner:?}"), sql)
            .await
    }

    /// Gives this account the privileges of `role`, without which only a superuser can do more to what `role` owns.
    /// Returns whether it didn't have them.
    pub(super) async fn join(&mut self, role: &str) -> Result<bool, PostgresError> {
        let take_on = if self.version >= MEMBERSHIP_OPTIONS {
            "SET"
        } else {
            "MEMBER"
        };
        let sql = "SELECT pg_has_role($1::name, 'USAGE') AND pg_has_role($1::name, $2)";
        if self
            .read_one("look for a membership", sql, &[role, take_on])
            .await?
        {
            return Ok(false);
        }
        let sql = self.grant(&ident(role), "CURRENT_USER");
        self.write(&format!("become a member of {role:?}"), sql).await?;
        Ok(true)
    }

    fn grant(&self, role: &str, member: &str) -> String {
        let options = if self.version >= MEMBERSHIP_OPTIONS {
            " WITH INHERIT TRUE, SET TRUE"
        } else {
            ""
        };
        format!("GRANT {role} TO {member}{options}")
    }

    pub(super) async fn create_database(&mut self, name: &str, owner: &str) -> Result<(), PostgresError> {
        // Not from `template1`, in which there may be anything, and which can't be copied while somebody looks into it.
        let sql = format!(
            "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'",
            ident(name),
            ident(owner)
        );
        self.write(&format!("create the database {name:?}"), sql).await
    }

    pub(super) async fn mark_database(&mut self, name: &str, mark: &str) -> Result<(), PostgresError> {
        let sql = format!("COMMENT ON DATABASE {} IS {}", ident(name), literal(mark));
        self.write(&format!("mark the database {name:?}"), sql).await
    }

    pub(super) async fn give_database(&mut self, name: &str, owner: &str) -> Result<(), PostgresError> {
        let sql = format!("ALTER DATABASE {} OWNER TO {}", ident(name), ident(owner));
        self.write(&format!("give the database {name:?} to {owner:?}"), sql)
            .await
    }

    /// Leaves the owner's privileges, all of them, and takes PUBLIC's.
    pub(super) async fn restrict_database(&mut self, name: &str, owner: &str) -> Result<(), PostgresError> {
        let (database, owner) = (ident(name), ident(owner));
        let sql = format!(
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT ALL ON DATABASE {database} TO {owner}"
        );
        self.write(&format!("restrict the database {name:?}"), sql).await
    }

    pub(super) async fn drop_database(&mut self, name: &str) -> Result<(), PostgresError> {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(name));
        self.write(&format!("drop the database {name:?}"), sql).await
    }

    /// Ends the sessions of a role, and sees that they are gone.
    pub(super) async fn end_sessions(&mut self, role: &str) -> Result<(), PostgresError> {
        let doing = format!("end the sessions of {role:?}");
        let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1";
        self.read::<bool>(&doing, sql, &[role]).await?;
        let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1)";
        if self.read_one(&doing, sql, &[role]).await? {
            return Err(PostgresError::NoAnswer {
                server: self.address.clone(),
                doing,
            });
        }
        Ok(())
    }

    /// In this session's database and among what all databases share: what `role` made belongs to `heir`, what it was
    /// granted is taken.
    pub(super) async fn disinherit(&mut self, role: &str, heir: &str) -> Result<(), PostgresError> {
        let (name, heir) = (ident(role), ident(heir));
        let sql = format!("REASSIGN OWNED BY {name} TO {heir}; DROP OWNED BY {name}");
        self.write(&format!("reassign what {role:?} owns"), sql).await
    }

    pub(super) async fn drop_role(&mut self, name: &str) -> Result<(), PostgresError> {
        let sql = format!("DROP ROLE IF EXISTS {}", ident(name));
        self.write(&format!("drop the role {name:?}"), sql).await
    }

    async fn write(&mut self, doing: &str, sql: String) -> Result<(), PostgresError> {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection);
        within(&self.address, doing, statement).await.map(drop)
    }

    async fn read<T: Column>(
        &mut self,
        doing: &str,
        sql: &'static str,
        parameters: &[&str],
    ) -> Result<Vec<T>, PostgresError> {
        let mut query = sqlx::query_scalar(sql);
        for parameter in parameters {
            query = query.bind(*parameter);
        }
        within(&self.address, doing, query.fetch_all(&mut self.connection)).await
    }

    async fn read_one<T: Column>(
        &mut self,
        doing: &str,
        sql: &'static str,
        parameters: &[&str],
    ) -> Result<T, PostgresError> {
        self.read(doing, sql, parameters)
            .await?
            .pop()
            .ok_or_else(|| PostgresError::new(&self.address, doing, &sqlx::Error::RowNotFound))
    }
}

/// What one column may be read as.
trait Column: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin {}
impl<T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin> Column for T {}

/// What is known of a role's password.
pub(super) enum Verifier {
    /// As it is stored, if there is one.
    Known(Option<String>),
    /// Only a superuser may see it.
    Hidden,
}

/// A role to be made.
pub(super) enum NewRole<'a> {
    Owner,
    Login { verifier: &'a str },
}
