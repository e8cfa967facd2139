//! Paging of lists, in two ways.
//!
//! By number: a page is counted from 1, up to the first [`MAX_WINDOW`] entries of a list, so that no page costs more than
//! skipping that many; `total` is exact up to there.
//!
//! By cursor, without an end ([`Keyset`]): every answer names where it stopped, as the values by which the list is ordered
//! of its last entry (keyset pagination). Whoever follows meets no entry twice, and each that was there all the time,
//! whatever comes and goes meanwhile.
//!
//! A cursor is opaque to whoever gets it, and nobody's authority: it says where to go on, and whose list it is comes with
//! every request anew. It is base64url of a version, a digest of what the list is narrowed to and ordered by, and JSON.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::violations::Violations;

/// How many entries of a list can be paged through, and how far its total counts.
pub const MAX_WINDOW: u32 = 10_000;
/// The most entries on one page.
pub const MAX_PAGE_SIZE: u32 = proto::limits::PAGE_SIZE;
/// Entries on a page where nothing is said.
pub const DEFAULT_PAGE_SIZE: u32 = 20;

/// Notes what is wrong with what is asked of a list: `page` lies outside the window or is given with a cursor, `page_size`
/// is not from 1 to [`MAX_PAGE_SIZE`], or `cursor` is none of ours. Whether it is of this list, [`Keyset::read`] says.
pub fn check(violations: &mut Violations, page: Option<u32>, page_size: u32, cursor: Option<&str>) {
    let is_size = (1..=MAX_PAGE_SIZE).contains(&page_size);
    let page = match (page, cursor) {
        (Some(_), Some(_)) => Err("must not be given with `cursor`, which says where to go on".to_owned()),
        (Some(0), None) => Err("must be 1 or more".to_owned()),
        (Some(page), None) if is_size && page.saturating_mul(page_size) > MAX_WINDOW => Err(format!(
            "page times page_size must not exceed {MAX_WINDOW}; narrow the search, or follow `next` by `cursor`"
        )),
        _ => Ok(()),
    };
    if !is_size {
        violations.add("page_size", format!("must be from 1 to {MAX_PAGE_SIZE}"));
    }
    violations.take("page", page);
    if let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) {
        violations.take("cursor", open(cursor));
    }
}

/// A page that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    page: u32,
    page_size: u32,
}

impl Page {
    /// `INVALID_ARGUMENT` naming the field where the page lies outside the window or its size outside 1 to 100.
    pub fn new(page: u32, page_size: u32) -> Result<Self, Status> {
        let mut violations = Violations::new();
        check(&mut violations, Some(page), page_size, None);
        violations.into_result()?;
        Ok(Self { page, page_size })
    }

    /// For SQL's LIMIT.
    pub fn limit(self) -> i64 {
        i64::from(self.page_size)
    }

    /// For SQL's OFFSET.
    pub fn offset(self) -> i64 {
        i64::from(self.page - 1) * i64::from(self.page_size)
    }
}

/// The longest cursor that is read, in bytes.
pub const MAX_CURSOR: usize = proto::limits::CURSOR;
/// The form of the cursors that are made here. Those of another are refused, and whoever has one begins again.
const CURSOR_VERSION: u8 = 1;
const DIGEST: usize = 8;

/// Which list a cursor is of: its name, what it is narrowed to and how it is ordered. A cursor of one is none of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListDigest([u8; DIGEST]);

impl ListDigest {
    /// Of the list's name and everything that says which entries it has, and in which order; in no other order than this
    /// each time.
    pub fn of(name: &str, narrowed: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in std::iter::once(&name).chain(narrowed) {
            // With its length, so that no two lists are one text.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut digest = [0; DIGEST];
        digest.copy_from_slice(&hash.finalize()[..DIGEST]);
        Self(digest)
    }
}

/// A page that can be served, by number or behind the entry at a key. `K` is what the list is ordered by, which no two
/// entries have alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyset<K> {
    list: ListDigest,
    number: u32,
    page_size: u32,
    offset: i64,
    by_cursor: bool,
    after: Option<K>,
}

/// A page of a list that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries<T> {
    /// What is on it, in order.
    pub items: Vec<T>,
    /// The cursor of what comes behind it; empty at the end.
    pub next: String,
    /// Which page it is, counted on from the one that cursors began with, up to [`MAX_WINDOW`].
    pub page: u32,
}

impl<T> Entries<T> {
    /// The same of other things.
    pub fn map<U>(self, item: impl FnMut(T) -> U) -> Entries<U> {
        Entries {
            items: self.items.into_iter().map(item).collect(),
            next: self.next,
            page: self.page,
        }
    }
}

impl<K: Serialize + DeserializeOwned> Keyset<K> {
    /// A page of that list: the one of that number, or with a cursor, where the number is 0, the one behind it; an empty
    /// cursor is that of the beginning.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming `page` and `page_size` as [`Page::new`], or `cursor`.
    pub fn read(list: ListDigest, page: u32, page_size: u32, cursor: Option<&str>) -> Result<Self, Status> {
        let Some(cursor) = cursor else {
            let numbered = Page::new(page, page_size)?;
            return Ok(Self {
                list,
                number: page,
                page_size,
                offset: numbered.offset(),
                by_cursor: false,
                after: None,
            });
        };
        let mut violations = Violations::new();
        check(
            &mut violations,
            (page != 0).then_some(page),
            page_size,
            Some(cursor),
        );
        let begun = if cursor.is_empty() || !violations.is_empty() {
            None
        } else {
            violations.take("cursor", decode(list, cursor))
        };
        violations.into_result()?;
        let (number, after) = begun.unwrap_or((1, None));
        Ok(Self {
            list,
            number,
            page_size,
            offset: 0,
            by_cursor: true,
            after,
        })
    }

    /// Behind which entry the page begins; none where that is to be told from [`Self::offset`].
    pub fn after(&self) -> Option<&K> {
        self.after.as_ref()
    }

    /// Whether the list is read on by cursors, so that no entry may be left out, and not by number.
    pub fn is_by_cursor(&self) -> bool {
        self.by_cursor
    }

    /// How many entries to skip, for SQL's OFFSET; 0 where the page begins behind a key.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// The most entries on the page.
    pub fn size(&self) -> usize {
        self.page_size as usize
    }

    /// How many entries to read, for SQL's LIMIT: one more than the page shows, which tells whether there are more.
    pub fn limit(&self) -> i64 {
        i64::from(self.page_size) + 1
    }

    /// The page of what was read: at most [`Self::limit`] entries, in order. `key` is what an entry is ordered by.
    pub fn entries<T>(&self, mut read: Vec<T>, key: impl Fn(&T) -> K) -> Entries<T> {
        let more = read.len() > self.size();
        read.truncate(self.size());
        let last = read.last().filter(|_| more).map(key);
        self.entries_until(read, last)
    }

    /// The page of what was read, behind which the list goes on after the key `last`, if it does.
    pub fn entries_until<T>(&self, items: Vec<T>, last: Option<K>) -> Entries<T> {
        Entries {
            items,
            next: last
                .and_then(|key| encode(self.list, (self.number + 1).min(MAX_WINDOW), &key))
                .unwrap_or_default(),
            page: self.number,
        }
    }
}

/// None for a key that can't be written as JSON, or is too long to be read again: no list is ordered by one.
fn encode<K: Serialize>(list: ListDigest, page: u32, key: &K) -> Option<String> {
    let mut bytes = vec![CURSOR_VERSION];
    bytes.extend(list.0);
    serde_json::to_writer(&mut bytes, &(page, key)).ok()?;
    let cursor = URL_SAFE_NO_PAD.encode(bytes);
    (cursor.len() <= MAX_CURSOR).then_some(cursor)
}

const NONE_OF_OURS: &str = "must be the `next` of an answer, as it was there";

/// What is behind the version of a cursor: the digest of its list, and its key.
fn open(cursor: &str) -> Result<([u8; DIGEST], Vec<u8>), &'static str> {
    if cursor.len() > MAX_CURSOR {
        return Err(NONE_OF_OURS);
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| NONE_OF_OURS)?;
    let Some((&CURSOR_VERSION, rest)) = bytes.split_first() else {
        return Err(NONE_OF_OURS);
    };
    let (digest, key) = rest.split_first_chunk().ok_or(NONE_OF_OURS)?;
    Ok((*digest, key.to_vec()))
}

fn decode<K: DeserializeOwned>(list: ListDigest, cursor: &str) -> Result<(u32, Option<K>), &'static str> {
    let (digest, key) = open(cursor)?;
    if digest != list.0 {
        return Err(
            "must be of this list: it was made with another filter or another sort; begin again without it",
        );
    }
    let (page, key): (u32, K) = serde_json::from_slice(&key).map_err(|_| NONE_OF_OURS)?;
    Ok((page.clamp(1, MAX_WINDOW), Some(key)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use tonic_types::StatusExt as _;

    use super::*;

    fn refused(page: Result<Keyset<(i64, String)>, Status>) -> Vec<String> {
        let details = page.unwrap_err().get_details_bad_request().unwrap();
        details
            .field_violations
            .into_iter()
            .map(|violation| violation.field)
            .collect()
    }

    #[test]
    fn a_list_is_followed_to_its_end() {
        let list = ListDigest::of("numbers", &["", "up"]);
        let numbers: Vec<(i64, String)> = (0..10).map(|number| (number, number.to_string())).collect();
        let mut page = Keyset::read(list, 1, 4, None).unwrap();
        let mut seen = Vec::new();
        loop {
            let behind = page.after().map_or(0, |after: &(i64, String)| after.0 + 1);
            let read = numbers
                .iter()
                .filter(|number| number.0 >= behind)
                .take(5)
                .cloned()
                .collect();
            let shown = page.entries(read, Clone::clone);
            seen.push((shown.page, shown.items.len()));
            if shown.next.is_empty() {
                break;
            }
            page = Keyset::read(list, 0, 4, Some(&shown.next)).unwrap();
            assert_eq!((page.offset(), page.limit(), page.is_by_cursor()), (0, 5, true));
        }
        assert_eq!(seen, [(1, 4), (2, 4), (3, 2)]);
        let begun = Keyset::<(i64, String)>::read(list, 0, 4, Some("")).unwrap();
        assert!(begun.is_by_cursor() && begun.after().is_none());
    }

    #[test]
    fn what_is_no_cursor_of_the_list_is_refused_with_a_reason() {
        let list = ListDigest::of("numbers", &["a", "b"]);
        let cursor = encode(list, 2, &(1_i64, "x".to_owned())).unwrap();
        assert!(Keyset::<(i64, String)>::read(list, 0, 1, Some(&cursor)).is_ok());
        for other in [
            ListDigest::of("numbers", &["ab", ""]),
            ListDigest::of("numbers", &["a", "c"]),
            ListDigest::of("number", &["sa", "b"]),
        ] {
            let refusal = Keyset::<(i64, String)>::read(other, 0, 1, Some(&cursor)).unwrap_err();
            assert!(refusal.message().contains("another sort"), "{refusal}");
        }
        let later = {
            let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
            bytes[0] += 1;
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let of_another_key = encode(list, 2, &"x").unwrap();
        let long = "A".repeat(MAX_CURSOR + 1);
        for wrong in [
            "x",
            "!",
            "AQ",
            &later,
            &of_another_key,
            &long,
            &format!("{cursor}="),
        ] {
            assert_eq!(
                refused(Keyset::read(list, 0, 1, Some(wrong))),
                ["cursor"],
                "{wrong}"
            );
        }
        assert_eq!(
            refused(Keyset::read(list, 1, 0, Some(&cursor))),
            ["page_size", "page"]
        );
        assert_eq!(refused(Keyset::read(list, 101, 100, None)), ["page"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let list = ListDigest::of("numbers", &[]);
            let mut ours = vec![CURSOR_VERSION];
            ours.extend(list.0);
            ours.extend(bytes);
            for cursor in [text, URL_SAFE_NO_PAD.encode(ours)] {
                let _page = Keyset::<(i64, String)>::read(list, 0, 1, Some(&cursor));
            }
        }
    }

    #[test]
    fn pages_inside_the_window_have_an_offset() {
        let page = Page::new(3, 20).unwrap();
        assert_eq!((page.limit(), page.offset()), (20, 40));
        assert!(Page::new(100, 100).is_ok());
    }

    #[test]
    fn pages_outside_the_window_are_refused() {
        for (page, size) in [(0, 20), (1, 0), (1, 101), (101, 100), (u32::MAX, 100)] {
            assert_eq!(
                Page::new(page, size).unwrap_err().code(),
                tonic::Code::InvalidArgument,
                "{page} {size}"
            );
        }
    }
}
