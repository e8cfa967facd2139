//! What keepers of a shop want to be woken for: events of security. Each is a log line whose `event.name` never changes,
//! and a count in the metric `shop.security.events` under the same name. The names are an enum, so that there are as
//! many series as variants. Of people a line holds the id of the account and the address, and nothing else: no email, no
//! password, no token.

use std::{fmt, sync::LazyLock};

use opentelemetry::{KeyValue, metrics::Counter};
use uuid::Uuid;

use crate::telemetry::meter;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// Somebody tried to log in with a wrong email, password or code.
    LoginRefused,
    /// An attempt was not even looked at, since too many before it failed.
    LoginBackedOff,
    /// So many attempts failed in a row that the next have to wait.
    BackOffBegun,
    /// Somebody who is logged in gave a wrong current password or code.
    ProofRefused,
    /// A refresh token came that was spent before: somebody has a copy.
    RefreshTokenReused,
    /// An account got a new password.
    PasswordChanged,
    /// An account may do more, or less.
    RoleChanged,
    /// An account may do nothing any more.
    AccountDisabled,
    /// An account that could do nothing is let in again.
    AccountEnabled,
    /// A second factor was switched on.
    SecondFactorAdded,
    /// A second factor was switched off.
    SecondFactorRemoved,
    /// A code of recovery took the place of a second factor.
    RecoveryCodeUsed,
    /// A service called what it has no reason to call.
    CallRefused,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::LoginRefused,
        Self::LoginBackedOff,
        Self::BackOffBegun,
        Self::ProofRefused,
        Self::RefreshTokenReused,
        Self::PasswordChanged,
        Self::RoleChanged,
        Self::AccountDisabled,
        Self::AccountEnabled,
        Self::SecondFactorAdded,
        Self::SecondFactorRemoved,
        Self::RecoveryCodeUsed,
        Self::CallRefused,
    ];

    /// The `event.name`: never changed once it is released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoginRefused => "security.login.refused",
            Self::LoginBackedOff => "security.login.backed_off",
            Self::BackOffBegun => "security.back_off.begun",
            Self::ProofRefused => "security.proof.refused",
            Self::RefreshTokenReused => "security.refresh_token.reused",
            Self::PasswordChanged => "security.password.changed",
            Self::RoleChanged => "security.role.changed",
            Self::AccountDisabled => "security.account.disabled",
            Self::AccountEnabled => "security.account.enabled",
            Self::SecondFactorAdded => "security.second_factor.added",
            Self::SecondFactorRemoved => "security.second_factor.removed",
            Self::RecoveryCodeUsed => "security.recovery_code.used",
            Self::CallRefused => "security.call.refused",
        }
    }

    /// Whether it is what a person asked for, and was allowed.
    const fn is_wanted(self) -> bool {
        matches!(
            self,
            Self::PasswordChanged
                | Self::RoleChanged
                | Self::AccountDisabled
                | Self::AccountEnabled
                | Self::SecondFactorAdded
                | Self::SecondFactorRemoved
                | Self::RecoveryCodeUsed
        )
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whom an event is about, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct About<'a> {
    /// The account that it happened to.
    pub user: Option<Uuid>,
    /// The account that did it, where that is another.
    pub actor: Option<Uuid>,
    /// Where it came from; empty where that is not known.
    pub address: &'a str,
}

/// Writes it down and counts it. `message` is for people, and holds nothing personal.
pub fn record(event: Event, about: About<'_>, message: &str) {
    count(event);
    let user = about.user.map(tracing::field::display);
    let actor = about.actor.map(tracing::field::display);
    let address = Some(about.address).filter(|address| !address.is_empty());
    if event.is_wanted() {
        tracing::info!(
            event.name = event.name(),
            user.id = user,
            shop.actor.id = actor,
            client.address = address,
            "{message}"
        );
    } else {
        tracing::warn!(
            event.name = event.name(),
            user.id = user,
            shop.actor.id = actor,
            client.address = address,
            "{message}"
        );
    }
}

/// Counts it, where the log line is written by whoever knows more.
pub fn count(event: Event) {
    EVENTS.add(1, &[KeyValue::new("event.name", event.name())]);
}

/// Shows every event as counted, none of them so far. The first one that happens is then an increase, which an alert sees; of
/// a series that begins with it nobody could say that it was not there before.
pub(crate) fn count_from_zero() {
    for event in Event::ALL {
        EVENTS.add(0, &[KeyValue::new("event.name", event.name())]);
    }
}

static EVENTS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    meter()
        .u64_counter("shop.security.events")
        .with_description("Events of security, by their name")
        .with_unit("{event}")
        .build()
});

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_that_says_what_it_is() {
        let names: BTreeSet<_> = Event::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), Event::ALL.len());
        for name in names {
            assert!(name.starts_with("security."), "{name}");
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || b"._".contains(&byte);
            assert!(name.bytes().all(is_plain), "{name}");
        }
    }
}
