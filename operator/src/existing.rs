//! What the Secrets of a Shop hold already, which is kept.

use std::collections::BTreeMap;

use secrecy::SecretString;

/// The Secrets of a Shop that are there: their text by name and key.
pub type Existing = BTreeMap<String, BTreeMap<String, SecretString>>;
