use proptest::prelude::*;

use super::*;

fn offers(prices: &[(Uuid, i64, &str)]) -> HashMap<Uuid, Offer> {
    prices
        .iter()
        .map(|(id, price, currency)| {
            (
                *id,
                Offer {
                    name: format!("Product {id}"),
                    price: *price,
                    currency: (*currency).to_owned(),
                },
            )
        })
        .collect()
}

fn fields(violations: Vec<Violation>) -> Vec<String> {
    violations.into_iter().map(|violation| violation.field).collect()
}

#[test]
fn the_state_machine_is_the_designs() {
    use OrderStatus::{Cancelled, Completed, Confirmed, Pending, Rejected};
    let allowed = [
        (Pending, Confirmed),
        (Pending, Rejected),
        (Pending, Cancelled),
        (Confirmed, Cancelled),
        (Confirmed, Completed),
    ];
    for from in OrderStatus::ALL {
        for to in OrderStatus::ALL {
            assert_eq!(
                check_transition(from.into(), to).is_ok(),
                allowed.contains(&(from, to)),
                "{from:?} → {to:?}"
            );
        }
    }
    for to in OrderStatus::ALL {
        let newer = Open::parse("packed");
        let refused = check_transition(newer, to).unwrap_err().to_string();
        assert_eq!(
            refused,
            format!("an order that is packed can't become {}", to.as_str())
        );
    }
    assert_eq!(
        OrderStatus::ALL.map(OrderStatus::is_final),
        [false, false, true, true, true]
    );
}

#[test]
fn customers_cancel_and_admins_complete_too() {
    for to in OrderStatus::ALL {
        assert_eq!(
            check_actor(Actor::Customer, to).is_ok(),
            to == OrderStatus::Cancelled
        );
        let admins = matches!(to, OrderStatus::Cancelled | OrderStatus::Completed);
        assert_eq!(check_actor(Actor::Admin, to).is_ok(), admins);
    }
}

#[test]
fn spellings_are_read_back() {
    for status in OrderStatus::ALL {
        assert_eq!(OrderStatus::parse(status.as_str()), Some(status));
    }
    assert_eq!(OrderStatus::parse("Pending"), None);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let product = Uuid::now_v7().to_string();
    let wrong = [(product.as_str(), 0), ("no uuid", 1), (product.as_str(), 10_001)];
    let found = fields(merge_lines(&wrong).unwrap_err());
    assert_eq!(
        found,
        ["lines[0].quantity", "lines[1].product_id", "lines[2].quantity"]
    );
    assert_eq!(fields(merge_lines(&[]).unwrap_err()), ["lines"]);
    assert_eq!(
        fields(merge_lines(&vec![(product.as_str(), 1); 101]).unwrap_err()),
        ["lines"]
    );
}

#[test]
fn merged_lines_have_the_limit_of_one() {
    let product = Uuid::now_v7().to_string();
    let merged = merge_lines(&[(&product, 9_999), (&product, 1)]).unwrap();
    assert_eq!(
        merged.iter().map(|line| line.quantity).collect::<Vec<_>>(),
        [10_000]
    );
    assert_eq!(
        fields(merge_lines(&[(&product, 9_999), (&product, 2)]).unwrap_err()),
        ["lines[1].quantity"]
    );
}

#[test]
fn an_order_has_one_currency_and_known_products() {
    let (euro, dollar, unknown) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let offers = offers(&[(euro, 100, "EUR"), (dollar, 100, "USD")]);
    let line = |product_id, position| WantedLine {
        product_id,
        quantity: 1,
        position,
    };
    let now = OffsetDateTime::UNIX_EPOCH;
    let place = |lines: &[WantedLine]| place(Uuid::nil(), Uuid::nil(), lines, &offers, now);
    assert_eq!(
        fields(place(&[line(euro, 0), line(dollar, 1)]).unwrap_err()),
        ["lines[1].product_id"]
    );
    assert_eq!(
        fields(place(&[line(euro, 0), line(unknown, 3)]).unwrap_err()),
        ["lines[3].product_id"]
    );
    assert_eq!(place(&[line(dollar, 0)]).unwrap().total, 100);
}

#[test]
fn a_total_that_overflows_is_refused() {
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let wanted = |product_id, quantity| WantedLine {
        product_id,
        quantity,
        position: 0,
    };
    let now = OffsetDateTime::UNIX_EPOCH;
    let dear = offers(&[(one, i64::MAX, "EUR"), (two, 1, "EUR")]);
    let place = |lines: &[WantedLine]| place(Uuid::nil(), Uuid::nil(), lines, &dear, now);
    assert_eq!(fields(place(&[wanted(one, 2)]).unwrap_err()), ["lines"]);
    assert_eq!(
        fields(place(&[wanted(one, 1), wanted(two, 1)]).unwrap_err()),
        ["lines"]
    );
    assert_eq!(place(&[wanted(one, 1)]).unwrap().total, i64::MAX);
}

proptest! {
    #[test]
    fn merging_keeps_every_unit_and_no_product_twice(
        requested in proptest::collection::vec((0_u128..5, 1_i64..100), 1..100),
    ) {
        let ids: Vec<String> = requested.iter().map(|(id, _)| Uuid::from_u128(*id).to_string()).collect();
        let lines: Vec<(&str, i64)> = ids.iter().zip(&requested).map(|(id, (_, quantity))| (id.as_str(), *quantity)).collect();
        let merged = merge_lines(&lines).unwrap();
        for (index, line) in merged.iter().enumerate() {
            prop_assert!(merged[..index].iter().all(|other| other.product_id != line.product_id));
            let wanted: i64 = requested.iter().filter(|(id, _)| Uuid::from_u128(*id) == line.product_id).map(|(_, quantity)| quantity).sum();
            prop_assert_eq!(line.quantity, wanted);
        }
        prop_assert!(merged.is_sorted_by_key(|line| line.position));
    }

    #[test]
    fn the_total_is_the_exact_sum(lines in proptest::collection::vec((1_i64..=10_000, 0_i64..=1_000_000_000_000), 1..100)) {
        let priced: Vec<(Uuid, i64, &str)> =
            lines.iter().enumerate().map(|(n, (_, price))| (Uuid::from_u128(n as u128), *price, "JPY")).collect();
        let wanted: Vec<WantedLine> = lines
            .iter()
            .enumerate()
            .map(|(n, (quantity, _))| WantedLine { product_id: Uuid::from_u128(n as u128), quantity: *quantity, position: n })
            .collect();
        let exact: i128 = lines.iter().map(|(quantity, price)| i128::from(*quantity) * i128::from(*price)).sum();
        let placed = place(Uuid::nil(), Uuid::nil(), &wanted, &offers(&priced), OffsetDateTime::UNIX_EPOCH);
        prop_assert_eq!(placed.ok().map(|order| i128::from(order.total)), i64::try_from(exact).ok().map(i128::from));
    }
}
