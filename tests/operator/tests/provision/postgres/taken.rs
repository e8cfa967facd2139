//! What is somebody else's stays as it is.

use shop_operator::provision::postgres::{Database, PostgresError, ensure, remove};

use super::{Place, as_each_administrator};

as_each_administrator!(
    another_ones_database_is_left,
    another_ones_owner_is_left,
    another_ones_login_is_left,
    another_shops_database_is_left,
);

/// Sees that neither a run nor a removal touches what `theirs` made, that both say so, and that a run makes nothing
/// else either.
async fn is_left(
    place: Place,
    theirs: impl Fn(&Database) -> String,
    object: &str,
    undo: impl Fn(&Database) -> String,
) {
    let databases = [place.database("users", &["b"]), place.database("orders", &["a"])];
    for statement in theirs(&databases[1]).split("; ") {
        place.as_root(statement).await;
    }
    let before = place.versions().await;
    for taken in [
        ensure(&place.admin, &place.uid, &databases).await.map(drop),
        remove(&place.admin, &place.uid, &databases).await,
    ] {
        let error = taken.unwrap_err();
        assert!(matches!(error, PostgresError::Taken { .. }), "{error}");
        assert_eq!(error.reason(), "PostgresNameTaken");
        assert!(error.to_string().contains(object), "{error}");
    }
    assert_eq!(before, place.versions().await);
    for statement in undo(&databases[1]).split("; ") {
        place.as_root(statement).await;
    }
    place.ensure(&databases).await;
    place.clear(&databases).await;
}

async fn another_ones_database_is_left(place: Place) {
    is_left(
        place,
        |orders| format!("CREATE DATABASE {}", orders.name),
        "the database",
        |orders| format!("DROP DATABASE {}", orders.name),
    )
    .await;
}

async fn another_ones_owner_is_left(place: Place) {
    is_left(
        place,
        |orders| {
            let (name, owner) = (&orders.name, &orders.owner);
            format!("CREATE ROLE {owner}; CREATE DATABASE {name} OWNER {owner}")
        },
        "the role",
        |orders| format!("DROP DATABASE {}; DROP ROLE {}", orders.name, orders.owner),
    )
    .await;
}

async fn another_ones_login_is_left(place: Place) {
    is_left(
        place,
        |orders| {
            let login = &orders.logins[0].name;
            format!("CREATE ROLE {login} LOGIN PASSWORD 'theirs'; COMMENT ON ROLE {login} IS 'a person'")
        },
        "the role",
        |orders| format!("DROP ROLE {}", orders.logins[0].name),
    )
    .await;
}

async fn another_shops_database_is_left(place: Place) {
    is_left(
        place,
        |orders| {
            let name = &orders.name;
            format!("CREATE DATABASE {name}; COMMENT ON DATABASE {name} IS 'shop-operator: another'")
        },
        "shop-operator: another",
        |orders| format!("DROP DATABASE {}", orders.name),
    )
    .await;
}

/// Beside what is another's, a removal removes what is the shop's.
#[tokio::test]
async fn a_removal_goes_round_what_is_left() {
    let place = Place::of_superuser();
    let databases = [place.database("orders", &["a"]), place.database("users", &["b"])];
    place.ensure(&databases).await;
    let theirs = &databases[0].logins[0].name;
    place.as_root(&format!("COMMENT ON ROLE {theirs} IS NULL")).await;
    let error = remove(&place.admin, &place.uid, &databases).await.unwrap_err();
    assert!(matches!(error, PostgresError::Taken { .. }), "{error}");
    let rows = place.versions().await;
    assert!(
        !rows.is_empty()
            && rows
                .iter()
                .all(|row| row.contains(theirs.as_str()) || row.starts_with("setting")),
        "{rows:?}"
    );
    place.as_root(&format!("DROP ROLE {theirs}")).await;
    place.clear(&databases).await;
}

/// One shop never touches another's, whatever the names.
#[tokio::test]
async fn two_shops_share_a_server() {
    let (one, other) = (Place::of_superuser(), Place::of_superuser());
    let of_one = [one.database("orders", &["a"])];
    let of_other = [other.database("orders", &["a"])];
    one.ensure(&of_one).await;
    other.ensure(&of_other).await;
    let error = ensure(&other.admin, &other.uid, &of_one).await.unwrap_err();
    assert!(error.to_string().contains(&one.uid), "{error}");
    remove(&other.admin, &other.uid, &of_one).await.unwrap_err();
    one.assert_settled(&of_one).await;
    one.clear(&of_one).await;
    other.assert_settled(&of_other).await;
    other.clear(&of_other).await;
}
