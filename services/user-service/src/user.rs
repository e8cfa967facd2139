//! Accounts.

use chassis::open_enum::{Open, Spelled};
use time::OffsetDateTime;
use uuid::Uuid;

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Buys.
    User,
    /// Also keeps products, stock, orders and accounts.
    Admin,
}

impl Role {
    /// The name in tokens and in the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::User, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

impl Spelled for Role {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn as_str(self) -> &'static str {
        self.as_str()
    }
}

/// A display name. May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// Reads a name ([`rules::account::name`]), or says what is expected of one.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        rules::account::name(text).map(Self)
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// An account, without its password.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// UUIDv7.
    pub(crate) id: Uuid,
    /// As it was given.
    pub(crate) email: String,
    /// For display; may be empty.
    pub(crate) name: String,
    /// What it may do. A role of a later version is shown, and has the rights of [`Role::User`].
    pub(crate) role: Open<Role>,
    /// Whether it is kept from logging in and from refreshing.
    pub(crate) disabled: bool,
    /// When it was created.
    pub(crate) created_at: OffsetDateTime,
    /// When it was changed last.
    pub(crate) updated_at: OffsetDateTime,
}

/// Some changes of an account by an admin.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Access {
    /// The new role.
    pub(crate) role: Option<Role>,
    /// The new flag.
    pub(crate) disabled: Option<bool>,
}

impl Access {
    /// Whether nothing changes.
    pub(crate) fn is_empty(self) -> bool {
        self.role.is_none() && self.disabled.is_none()
    }

    /// Whether an enabled admin is none afterwards.
    pub(crate) fn ends_an_admin(self) -> bool {
        self.role == Some(Role::User) || self.disabled == Some(true)
    }
}

/// Who holds an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The account.
    pub(crate) user: Uuid,
    /// The session; none in the token of a version that named none.
    pub(crate) session: Option<Uuid>,
}

/// What a holder's account and session are now.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// There is no such account.
    Unknown,
    /// There is one.
    Account {
        /// What it may do.
        role: Open<Role>,
        /// Whether it may do nothing.
        disabled: bool,
        /// Whether the session is over.
        session_ended: bool,
        /// Whether the session was opened with the account's second factor.
        second_factor: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(Name::parse(" Ada \n"), Ok(Name("Ada".to_owned())));
        assert_eq!(Name::parse("  "), Ok(Name::default()));
        assert!(
            Name::parse(&"ä".repeat(200)).is_ok(),
            "characters are counted, not bytes"
        );
        for text in [&"a".repeat(201), "A\0da", "A\nda"] {
            assert!(Name::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn roles_are_read_by_the_name_they_are_written_with() {
        for role in [Role::User, Role::Admin] {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("root"), None);
    }

    #[test]
    fn only_taking_the_role_or_disabling_ends_an_admin() {
        let access = |role, disabled| Access { role, disabled }.ends_an_admin();
        assert!(access(Some(Role::User), None));
        assert!(access(Some(Role::Admin), Some(true)));
        assert!(!access(Some(Role::Admin), Some(false)));
        assert!(!access(None, None));
    }
}
