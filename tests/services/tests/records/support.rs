//! A service that keeps nothing but its audit.

use audit::{Changes, Record, Subject};
use chassis::{
    DefaultAddrs, Running, Service,
    config::{PostgresArgs, ServiceArgs},
    grpc::{Principal, PrincipalKind},
    postgres::Database,
};
use proto::audit::{
    AuditRecord, ListAuditRecordsRequest, ListAuditRecordsResponse, audit_service_client::AuditServiceClient,
};
use sqlx::{AssertSqlSafe, Executor as _, PgPool};
use tonic::{Status, transport::Channel};
use url::Url;
use uuid::Uuid;

const PORTS: DefaultAddrs = DefaultAddrs { listen: 0, admin: 0 };

pub(crate) struct World {
    pub(crate) fixture: fixtures::Database,
    pub(crate) database: Database,
    /// A session of the login's own.
    pub(crate) login: PgPool,
    client: AuditServiceClient<Channel>,
    role: String,
    running: Running,
}

impl World {
    pub(crate) async fn start() -> Self {
        let fixture = fixtures::Database::create().await;
        let role = format!("{}_login", fixture.name());
        for statement in [
            format!("CREATE ROLE {role} LOGIN PASSWORD 'correct-horse'"),
            format!("ALTER DATABASE {} OWNER TO {role}", fixture.name()),
        ] {
            fixture.pool().execute(AssertSqlSafe(statement)).await.unwrap();
        }
        let mut url = Url::parse(fixture.url()).unwrap();
        url.set_username(&role).unwrap();
        url.set_password(Some("correct-horse")).unwrap();
        let mut service = Service::bind("keeper", &ServiceArgs::loopback(), PORTS)
            .await
            .unwrap();
        let args = PostgresArgs::from_url(url.as_str());
        let database = service.postgres(&args, [audit::migrations()]).await.unwrap();
        let routes = tonic::service::Routes::new(audit::service(database.clone()));
        let running = service.serve_grpc(routes);
        let client = AuditServiceClient::connect(format!("http://{}", running.addr()))
            .await
            .unwrap();
        Self {
            login: PgPool::connect(url.as_str()).await.unwrap(),
            fixture,
            database,
            client,
            role,
            running,
        }
    }

    pub(crate) async fn append(&self, principal: &Principal, records: &[Record]) {
        let mut transaction = self.database.begin().await.unwrap();
        audit::append(&mut transaction, principal, records).await.unwrap();
        transaction.commit().await.unwrap();
    }

    pub(crate) async fn try_list(
        &self,
        request: ListAuditRecordsRequest,
    ) -> Result<ListAuditRecordsResponse, Status> {
        let answer = self.client.clone().list_audit_records(request).await?;
        Ok(answer.into_inner())
    }

    pub(crate) async fn list(&self, request: ListAuditRecordsRequest) -> Vec<AuditRecord> {
        self.try_list(request).await.unwrap().records
    }

    pub(crate) async fn end(self) {
        drop(self.client);
        self.login.close().await;
        self.running.stop().await.unwrap();
        let drop_role = format!("DROP ROLE {}", self.role);
        let server = PgPool::connect(&fixtures::Servers::shared().database_url)
            .await
            .unwrap();
        self.fixture.drop().await;
        server.execute(AssertSqlSafe(drop_role)).await.unwrap();
    }
}

/// Everything, a hundred at a time.
pub(crate) fn all() -> ListAuditRecordsRequest {
    ListAuditRecordsRequest {
        limit: 100,
        ..ListAuditRecordsRequest::default()
    }
}

pub(crate) fn admin() -> Principal {
    Principal {
        kind: PrincipalKind::Admin.into(),
        user: Some(Uuid::now_v7()),
        session: Some(Uuid::now_v7()),
        address: Some([192, 0, 2, 1].into()),
    }
}

pub(crate) fn adjusted(product: Uuid) -> Record {
    let changes = Changes::none().with("stock", 1, 11);
    Record::new("stock.adjusted", Subject::Product(product), changes).because("delivery")
}
