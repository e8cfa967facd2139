//! Bisection: many items are done together, and where that is refused because of one of them, in halves, until the one at
//! fault stands alone and all others are done.
//!
//! Whether a refusal is the items' fault is for the caller to find out ([`Verdict`]): a group of which half is as good as
//! the other, since whoever does the work is away, is not to be divided. With `k` items at fault among `n` there are at
//! most `2 k ⌈log₂ n⌉ + 1` groups, beside those that are divided for their size.

use std::{collections::VecDeque, future::Future, ops::Range};

use futures::{StreamExt as _, stream::FuturesUnordered};

/// What has become of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<R> {
    /// It is through with: one result for each item, in order.
    Settled(Vec<R>),
    /// One of its items may be at fault, or it is too large: each half is to be tried. Not of a single item.
    Divide,
}

/// Settles that many items, of which each group is a range, beginning with all of them; up to `at_once` groups side by
/// side, larger ones first. Gives the result of each item in order, without those that a verdict had none for.
pub async fn bisect<R, F, Fut>(items: usize, at_once: usize, settle: F) -> Vec<R>
where
    F: Fn(Range<usize>) -> Fut,
    Fut: Future<Output = Verdict<R>>,
{
    let mut results: Vec<Option<R>> = std::iter::repeat_with(|| None).take(items).collect();
    let mut waiting = VecDeque::new();
    if items > 0 {
        waiting.push_back(0..items);
    }
    let mut tried = FuturesUnordered::new();
    loop {
        while tried.len() < at_once.max(1)
            && let Some(group) = waiting.pop_front()
        {
            let verdict = settle(group.clone());
            tried.push(async move { (group, verdict.await) });
        }
        let Some((group, verdict)) = tried.next().await else {
            break;
        };
        match verdict {
            Verdict::Settled(settled) => {
                for (place, result) in results[group].iter_mut().zip(settled) {
                    *place = Some(result);
                }
            }
            Verdict::Divide if group.len() > 1 => {
                let middle = usize::midpoint(group.start, group.end);
                waiting.extend([group.start..middle, middle..group.end]);
            }
            Verdict::Divide => tracing::error!("a single item can't be divided"),
        }
    }
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        collections::BTreeSet,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_item_at_fault_is_found_and_all_others_are_done_in_few_groups(
            items in 0_usize..600,
            picked in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            at_once in 0_usize..20,
        ) {
            let at_fault: BTreeSet<usize> =
                picked.iter().filter(|_| items > 0).map(|index| index.index(items)).collect();
            let (groups, at_work, most_at_work) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
            let settle = |group: Range<usize>| {
                let (at_fault, groups, at_work, most_at_work) = (&at_fault, &groups, &at_work, &most_at_work);
                async move {
                    groups.fetch_add(1, Ordering::SeqCst);
                    most_at_work.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    at_work.fetch_sub(1, Ordering::SeqCst);
                    match at_fault.range(group.clone()).next() {
                        Some(_) if group.len() > 1 => Verdict::Divide,
                        Some(culprit) => Verdict::Settled(vec![Err(*culprit)]),
                        None => Verdict::Settled(group.map(Ok).collect()),
                    }
                }
            };
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let results = runtime.block_on(bisect(items, at_once, settle));
            let expected: Vec<_> =
                (0..items).map(|item| if at_fault.contains(&item) { Err(item) } else { Ok(item) }).collect();
            prop_assert_eq!(results, expected);
            prop_assert!(most_at_work.into_inner() <= at_once.max(1));
            let levels = items.next_power_of_two().trailing_zeros() as usize;
            prop_assert!(groups.into_inner() <= 2 * at_fault.len() * levels + 1);
        }
    }
}
