//! On whose behalf a call is made: for the record of what it changes (the `audit` crate), never to decide whether it may.
//!
//! Who calls is a service, by its certificate; on whose behalf is that service's word. The api-gateway is the only one that
//! calls for people, and adds it ([`Principal::request`]) to calls that change something; the service that is called finds it
//! in the metadata ([`Principal::of`]). Its size is bounded by what it is made of.

use std::net::IpAddr;

use prost::Message as _;
use proto::audit::Principal as PrincipalMessage;
use tonic::{Request, metadata::MetadataValue};
use uuid::Uuid;

use crate::open_enum::{Open, Spelled};

const METADATA: &str = "shop-principal-bin";
/// Three texts of the length of an id, and what a later version may add. More is not read.
const LONGEST: usize = 512;

/// What somebody is who has something done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// Somebody who is logged in.
    User,
    /// Somebody who is logged in, and may do at that moment what admins may.
    Admin,
    /// Somebody who is not logged in.
    Anonymous,
    /// The service itself.
    System,
    /// The caller did not say: it is of the version before, or no service of ours.
    Unknown,
}

impl Spelled for PrincipalKind {
    fn parse(text: &str) -> Option<Self> {
        [
            Self::User,
            Self::Admin,
            Self::Anonymous,
            Self::System,
            Self::Unknown,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
            Self::Anonymous => "anonymous",
            Self::System => "system",
            Self::Unknown => "unknown",
        }
    }
}

/// Who has something done, from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// What they are.
    pub kind: Open<PrincipalKind>,
    /// Their account.
    pub user: Option<Uuid>,
    /// The session of their account.
    pub session: Option<Uuid>,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
}

impl Principal {
    fn nobody(kind: PrincipalKind, address: Option<IpAddr>) -> Self {
        Self {
            kind: kind.into(),
            user: None,
            session: None,
            address,
        }
    }

    /// The service itself.
    pub fn system() -> Self {
        Self::nobody(PrincipalKind::System, None)
    }

    /// Somebody there who is not logged in.
    pub fn anonymous(address: IpAddr) -> Self {
        Self::nobody(PrincipalKind::Anonymous, Some(address))
    }

    /// The same request, once it is known whose it is: by a password or a token that it brought.
    #[must_use]
    pub fn proven(&self, kind: Open<PrincipalKind>, user: Uuid, session: Option<Uuid>) -> Self {
        Self {
            kind,
            user: Some(user),
            session,
            address: self.address,
        }
    }

    /// A call on their behalf.
    pub fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        let value = MetadataValue::from_bytes(&PrincipalMessage::from(self).encode_to_vec());
        request.metadata_mut().insert_bin(METADATA, value);
        request
    }

    /// On whose behalf that call is made, as far as it says.
    pub fn of<M>(request: &Request<M>) -> Self {
        let value = request.metadata().get_bin(METADATA);
        let bytes = value.and_then(|value| value.to_bytes().ok());
        bytes
            .filter(|bytes| bytes.len() <= LONGEST)
            .and_then(|bytes| Self::read(&PrincipalMessage::decode(bytes).ok()?))
            .unwrap_or_else(|| Self::nobody(PrincipalKind::Unknown, None))
    }

    fn read(message: &PrincipalMessage) -> Option<Self> {
        Some(Self {
            kind: Open::from_contract(&message.kind, 0, None)?,
            user: Uuid::try_parse(&message.user_id).ok(),
            session: Uuid::try_parse(&message.session_id).ok(),
            address: message.address.parse().ok(),
        })
    }
}

impl From<&Principal> for PrincipalMessage {
    fn from(principal: &Principal) -> Self {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        let address = principal.address.map(|address| address.to_string());
        Self {
            kind: principal.kind.as_str().to_owned(),
            user_id: text(principal.user),
            session_id: text(principal.session),
            address: address.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn a_call_says_on_whose_behalf_it_is_made() {
        let admin = Principal {
            kind: PrincipalKind::Admin.into(),
            user: Some(Uuid::now_v7()),
            session: Some(Uuid::now_v7()),
            address: Some(Ipv6Addr::LOCALHOST.into()),
        };
        let anonymous = Principal::anonymous(Ipv6Addr::LOCALHOST.into());
        let newer = Principal {
            kind: Open::parse("api_key"),
            ..admin.clone()
        };
        for principal in [admin, anonymous, newer, Principal::system()] {
            assert_eq!(Principal::of(&principal.request(())), principal);
        }
    }

    #[test]
    fn what_a_call_does_not_say_is_not_known() {
        let unknown = Principal::nobody(PrincipalKind::Unknown, None);
        assert_eq!(Principal::of(&Request::new(())), unknown);
        let said = |bytes: &[u8]| {
            let mut request = Request::new(());
            let value = MetadataValue::from_bytes(bytes);
            request.metadata_mut().insert_bin(METADATA, value);
            Principal::of(&request)
        };
        assert_eq!(said(b"no message"), unknown);
        let odd = |kind: &str, address: String| PrincipalMessage {
            kind: kind.to_owned(),
            address,
            ..PrincipalMessage::default()
        };
        for kind in ["", "Admin", "a\nb", &"a".repeat(65)] {
            assert_eq!(said(&odd(kind, String::new()).encode_to_vec()), unknown, "{kind}");
        }
        let long = odd("user", "1".repeat(LONGEST)).encode_to_vec();
        assert_eq!(said(&long), unknown);
        let nowhere = said(&odd("user", "nowhere".to_owned()).encode_to_vec());
        assert_eq!(nowhere, Principal::nobody(PrincipalKind::User, None));
    }
}
