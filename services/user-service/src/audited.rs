//! What is recorded of changes of accounts. Of a password only that it was changed; an email is the account's to tell.

use audit::{Changes, Record, Subject};
use serde_json::Value;
use uuid::Uuid;

use crate::user::User;

/// Somebody has opened an account.
pub(crate) fn registered(user: &User) -> Record {
    created("user.registered", user)
}

/// The service has made the first admin.
pub(crate) fn first_admin_created(user: &User) -> Record {
    created("user.first_admin_created", user)
}

fn created(action: &'static str, user: &User) -> Record {
    let changes = Changes::none()
        .with("name", Value::Null, user.name.as_str())
        .with("role", Value::Null, user.role.as_str());
    Record::new(action, Subject::User(user.id), changes)
}

/// The name is another, if it is.
pub(crate) fn renamed(user: &User, before: &str) -> Option<Record> {
    let changes = Changes::none().with("name", before, user.name.as_str());
    changed("user.renamed", user, changes)
}

/// The password is another, and all sessions have ended.
pub(crate) fn password_changed(user: &User) -> Record {
    Record::new("user.password_changed", Subject::User(user.id), Changes::none())
}

/// What the account may do is something else, where it is.
pub(crate) fn access_changed(user: &User, role_before: &str, disabled_before: bool) -> Vec<Record> {
    let role = Changes::none().with("role", role_before, user.role.as_str());
    let disabled = Changes::none().with("disabled", disabled_before, user.disabled);
    let switched = if user.disabled {
        "user.disabled"
    } else {
        "user.enabled"
    };
    [
        changed("user.role_changed", user, role),
        changed(switched, user, disabled),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Logging in takes a code from now on.
pub(crate) fn second_factor_added(user: Uuid) -> Record {
    Record::new("user.second_factor_added", Subject::User(user), Changes::none())
}

/// It takes none any more.
pub(crate) fn second_factor_removed(user: Uuid) -> Record {
    Record::new("user.second_factor_removed", Subject::User(user), Changes::none())
}

fn changed(action: &'static str, user: &User, changes: Changes) -> Option<Record> {
    (!changes.is_empty()).then(|| Record::new(action, Subject::User(user.id), changes))
}

/// A session was ended by its holder.
pub(crate) fn session_ended(user: Uuid, session: Uuid) -> Record {
    of_session("user.session_ended", user, session)
}

/// A session was ended since one of its spent tokens was presented.
pub(crate) fn session_revoked(user: Uuid, session: Uuid) -> Record {
    of_session("user.session_revoked", user, session)
}

fn of_session(action: &'static str, user: Uuid, session: Uuid) -> Record {
    let changes = Changes::none().with("session_id", session.to_string(), Value::Null);
    Record::new(action, Subject::User(user), changes)
}

/// All sessions were ended by their holder.
pub(crate) fn sessions_ended(user: Uuid) -> Record {
    Record::new("user.sessions_ended", Subject::User(user), Changes::none())
}
