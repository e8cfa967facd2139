use proptest::prelude::*;

use super::*;

fn offer(price: i64, currency: &str) -> Offer {
    Offer {
        name: format!("Product for {price}"),
        price,
        currency: currency.to_owned(),
    }
}

fn fields(violations: &Violations) -> Vec<String> {
    violations
        .iter()
        .map(|violation| violation.field.clone())
        .collect()
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
    assert_eq!(
        OrderStatus::ALL.map(OrderStatus::is_open),
        [true, true, false, false, false]
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
    let found = fields(&merge_lines(&wrong).unwrap_err());
    assert_eq!(
        found,
        ["lines[0].quantity", "lines[1].product_id", "lines[2].quantity"]
    );
    assert_eq!(fields(&merge_lines(&[]).unwrap_err()), ["lines"]);
    assert_eq!(
        fields(&merge_lines(&vec![(product.as_str(), 1); 101]).unwrap_err()),
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
        fields(&merge_lines(&[(&product, 9_999), (&product, 2)]).unwrap_err()),
        ["lines[1].quantity"]
    );
}

fn place_these(wanted: &[(i64, usize)], offers: Vec<Option<Offer>>) -> Result<Order, Violations> {
    let wanted: Vec<WantedLine> = wanted
        .iter()
        .map(|(quantity, position)| WantedLine {
            product_id: Uuid::now_v7(),
            quantity: *quantity,
            position: *position,
        })
        .collect();
    place(
        Uuid::nil(),
        Uuid::nil(),
        &wanted,
        offers,
        OffsetDateTime::UNIX_EPOCH,
    )
}

#[test]
fn an_order_has_one_currency_and_known_products() {
    let refused = place_these(
        &[(1, 0), (1, 1)],
        vec![Some(offer(100, "EUR")), Some(offer(100, "USD"))],
    );
    assert_eq!(fields(&refused.unwrap_err()), ["lines[1].product_id"]);
    let refused = place_these(&[(1, 0), (1, 3)], vec![Some(offer(100, "EUR")), None]);
    assert_eq!(fields(&refused.unwrap_err()), ["lines[3].product_id"]);
    assert_eq!(
        place_these(&[(1, 0)], vec![Some(offer(100, "USD"))])
            .unwrap()
            .total,
        100
    );
}

#[test]
fn a_total_that_overflows_is_refused() {
    let dear = || Some(offer(i64::MAX, "EUR"));
    assert_eq!(
        fields(&place_these(&[(2, 0)], vec![dear()]).unwrap_err()),
        ["lines"]
    );
    let refused = place_these(&[(1, 0), (1, 0)], vec![dear(), Some(offer(1, "EUR"))]);
    assert_eq!(fields(&refused.unwrap_err()), ["lines"]);
    assert_eq!(place_these(&[(1, 0)], vec![dear()]).unwrap().total, i64::MAX);
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
        let wanted: Vec<(i64, usize)> = lines.iter().enumerate().map(|(n, (quantity, _))| (*quantity, n)).collect();
        let offers = lines.iter().map(|(_, price)| Some(offer(*price, "JPY"))).collect();
        let exact: i128 = lines.iter().map(|(quantity, price)| i128::from(*quantity) * i128::from(*price)).sum();
        let placed = place_these(&wanted, offers);
        prop_assert_eq!(placed.ok().map(|order| i128::from(order.total)), i64::try_from(exact).ok().map(i128::from));
    }
}
