#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use serde::Deserialize;
use uuid::Uuid;

use super::*;
use crate::{http::body, money::Number, problem::Problem};

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "read by serde only")]
struct Basket {
    lines: Vec<Line>,
    price: Option<Number>,
    note: Nullable<String>,
    owner: Option<Uuid>,
    gift: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "read by serde only")]
struct Line {
    quantity: i64,
    unit: Option<Unit>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Piece,
    Box,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
struct Paging {
    page: Option<u32>,
    sort: Option<Sort>,
    owner: Option<Uuid>,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Sort {
    #[serde(rename = "-price")]
    Dearest,
}

impl Checked for Basket {
    fn check(&self, faults: &mut Faults) {
        faults.take(
            "note",
            self.note
                .as_deref()
                .map_or(Ok(()), |note| rules::at_most(note, 20)),
        );
        for (index, line) in self.lines.iter().enumerate() {
            let quantity = if line.quantity > 0 {
                Ok(())
            } else {
                Err("must be 1 or more")
            };
            faults.take(&format!("lines[{index}].quantity"), quantity);
        }
    }
}

impl Checked for Paging {
    fn check(&self, faults: &mut Faults) {
        faults.take(
            "page",
            if self.page == Some(0) {
                Err("must be 1 or more")
            } else {
                Ok(())
            },
        );
    }
}

fn basket(body: &str) -> Result<Basket, Vec<FieldError>> {
    json(body::json_text(body.as_bytes()).unwrap())
}

fn told(refused: &[FieldError]) -> Vec<String> {
    refused
        .iter()
        .map(|error| format!("{}: {}", error.field, error.detail))
        .collect()
}

#[test]
fn what_is_wrong_in_a_body_is_told_all_at_once() {
    for (body, expected) in [
        (r#"{"lines": [], "price": "10"}"#, vec!["price: must be a number"]),
        (
            r#"{"lines": [{"quantity": 1}, {"quantity": "2"}, {"quantity": 1.5}, {}, [1]]}"#,
            vec![
                "lines[1].quantity: must be a whole number",
                "lines[2].quantity: must be a whole number",
                "lines[3].quantity: is missing",
                "lines[4]: must be a JSON object",
            ],
        ),
        (
            r#"{"lines": [{"quantity": 99999999999999999999, "unit": "crate"}], "gift": 1}"#,
            vec![
                "lines[0].quantity: must be a whole number from -9223372036854775808 to 9223372036854775807",
                "lines[0].unit: must be one of piece, box",
                "gift: must be true or false",
            ],
        ),
        (
            r#"{"lines": [{"quantity": 1, "quantity": 2, "free": true}], "colour": {"a": [1]}, "gift": null}"#,
            vec![
                "colour: is not known here",
                "lines[0].quantity: is given more than once",
                "lines[0].free: is not known here",
                "gift: must not be null; leave it out",
            ],
        ),
        // What types refuse by themselves does not hide the rest.
        (
            r#"{"price": "1", "owner": "me", "lines": 7, "note": 8}"#,
            vec![
                "price: must be a number",
                "owner: must be a UUID",
                "lines: must be an array",
                "note: must be text",
            ],
        ),
        (
            r#"{"lines": null}"#,
            vec!["lines: must be an array, and not null"],
        ),
        (
            r#"{"lines": [], "note": "\ud800"}"#,
            vec!["note: must be text of whole characters: half of a surrogate pair is none"],
        ),
        // Nor do types hide what is wrong with values; of what could not be read there is no value.
        (
            r#"{"lines": [{"quantity": 0}, {"quantity": true}, 7, {}], "gift": 1, "note": "far longer than it may be", "owner": "me"}"#,
            vec![
                "owner: must be a UUID",
                "lines[1].quantity: must be a whole number",
                "lines[2]: must be a JSON object",
                "lines[3].quantity: is missing",
                "gift: must be true or false",
                "note: must have at most 20 characters",
                "lines[0].quantity: must be 1 or more",
            ],
        ),
        ("{}", vec!["lines: is missing"]),
        ("[[]]", vec!["body: must be a JSON object"]),
        ("null", vec!["body: must be a JSON object, and not null"]),
    ] {
        assert_eq!(told(&basket(body).unwrap_err()), expected, "{body}");
    }
}

#[test]
fn names_are_told_as_they_were_written_and_bounded() {
    for name in ["a`b", "it's \"quoted\"", "tab\tand\u{1}", "ключ"] {
        let body = serde_json::json!({ "lines": [], name: 1 }).to_string();
        assert_eq!(basket(&body).unwrap_err()[0].field, name);
    }
    let body = serde_json::json!({ "lines": [], "é".repeat(60_000): 1 }).to_string();
    assert_eq!(
        basket(&body).unwrap_err()[0].field,
        format!("{}…", "é".repeat(64))
    );
    let many: serde_json::Map<_, _> = (0..1_000).map(|n| (n.to_string(), n.into())).collect();
    let many = serde_json::Value::from(many).to_string();
    assert_eq!(basket(&many).unwrap_err().len(), MOST_VIOLATIONS);
}

#[test]
fn what_is_right_is_read() {
    let read = basket(
        r#" {"lines": [{"quantity": 2.0, "unit": "box"}, {"quantity": 1e2}], "price": 1e400, "note": null,
             "owner": "0193f3a0-0000-7000-8000-000000000000", "gift": true} "#,
    )
    .unwrap();
    assert_eq!((read.lines[0].quantity, read.lines[1].quantity), (2, 100));
    assert_eq!(read.lines[0].unit, Some(Unit::Box));
    assert_eq!((read.note, read.gift), (Nullable::Null, Some(true)));
    assert!(read.price.is_some() && read.owner.is_some());
    assert_eq!(basket(r#"{"lines": []}"#).unwrap().note, Nullable::LeftOut);
    let note = basket(r#"{"lines": [], "note": "\u00e9"}"#).unwrap().note;
    assert_eq!(note, Nullable::Value("é".to_owned()));
}

#[test]
fn what_is_wrong_in_a_query_is_told_all_at_once() {
    for (text, expected) in [
        (
            "page=x&sort=price&colour=red",
            vec![
                "colour: is not known here",
                "page: must be a whole number",
                "sort: must be one of -price",
            ],
        ),
        (
            "page=-1",
            vec!["page: must be a whole number from 0 to 4294967295"],
        ),
        (
            "page=0&sort=price",
            vec!["sort: must be one of -price", "page: must be 1 or more"],
        ),
        ("page=", vec!["page: must be a whole number"]),
        ("page=%2B1", vec!["page: must be a whole number"]),
        ("page=1.0", vec!["page: must be a whole number"]),
        ("page=1&page=2", vec!["page: is given more than once"]),
        (
            "owner=me&page=x",
            vec!["owner: must be a UUID", "page: must be a whole number"],
        ),
    ] {
        assert_eq!(told(&query::<Paging>(text).unwrap_err()), expected, "{text}");
    }
    let both = Paging {
        page: Some(2),
        sort: Some(Sort::Dearest),
        owner: None,
    };
    assert_eq!(query::<Paging>("sort=-price&page=2").unwrap(), both);
    assert_eq!(query::<Paging>("").unwrap(), Paging::default());
    assert!(no_parameters("").is_ok());
    assert_eq!(
        told(&no_parameters("a=1&b").unwrap_err()),
        ["a: is not known here", "b: is not known here",]
    );
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let read = body::json_text(&bytes).and_then(|text| json::<Basket>(text).map_err(Problem::invalid));
        prop_assert!(read.err().is_none_or(|problem| problem.status().is_client_error()));
    }

    #[test]
    fn any_fields_are_read_or_refused(text in "\\{(\"(lines|price|note|x)\": ?(1|\\[\\]|null|\"a\"|\\{\\}),?){0,5}\\}") {
        let read = body::json_text(text.as_bytes()).and_then(|text| json::<Basket>(text).map_err(Problem::invalid));
        prop_assert!(read.err().is_none_or(|problem| problem.status().is_client_error()));
    }
}
