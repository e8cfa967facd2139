//! The events of an account: what is appended to the outbox beside every change.

use chassis::telemetry::trace;
use outbox::Event;
use proto::event::{EventType, UserPasswordChanged, UserState};
use serde_json::Error;

use crate::user::User;

/// The event of a new account.
pub(crate) fn registered(user: &User) -> Result<Event, Error> {
    Ok(state(EventType::UserRegistered, user)?.first())
}

/// The event of an account whose name, role or flag was changed.
pub(crate) fn updated(user: &User) -> Result<Event, Error> {
    state(EventType::UserUpdated, user)
}

/// The event of an account that has a new password.
pub(crate) fn password_changed(user: &User) -> Result<Event, Error> {
    let data = UserPasswordChanged { user_id: user.id };
    let kind = EventType::UserPasswordChanged;
    Event::new(kind, user.id, &data, &trace::current(), user.updated_at)
}

/// The account as it is after the change, which was its last.
fn state(kind: EventType, user: &User) -> Result<Event, Error> {
    let data = UserState {
        user_id: user.id,
        role: user.role.as_str().to_owned(),
        disabled: user.disabled,
    };
    Event::new(kind, user.id, &data, &trace::current(), user.updated_at)
}
