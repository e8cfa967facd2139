//! Which replica writes: the one that holds the Lease.

use chassis::health::ReadinessFlag;
use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio_util::sync::CancellationToken;

use crate::config::RunArgs;

/// How long a Lease is good for without being renewed, in seconds: so long after a leader's sudden death another one
/// takes over.
const LEASE_SECONDS: u64 = 12;
/// How long before that it is renewed, in seconds.
const RENEWED_BEFORE_SECONDS: u64 = 6;

/// Waits to become the leader, then does `work` until it ends, which it does some time after the shutdown; then the Lease
/// is given back. If the Lease is lost before, `work` is dropped where it stands, so that nothing is written afterwards.
///
/// It returns when the Lease is lost. The process then ends, since a part of it has, and is started again.
pub async fn lead<Work: Future<Output = ()>>(
    client: Client,
    args: &RunArgs,
    flag: &ReadinessFlag,
    shutdown: CancellationToken,
    work: impl FnOnce(CancellationToken) -> Work,
) -> Result<(), LeaseManagerError> {
    let manager = manager(client, args).await?;
    // A replica that waits for its turn is ready: it does all that it is there for.
    flag.ready();
    let (mut leading, renewing) = manager.watch().await;
    if shutdown
        .run_until_cancelled(leading.wait_for(|leading| *leading))
        .await
        .is_some_and(|waited| waited.is_ok())
    {
        tracing::info!("leading");
        tokio::select! {
            () = work(shutdown.clone()) => {}
            _ = leading.wait_for(|leading| !*leading) => tracing::error!("the lease is lost"),
        }
    }
    // With its last receiver gone the manager gives the Lease back and ends.
    drop(leading);
    match renewing.await {
        Ok(ended) => ended.map(drop),
        Err(error) => {
            tracing::error!(%error, "the renewal of the lease ended");
            Ok(())
        }
    }
}

async fn manager(client: Client, args: &RunArgs) -> Result<LeaseManager, LeaseManagerError> {
    let mut builder = LeaseManagerBuilder::new(client, &args.lease_name)
        .with_namespace(&args.lease_namespace)
        .with_duration(LEASE_SECONDS)
        .with_grace(RENEWED_BEFORE_SECONDS);
    if let Some(name) = &args.pod_name {
        builder = builder.with_identity(name);
    }
    builder.build().await
}
