//! What somebody changed is put right, and nothing else.

use shop_operator::provision::postgres::Database;

use super::{Place, as_each_administrator, code, with_password};

as_each_administrator!(
    a_dropped_login_comes_back,
    a_changed_password_is_set_again,
    a_lost_membership_comes_back,
    a_membership_in_another_owner_ends,
    a_lost_role_setting_comes_back,
    a_database_opened_to_all_is_closed,
    an_owner_shut_out_is_let_in,
    a_login_that_may_not_log_in_may_again,
    a_login_that_expired_is_renewed,
    too_many_rights_are_taken,
);

/// Does `damage` as the operator's account, sees one change that says `repair`, and then a server that is settled and
/// in use.
async fn repairs(place: Place, damage: impl Fn(&Database) -> String, repair: &str) {
    let databases = [place.database("orders", &["a"]), place.database("users", &["b"])];
    place.ensure(&databases).await;
    let orders = &databases[0];
    place.as_admin(&damage(orders)).await;
    let changes = place.ensure(&databases).await;
    assert!(changes.to_string().contains(repair), "{changes}");
    place.assert_settled(&databases).await;
    place.log_in(&orders.logins[0], &orders.name).await.unwrap();
    let users = &databases[1];
    assert_eq!(code(place.log_in(&users.logins[0], &orders.name).await), "42501");
    place.clear(&databases).await;
}

async fn a_dropped_login_comes_back(place: Place) {
    repairs(
        place,
        |orders| format!("DROP ROLE {}", orders.logins[0].name),
        "created the role",
    )
    .await;
}

async fn a_changed_password_is_set_again(place: Place) {
    repairs(
        place,
        |orders| format!("ALTER ROLE {} PASSWORD 'another'", orders.logins[0].name),
        "set the password",
    )
    .await;
}

async fn a_lost_membership_comes_back(place: Place) {
    repairs(
        place,
        |orders| format!("REVOKE {} FROM {}", orders.owner, orders.logins[0].name),
        "a member of",
    )
    .await;
}

async fn a_membership_in_another_owner_ends(place: Place) {
    let users = place.database("users", &["b"]).logins[0].name.clone();
    repairs(
        place,
        |orders| format!("GRANT {} TO {users}", orders.owner),
        "ended the membership",
    )
    .await;
}

async fn a_lost_role_setting_comes_back(place: Place) {
    repairs(
        place,
        |orders| format!("ALTER ROLE {} RESET role", orders.logins[0].name),
        "act as",
    )
    .await;
}

async fn a_database_opened_to_all_is_closed(place: Place) {
    repairs(
        place,
        |orders| format!("GRANT CONNECT ON DATABASE {} TO PUBLIC", orders.name),
        "restricted the database",
    )
    .await;
}

async fn an_owner_shut_out_is_let_in(place: Place) {
    repairs(
        place,
        |orders| format!("REVOKE CONNECT ON DATABASE {} FROM {}", orders.name, orders.owner),
        "restricted the database",
    )
    .await;
}

async fn a_login_that_may_not_log_in_may_again(place: Place) {
    repairs(
        place,
        |orders| format!("ALTER ROLE {} NOLOGIN", orders.logins[0].name),
        "LOGIN",
    )
    .await;
}

async fn a_login_that_expired_is_renewed(place: Place) {
    repairs(
        place,
        |orders| format!("ALTER ROLE {} VALID UNTIL '2001-01-01'", orders.logins[0].name),
        "VALID UNTIL",
    )
    .await;
}

async fn too_many_rights_are_taken(place: Place) {
    repairs(
        place,
        |orders| {
            let (login, owner) = (&orders.logins[0].name, &orders.owner);
            format!("ALTER ROLE {login} NOINHERIT CREATEDB CREATEROLE; ALTER ROLE {owner} LOGIN CREATEDB")
        },
        "INHERIT NOCREATEDB NOCREATEROLE",
    )
    .await;
}

#[tokio::test]
async fn a_superusers_rights_are_taken() {
    repairs(
        Place::of_superuser(),
        |orders| {
            let login = &orders.logins[0].name;
            format!("ALTER ROLE {login} SUPERUSER REPLICATION BYPASSRLS")
        },
        "NOSUPERUSER NOREPLICATION NOBYPASSRLS",
    )
    .await;
}

#[tokio::test]
async fn a_database_given_away_comes_back() {
    repairs(
        Place::of_superuser(),
        |orders| format!("ALTER DATABASE {} OWNER TO postgres", orders.name),
        "gave the database",
    )
    .await;
}

#[tokio::test]
async fn a_password_stored_the_old_way_is_stored_anew() {
    repairs(
        Place::of_superuser(),
        |orders| {
            let login = &orders.logins[0].name;
            format!("SET password_encryption = 'md5'; ALTER ROLE {login} PASSWORD 'secret of a'")
        },
        "set the password",
    )
    .await;
}

#[tokio::test]
async fn a_wanted_password_replaces_the_one_that_is() {
    for place in [Place::of_superuser(), Place::of_creator().await] {
        let mut databases = [place.database("orders", &["a"])];
        place.ensure(&databases).await;
        let old = databases[0].logins[0].clone();
        databases[0].logins[0] = with_password(&old, "it's \"new\" \\ $1");
        assert_eq!(
            place.ensure(&databases).await.to_string(),
            format!("set the password of {:?}", old.name)
        );
        place.assert_settled(&databases).await;
        place
            .log_in(&databases[0].logins[0], &databases[0].name)
            .await
            .unwrap();
        assert_eq!(code(place.log_in(&old, &databases[0].name).await), "28P01");
        place.clear(&databases).await;
    }
}
