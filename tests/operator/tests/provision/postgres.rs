//! The databases of a shop. Each test has names of its own, so that all run on one server at once.

mod create;
mod drift;
mod errors;
mod logins;
mod names;
mod taken;

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use shop_operator::provision::postgres::{Changes, Database, Login, Server, Tls, ensure, remove};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use url::Url;

/// Runs a test as each kind of administrator.
macro_rules! as_each_administrator {
    ($($test:ident),+ $(,)?) => {
        mod superuser {
            $(#[tokio::test] async fn $test() { super::$test($crate::postgres::Place::of_superuser()).await; })+
        }
        mod creator {
            $(#[tokio::test] async fn $test() { super::$test($crate::postgres::Place::of_creator().await).await; })+
        }
    };
}
use as_each_administrator;

/// A shop of a test's own on the server of `TEST_DATABASE_URL`.
struct Place {
    root: Server,
    /// Who the operator is.
    admin: Server,
    uid: String,
    /// What all its names begin with.
    prefix: String,
}

impl Place {
    /// The operator is a superuser.
    fn of_superuser() -> Self {
        let url = std::env::var("TEST_DATABASE_URL")
            .unwrap_or_else(|_| "postgres://postgres:postgres@127.0.0.1:55432/postgres".to_owned());
        let url = Url::parse(&url).unwrap();
        let root = Server {
            host: url.host_str().unwrap().to_owned(),
            port: url.port().unwrap_or(5432),
            user: url.username().to_owned(),
            password: url.password().unwrap_or_default().into(),
            tls: Tls::Prefer,
        };
        let id: u64 = rand::random();
        Self {
            admin: root.clone(),
            root,
            uid: format!("uid-{id:016x}"),
            prefix: format!("t{id:016x}"),
        }
    }

    /// The operator may create databases and roles, and nothing else.
    async fn of_creator() -> Self {
        let mut place = Self::of_superuser();
        let name = format!("{}_admin", place.prefix);
        place
            .as_root(&format!(
                "CREATE ROLE {name} LOGIN CREATEDB CREATEROLE PASSWORD 'creator'"
            ))
            .await;
        place.admin.user = name;
        place.admin.password = "creator".into();
        place
    }

    /// `name`, as this test alone has it.
    fn name(&self, name: &str) -> String {
        format!("{}_{name}", self.prefix)
    }

    fn login(&self, name: &str) -> Login {
        Login {
            name: self.name(name),
            password: format!("secret of {name}").into(),
        }
    }

    fn database(&self, name: &str, logins: &[&str]) -> Database {
        Database {
            name: self.name(name),
            owner: self.name(&format!("{name}_owner")),
            logins: logins.iter().map(|login| self.login(login)).collect(),
        }
    }

    async fn ensure(&self, databases: &[Database]) -> Changes {
        ensure(&self.admin, &self.uid, databases).await.unwrap()
    }

    /// Sees that a second run finds nothing to do, and that it touches no row of what is the test's.
    async fn assert_settled(&self, databases: &[Database]) {
        let before = self.versions().await;
        let changes = self.ensure(databases).await;
        assert!(changes.is_empty(), "{changes}");
        assert_eq!(before, self.versions().await);
    }

    /// Removes what a test has made.
    async fn clear(self, databases: &[Database]) {
        // An autovacuum worker that is in a database belongs to no role, so who is no superuser can't end it. The operator
        // comes again in its next turn.
        let mut removed = remove(&self.admin, &self.uid, databases).await;
        for _ in 0..20 {
            if removed.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            removed = remove(&self.admin, &self.uid, databases).await;
        }
        removed.unwrap();
        if self.admin.user != self.root.user {
            self.as_root(&format!("DROP ROLE {}", self.admin.user)).await;
        }
        assert_eq!(self.versions().await, Vec::<String>::new(), "nothing is left");
    }

    /// Each row of the server's catalogue on what is the test's, with the transaction that wrote it.
    async fn versions(&self) -> Vec<String> {
        sqlx::query_scalar(
            "WITH roles AS (SELECT oid FROM pg_authid WHERE starts_with(rolname, $1)),
                databases AS (SELECT oid FROM pg_database WHERE starts_with(datname, $1)),
                versions AS (
                    SELECT 'role ' || rolname || xmin AS v FROM pg_authid WHERE oid IN (TABLE roles)
                    UNION ALL SELECT 'database ' || datname || xmin FROM pg_database WHERE oid IN (TABLE databases)
                    UNION ALL SELECT 'membership ' || roleid || ' ' || member || xmin FROM pg_auth_members
                        WHERE roleid IN (TABLE roles) OR member IN (TABLE roles)
                    UNION ALL SELECT 'setting ' || setrole || xmin FROM pg_db_role_setting
                        WHERE setrole IN (TABLE roles) OR setdatabase IN (TABLE databases)
                    UNION ALL SELECT 'comment ' || description || xmin FROM pg_shdescription
                        WHERE objoid IN (TABLE roles) OR objoid IN (TABLE databases))
            SELECT v FROM versions ORDER BY v",
        )
        .bind(&self.prefix)
        .fetch_all(&mut session(&self.root, "postgres").await.unwrap())
        .await
        .unwrap()
    }

    async fn as_root(&self, sql: &str) {
        let mut root = session(&self.root, "postgres").await.unwrap();
        run(&mut root, sql).await.unwrap();
    }

    async fn as_admin(&self, sql: &str) {
        let mut admin = session(&self.admin, "postgres").await.unwrap();
        run(&mut admin, sql).await.unwrap();
    }

    async fn log_in(&self, login: &Login, database: &str) -> sqlx::Result<PgConnection> {
        let server = Server {
            user: login.name.clone(),
            password: login.password.clone(),
            ..self.root.clone()
        };
        session(&server, database).await
    }
}

async fn session(server: &Server, database: &str) -> sqlx::Result<PgConnection> {
    let options = PgConnectOptions::new_without_pgpass()
        .host(&server.host)
        .port(server.port)
        .username(&server.user)
        .password(server.password.expose_secret())
        .database(database)
        .ssl_mode(PgSslMode::Prefer)
        .disable_statement_logging();
    PgConnection::connect_with(&options).await
}

async fn run(session: &mut PgConnection, sql: &str) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(session)
        .await
        .map(drop)
}

async fn text(session: &mut PgConnection, sql: &str) -> String {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(session)
        .await
        .unwrap()
}

/// Who owns the table `name` of this session's database.
async fn owner_of(session: &mut PgConnection, name: &str) -> String {
    let sql = format!("SELECT tableowner::text FROM pg_tables WHERE tablename = '{name}'");
    text(session, &sql).await
}

/// Why the server did not want it.
fn code<T>(result: sqlx::Result<T>) -> String {
    let error = result.map(drop).expect_err("the server refuses");
    let error = error.as_database_error().expect("the server answers");
    error.code().expect("each answer has a code").into_owned()
}

fn with_password(login: &Login, password: &str) -> Login {
    Login {
        name: login.name.clone(),
        password: SecretString::from(password),
    }
}
