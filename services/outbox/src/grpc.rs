//! The contract `shop.outbox.v1.OutboxService`.

use chassis::postgres::{self, Database};
use proto::outbox::{
    GetBacklogRequest, GetBacklogResponse,
    outbox_service_server::{OutboxService, OutboxServiceServer},
};
use tonic::{Request, Response, Status};

use crate::store::{self, Backlog};

/// Answers for the outbox of one service.
#[derive(Clone, Debug)]
pub struct OutboxState {
    database: Database,
}

/// To be served beside the service's own. The database must have the tables of [`migrations`](crate::migrations).
pub fn service(database: Database) -> OutboxServiceServer<OutboxState> {
    OutboxServiceServer::new(OutboxState { database })
}

#[tonic::async_trait]
impl OutboxService for OutboxState {
    async fn get_backlog(
        &self,
        _: Request<GetBacklogRequest>,
    ) -> Result<Response<GetBacklogResponse>, Status> {
        let measured = store::backlog(&self.database).await;
        Ok(Response::new(measured.map_err(postgres::status)?.into()))
    }
}

impl From<Backlog> for GetBacklogResponse {
    fn from(backlog: Backlog) -> Self {
        let count = |rows: i64| u64::try_from(rows).unwrap_or_default();
        // Of a clock that was set back, none is older than now.
        let oldest = std::time::Duration::try_from_secs_f64(backlog.oldest_seconds).unwrap_or_default();
        Self {
            events: count(backlog.rows),
            oldest_age: oldest.try_into().ok(),
            set_aside: count(backlog.poison),
        }
    }
}
