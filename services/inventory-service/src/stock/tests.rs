#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

fn id(number: u8) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

fn order(number: u8, lines: &[(u8, i64)]) -> Order {
    let lines = lines.iter().map(|(product, quantity)| Line {
        product_id: id(*product),
        quantity: *quantity,
    });
    Order::new(id(number), lines.collect()).unwrap()
}

fn stock(units: &[(u8, i64)]) -> HashMap<Uuid, i64> {
    units
        .iter()
        .map(|(product, units)| (id(*product), *units))
        .collect()
}

fn rejected(reason: RejectionReason, product: u8) -> Decision {
    rejected_for(&[(reason, product)])
}

fn rejected_for(lines: &[(RejectionReason, u8)]) -> Decision {
    let lines = lines.iter().map(|(reason, product)| RejectedLine {
        product_id: id(*product),
        reason: (*reason).into(),
    });
    Decision::Rejected(Rejection::of(lines).unwrap())
}

#[test]
fn an_order_gets_all_of_its_lines_or_none() {
    let orders = [
        order(1, &[(10, 2), (11, 6)]),
        order(2, &[(10, 5)]),
        order(3, &[(11, 5), (10, 1)]),
    ];
    let plan = plan_allocation(&orders, &HashMap::new(), stock(&[(10, 5), (11, 5)]));
    let insufficient = RejectionReason::InsufficientStock;
    assert_eq!(
        plan.answers,
        [
            rejected(insufficient, 11),
            Decision::Allocated,
            rejected(insufficient, 10)
        ]
    );
    assert_eq!(plan.stock_changes(), BTreeMap::from([(id(10), -5)]));
}

#[test]
fn every_line_at_fault_is_named_in_their_order() {
    let orders = [
        order(1, &[(10, 1), (12, 9), (99, 1)]),
        order(2, &[(99, 1), (12, 9)]),
    ];
    let plan = plan_allocation(&orders, &HashMap::new(), stock(&[(10, 5), (12, 5)]));
    assert_eq!(
        plan.answers,
        [
            rejected_for(&[
                (RejectionReason::InsufficientStock, 12),
                (RejectionReason::ProductNotFound, 99)
            ]),
            rejected_for(&[
                (RejectionReason::ProductNotFound, 99),
                (RejectionReason::InsufficientStock, 12)
            ])
        ]
    );
    assert!(plan.movements.is_empty());
}

#[test]
fn a_repetition_is_given_the_first_answer() {
    let known = HashMap::from([
        (id(1), Decision::Allocated),
        (id(2), rejected(RejectionReason::InsufficientStock, 10)),
        (id(3), Decision::Released),
    ]);
    let orders = [1, 2, 3, 4, 4].map(|number| order(number, &[(10, 3)]));
    let plan = plan_allocation(&orders, &known, stock(&[(10, 5)]));
    let expected = [
        known[&id(1)].clone(),
        known[&id(2)].clone(),
        known[&id(3)].clone(),
        Decision::Allocated,
        Decision::Allocated,
    ];
    assert_eq!(plan.answers, expected);
    assert_eq!(plan.decided, BTreeMap::from([(id(4), Decision::Allocated)]));
    assert_eq!(
        plan.movements,
        [Movement {
            order_id: id(4),
            product_id: id(10),
            delta: -3
        }]
    );
}

#[test]
fn a_release_gives_back_what_was_taken_once() {
    let known = HashMap::from([
        (id(1), Decision::Allocated),
        (id(2), rejected(RejectionReason::ProductNotFound, 10)),
        (id(3), Decision::Released),
    ]);
    let taken = HashMap::from([(id(1), order(1, &[(10, 3), (11, 1)]).lines)]);
    let plan = plan_release(&[4, 1, 2, 3, 1, 4].map(id), &known, &taken).unwrap();
    assert_eq!(plan.answers, vec![Decision::Released; 6]);
    assert_eq!(plan.released, [id(1)]);
    assert_eq!(plan.decided, BTreeMap::from([(id(4), Decision::Released)]));
    assert_eq!(plan.stock_changes(), BTreeMap::from([(id(10), 3), (id(11), 1)]));
}

#[test]
fn what_a_later_version_decided_is_answered_as_it_is_and_moves_nothing() {
    let held = Decision::Newer("held".into());
    let known = HashMap::from([(id(1), held.clone())]);
    let orders = [1, 2].map(|number| order(number, &[(10, 3)]));
    let plan = plan_allocation(&orders, &known, stock(&[(10, 5)]));
    assert_eq!(plan.answers, [held.clone(), Decision::Allocated]);
    assert_eq!(plan.stock_changes(), BTreeMap::from([(id(10), -3)]));
    let plan = plan_release(&[1, 3].map(id), &known, &HashMap::new()).unwrap();
    assert_eq!(plan.answers, [held, Decision::Released]);
    assert_eq!(plan.decided, BTreeMap::from([(id(3), Decision::Released)]));
    assert!(plan.released.is_empty() && plan.movements.is_empty());
}

#[test]
fn an_order_allocated_meanwhile_must_be_read_again() {
    let known = HashMap::from([(id(1), Decision::Allocated)]);
    assert_eq!(plan_release(&[id(1)], &known, &HashMap::new()), None);
}

#[test]
fn malformed_orders_are_refused() {
    let line = |product, quantity| Line {
        product_id: id(product),
        quantity,
    };
    assert_eq!(Order::new(id(1), vec![]), Err(MalformedOrder::NoLines));
    assert_eq!(
        Order::new(id(1), vec![line(1, 1), line(2, 0)]),
        Err(MalformedOrder::Quantity(1))
    );
    assert_eq!(
        Order::new(id(1), vec![line(1, MAX_QUANTITY + 1)]),
        Err(MalformedOrder::Quantity(0))
    );
    assert_eq!(
        Order::new(id(1), vec![line(1, 1), line(1, 2)]),
        Err(MalformedOrder::RepeatedProduct(1))
    );
    assert!(Order::new(id(1), vec![line(1, MAX_QUANTITY), line(2, 1)]).is_ok());
}

prop_compose! {
    fn any_order()(number in 0..20_u8, lines in prop::collection::btree_map(100..106_u8, 1..8_i64, 1..5)) -> Order {
        order(number, &lines.into_iter().collect::<Vec<_>>())
    }
}

/// Stock, ledger and decisions kept in memory as the store keeps them.
#[derive(Default)]
struct Ledger {
    stock: HashMap<Uuid, i64>,
    decisions: HashMap<Uuid, Decision>,
    movements: Vec<Movement>,
}

impl Ledger {
    fn apply(&mut self, plan: &Plan) {
        for (product, change) in plan.stock_changes() {
            *self
                .stock
                .get_mut(&product)
                .expect("only stock that exists moves") += change;
        }
        for (order, decision) in &plan.decided {
            assert!(
                self.decisions.insert(*order, decision.clone()).is_none(),
                "an order is decided once"
            );
        }
        for order in &plan.released {
            assert_eq!(
                self.decisions.insert(*order, Decision::Released),
                Some(Decision::Allocated)
            );
        }
        self.movements.extend(&plan.movements);
    }

    fn taken(&self, order: Uuid) -> Vec<Line> {
        let of_order = self
            .movements
            .iter()
            .filter(|movement| movement.order_id == order && movement.delta < 0);
        of_order
            .map(|movement| Line {
                product_id: movement.product_id,
                quantity: -movement.delta,
            })
            .collect()
    }
}

proptest! {
    /// Batches of allocations and releases in any order, with repetitions: stock is never negative, equals what the
    /// ledger says, an order moves a product once each way at most, and a decided order keeps its answer.
    #[test]
    fn stock_is_what_the_ledger_says(
        initial in prop::collection::vec(0..30_i64, 5),
        batches in prop::collection::vec((any::<bool>(), prop::collection::vec(any_order(), 1..12)), 1..12),
    ) {
        let initial: HashMap<Uuid, i64> = (100..).map(id).zip(initial).collect();
        let mut ledger = Ledger { stock: initial.clone(), ..Ledger::default() };
        for (is_release, orders) in batches {
            let ids: Vec<Uuid> = orders.iter().map(Order::id).collect();
            let plan = if is_release {
                let taken = ids.iter().map(|order| (*order, ledger.taken(*order))).collect();
                plan_release(&ids, &ledger.decisions, &taken).unwrap()
            } else {
                plan_allocation(&orders, &ledger.decisions, ledger.stock.clone())
            };
            ledger.apply(&plan);
            prop_assert_eq!(plan.answers.len(), ids.len());
            for (order, answer) in ids.iter().zip(&plan.answers) {
                let is_rejected = matches!(ledger.decisions[order], Decision::Rejected(_));
                prop_assert!(ledger.decisions[order] == *answer || (is_release && is_rejected));
            }
            for (product, units) in &ledger.stock {
                let of_product = ledger.movements.iter().filter(|movement| movement.product_id == *product);
                prop_assert_eq!(*units, initial[product] + of_product.map(|movement| movement.delta).sum::<i64>());
                prop_assert!(*units >= 0);
            }
            let mut moved: Vec<_> = ledger.movements.iter().map(|m| (m.order_id, m.product_id, m.delta > 0)).collect();
            moved.sort_unstable();
            prop_assert!(moved.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }

    /// An order is refused only when it truly can't be had, and taken whole when it is.
    #[test]
    fn the_first_order_gets_stock_exactly_if_there_is_enough(wanted in any_order(), units in prop::collection::vec(0..10_i64, 5)) {
        let available: HashMap<Uuid, i64> = (100..).map(id).zip(units).collect();
        let enough = wanted.lines().iter().all(|line| available.get(&line.product_id).is_some_and(|units| *units >= line.quantity));
        let plan = plan_allocation(std::slice::from_ref(&wanted), &HashMap::new(), available);
        prop_assert_eq!(plan.answers == [Decision::Allocated], enough);
        prop_assert_eq!(plan.movements.len(), if enough { wanted.lines().len() } else { 0 });
    }
}
