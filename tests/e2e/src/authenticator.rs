//! An authenticator app: the codes of a second factor ([RFC 6238](https://www.rfc-editor.org/rfc/rfc6238)).

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

const STEP: u64 = 30;

/// The app of somebody who has a second factor, written from the RFC rather than with the crate that the service uses.
#[derive(Clone, Debug)]
pub struct Authenticator(Vec<u8>);

impl Authenticator {
    /// With that secret, in base32.
    pub fn new(secret: &str) -> anyhow::Result<Self> {
        Ok(Self(BASE32_NOPAD.decode(secret.as_bytes())?))
    }

    /// The code of now, of the step before (-1) or of the one after (1).
    pub fn code(&self, offset: i64) -> anyhow::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let step = (now / STEP)
            .checked_add_signed(offset)
            .context("a step of time")?;
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.0)?;
        mac.update(&step.to_be_bytes());
        let mac = mac.finalize().into_bytes();
        let offset = usize::from(mac[19] & 0xf);
        let number = u32::from_be_bytes(mac[offset..offset + 4].try_into()?) & 0x7fff_ffff;
        Ok(format!("{:06}", number % 1_000_000))
    }

    /// Six digits that are none of its codes now.
    pub fn wrong_code(&self) -> anyhow::Result<String> {
        let right: Vec<_> = (-2..=2)
            .map(|offset| self.code(offset))
            .collect::<Result<_, _>>()?;
        let wrong = (0..10).map(|digit| format!("00000{digit}"));
        wrong
            .into_iter()
            .find(|code| !right.contains(code))
            .context("five of ten")
    }
}
