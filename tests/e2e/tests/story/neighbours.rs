//! Shops beside each other.

use anyhow::ensure;
use e2e::{kubernetes::Namespace, wait_until};

use super::{DEMO, World, place_an_order};

/// A Shop that nobody can start, and the demo.
pub(crate) async fn bad(world: &World) -> anyhow::Result<()> {
    let namespace = Namespace::create("bad").await?;
    let shop = |name: &str, spec: &str| {
        format!(
            "apiVersion: shop-operator.io/v1alpha1\nkind: Shop\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let external = "{database: {external: {host: nowhere.invalid, adminSecret: {name: missing}}}, messaging: {external: \
        {amqp: 'amqp://nowhere.invalid', management: 'http://nowhere.invalid:15672', adminSecret: {name: there}}}}";
    namespace.apply(&shop("no-secret", external)).await?;
    let ready = || namespace.condition("no-secret", "Ready");
    let ready = wait_until("it says what is missing", ready, |ready| {
        ready.reason == "AdminSecretMissing"
    })
    .await?;
    // Both at once, so that nobody mends one to learn of the other.
    for part in [
        "spec.database.external.adminSecret",
        "Secret missing",
        "spec.messaging.external.adminSecret",
        "Secret there",
    ] {
        ensure!(ready.message.contains(part), "{part} is not in {ready:?}");
    }

    let secret = "create secret generic missing --from-literal=username=admin --from-literal=password=x";
    namespace.kubectl(&secret.split(' ').collect::<Vec<_>>()).await?;
    let secret = secret.replace("missing", "there");
    namespace.kubectl(&secret.split(' ').collect::<Vec<_>>()).await?;
    let ready = || namespace.condition("no-secret", "Ready");
    let ready = wait_until("it says whose Secrets they are", ready, |ready| {
        ready.reason == "AdminSecretNotLabelled"
    })
    .await?;
    ensure!(
        ready.message.contains("shop-operator.io/for=no-secret"),
        "{ready:?}"
    );
    for secret in ["missing", "there"] {
        label(&namespace, secret, "no-secret").await?;
    }
    for (kind, reason) in [
        ("DatabaseReady", "PostgresUnreachable"),
        ("MessagingReady", "RabbitmqUnreachable"),
    ] {
        let condition = || namespace.condition("no-secret", kind);
        let found = wait_until(&format!("{kind} says {reason}"), condition, |it| {
            it.reason == reason
        })
        .await?;
        ensure!(found.message.contains("nowhere.invalid"), "{found:?}");
    }

    let taken =
        "apiVersion: v1\nkind: Service\nmetadata: {name: taken-postgres}\nspec: {ports: [{port: 1}]}\n";
    namespace.apply(taken).await?;
    namespace.apply(&shop("taken", "{}")).await?;
    let ready = || namespace.condition("taken", "Ready");
    let ready = wait_until("it says whose it is", ready, |ready| ready.reason == "NameTaken").await?;
    ensure!(ready.message.starts_with("Service taken-postgres"), "{ready:?}");
    ensure!(
        namespace.get("service/taken-postgres").await?["spec"]["ports"][0]["port"] == 1,
        "it was overwritten"
    );

    let change = r#"{"spec":{"gateway":{"env":[{"name":"RATE_LIMIT_PER_SECOND","value":"500"}]}}}"#;
    world.patch(change).await?;
    world.namespace.ready(DEMO).await?;
    namespace.delete().await
}

/// Says which Shop a Secret is for.
async fn label(namespace: &Namespace, secret: &str, shop: &str) -> anyhow::Result<()> {
    let label = format!("shop-operator.io/for={shop}");
    namespace.kubectl(&["label", "secret", secret, &label]).await?;
    Ok(())
}

/// A second Shop on the servers of the first: it works, can't read what the first has, and is gone without a trace.
pub(crate) async fn external(world: &World) -> anyhow::Result<()> {
    let (here, namespace) = (&world.namespace, Namespace::create("neighbours").await?);
    here.apply(LET_NEIGHBOURS_IN).await?;
    for part in ["postgres", "rabbitmq"] {
        let secret = format!("demo-{part}-credentials");
        let (user, password) = (
            here.secret(&secret, "username").await?,
            here.secret(&secret, "password").await?,
        );
        let (user, password) = (
            format!("--from-literal=username={user}"),
            format!("--from-literal=password={password}"),
        );
        namespace
            .kubectl(&["create", "secret", "generic", part, &user, &password])
            .await?;
        label(&namespace, part, "second").await?;
    }
    let host = here.name();
    namespace
        .apply(&format!(
            "apiVersion: shop-operator.io/v1alpha1
kind: Shop
metadata: {{name: second}}
spec:
  deletionPolicy: Delete
  database: {{external: {{host: demo-postgres.{host}.svc, adminSecret: {{name: postgres}}, tls: disable}}}}
  messaging:
    external:
      amqp: amqp://demo-rabbitmq.{host}.svc:5672
      management: http://demo-rabbitmq.{host}.svc:15672
      adminSecret: {{name: rabbitmq}}
"
        ))
        .await?;
    namespace.ready("second").await?;
    let (forward, second) = namespace.shop("second").await?;
    let product = place_an_order(&second).await?.product;
    let (_demo_forward, demo) = world.demo().await?;
    let path = format!("/products/{}", product["id"].as_str().unwrap_or_default());
    demo.anybody().get(path).await?.is(404)?;
    let token = second.admin().await?;
    let token = token.token().unwrap_or_default().to_owned();
    demo.holder_of(&token).get("/users/me").await?.is(401)?;
    drop(forward);

    let login = |secret: &'static str| {
        let namespace = namespace.clone();
        async move {
            anyhow::Ok((
                namespace.secret(secret, "username").await?,
                namespace.secret(secret, "password").await?,
            ))
        }
    };
    let (role, password) = login("second-inventory-service-credentials").await?;
    let demo_database = here
        .sql(
            DEMO,
            "postgres",
            "select datname from pg_database where datname like 'demo-inventory-%'",
        )
        .await?;
    let url = format!("postgres://{role}:{password}@127.0.0.1/{demo_database}");
    let refused = here
        .kubectl(&["exec", "demo-postgres-0", "--", "psql", &url, "-c", "select 1"])
        .await;
    let refused = refused.map_err(|error| format!("{error:#}"));
    ensure!(
        refused
            .as_ref()
            .is_err_and(|error| error.contains("permission denied for database")),
        "the second shop's role in the first one's database: {refused:?}"
    );

    goes_without_a_trace(here, &namespace).await?;
    nothing_of(&namespace, "second").await?;
    here.kubectl(&["delete", "networkpolicy", "neighbours"]).await?;
    namespace.delete().await
}

/// The second Shop is deleted, and with it what it had on the servers of the first.
async fn goes_without_a_trace(here: &Namespace, namespace: &Namespace) -> anyhow::Result<()> {
    let theirs = "select count(*) from pg_database where datname like 'second-%'";
    ensure!(
        here.sql(DEMO, "postgres", theirs).await? == "3",
        "it has no databases there"
    );
    namespace
        .kubectl(&["delete", "shop", "second", "--timeout=120s"])
        .await?;
    ensure!(
        here.sql(DEMO, "postgres", theirs).await? == "0",
        "its databases are still there"
    );
    let roles = "select count(*) from pg_roles where rolname like 'second-%'";
    ensure!(
        here.sql(DEMO, "postgres", roles).await? == "0",
        "its roles are still there"
    );
    let list = [
        "exec",
        "demo-rabbitmq-0",
        "--",
        "rabbitmqctl",
        "list_vhosts",
        "--silent",
    ];
    ensure!(
        !here.kubectl(&list).await?.contains("second-"),
        "its virtual host is still there"
    );
    Ok(())
}

/// Waits until Kubernetes has removed all that belonged to a Shop.
pub(crate) async fn nothing_of(namespace: &Namespace, shop: &str) -> anyhow::Result<()> {
    const KINDS: &str = "all,secrets,configmaps,serviceaccounts,networkpolicies,poddisruptionbudgets,ingresses,\
        persistentvolumeclaims";
    let selector = format!("app.kubernetes.io/instance={shop}");
    let left = || async {
        let left = namespace
            .kubectl(&["get", KINDS, "--selector", &selector, "--output", "name"])
            .await?;
        Ok(left.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    wait_until("nothing of the Shop is left", left, Vec::is_empty).await?;
    Ok(())
}

const LET_NEIGHBOURS_IN: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: neighbours}
spec:
  podSelector: {matchExpressions: [{key: app.kubernetes.io/name, operator: In, values: [postgres, rabbitmq]}]}
  policyTypes: [Ingress]
  ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: neighbours}}}]}]
";
