use std::num::NonZeroUsize;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Schedule, ScheduleError, Skipped};

fn schedule(graph: &[(&str, &[&str])], limit: usize) -> Result<Schedule, ScheduleError> {
    let graph: Vec<(String, Vec<String>)> = graph
        .iter()
        .map(|(name, needs)| {
            (
                (*name).to_owned(),
                needs.iter().map(|need| (*need).to_owned()).collect(),
            )
        })
        .collect();
    Schedule::new(
        graph
            .iter()
            .map(|(name, needs)| (name.as_str(), needs.as_slice())),
        NonZeroUsize::new(limit).unwrap(),
    )
}

#[test]
fn nodes_start_in_the_order_of_the_file_up_to_the_limit() {
    let mut schedule = schedule(&[("a", &[]), ("b", &[]), ("c", &[])], 2).unwrap();
    assert_eq!(schedule.start_next(), Some(0));
    assert_eq!(schedule.start_next(), Some(1));
    assert_eq!(schedule.start_next(), None);
    assert_eq!(schedule.finish(1, true), []);
    assert_eq!(schedule.start_next(), Some(2));
}

#[test]
fn a_node_waits_for_all_of_its_needs() {
    let mut schedule = schedule(&[("c", &["a", "b"]), ("a", &[]), ("b", &[])], 9).unwrap();
    assert_eq!(schedule.start_next(), Some(1));
    assert_eq!(schedule.start_next(), Some(2));
    assert_eq!(schedule.start_next(), None);
    schedule.finish(1, true);
    assert_eq!(schedule.start_next(), None);
    schedule.finish(2, true);
    assert_eq!(schedule.start_next(), Some(0));
}

#[test]
fn a_failure_skips_what_needs_it_and_names_the_need() {
    let mut schedule = schedule(
        &[
            ("a", &[]),
            ("b", &["a"]),
            ("c", &["b"]),
            ("d", &[]),
            ("e", &["d", "c"]),
        ],
        9,
    )
    .unwrap();
    schedule.start_next();
    assert_eq!(
        schedule.finish(0, false),
        [
            Skipped { node: 1, unmet: 0 },
            Skipped { node: 2, unmet: 1 },
            Skipped { node: 4, unmet: 2 },
        ]
    );
    assert_eq!(schedule.start_next(), Some(3));
    assert!(!schedule.is_done());
    assert_eq!(schedule.finish(3, true), []);
    assert!(schedule.is_done());
}

#[test]
fn withdrawing_leaves_only_what_runs() {
    let mut schedule = schedule(&[("a", &[]), ("b", &[]), ("c", &["b"])], 1).unwrap();
    schedule.start_next();
    assert_eq!(schedule.withdraw(), [1, 2]);
    assert!(!schedule.is_done());
    schedule.finish(0, true);
    assert!(schedule.is_done());
    assert_eq!(schedule.start_next(), None);
}

#[test]
fn a_graph_that_cannot_be_scheduled_is_an_error() {
    let error = |graph: &[(&str, &[&str])]| schedule(graph, 1).unwrap_err().to_string();
    insta::assert_snapshot!(error(&[("a", &["b"])]), @"`a` needs `b`, which does not exist");
    insta::assert_snapshot!(error(&[("a", &[]), ("a", &[])]), @"`a` exists twice");
    insta::assert_snapshot!(error(&[("a", &["a"])]), @"`a` needs itself, directly or through others");
    insta::assert_snapshot!(error(&[("x", &[]), ("a", &["b"]), ("b", &["a"])]), @"`a` needs itself, directly or through others");
}

#[test]
fn a_chain_is_not_parallel() {
    let parallel = |graph: &[(&str, &[&str])], limit| schedule(graph, limit).unwrap().is_parallel();
    assert!(!parallel(&[("a", &[]), ("b", &["a"]), ("c", &["b"])], 4));
    assert!(!parallel(
        &[("c", &["a", "b"]), ("a", &[]), ("b", &["a"])],
        4
    ));
    assert!(parallel(&[("a", &[]), ("b", &["a"]), ("c", &["a"])], 4));
    assert!(!parallel(&[("a", &[]), ("b", &[])], 1));
}

/// An acyclic graph as, for each node, the earlier nodes it needs.
fn graphs() -> impl Strategy<Value = Vec<Vec<String>>> {
    vec(vec(any::<prop::sample::Index>(), 0..4), 1..24).prop_map(|nodes| {
        nodes
            .iter()
            .enumerate()
            .map(|(node, needs)| {
                needs
                    .iter()
                    .filter(|_| node > 0)
                    .map(|need| need.index(node.max(1)).to_string())
                    .collect()
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn every_node_runs_or_is_skipped_exactly_once(
        graph in graphs(),
        limit in 1_usize..5,
        outcomes in vec(any::<bool>(), 24),
        order in vec(any::<prop::sample::Index>(), 24),
    ) {
        let names: Vec<String> = (0..graph.len()).map(|node| node.to_string()).collect();
        let mut schedule = Schedule::new(
            names.iter().map(String::as_str).zip(graph.iter().map(Vec::as_slice)),
            NonZeroUsize::new(limit).unwrap(),
        ).unwrap();
        let needs = |node: usize| graph[node].iter().map(|need| need.parse::<usize>().unwrap());
        let parallel = schedule.is_parallel();
        let mut succeeded = vec![None; graph.len()];
        let mut running = Vec::new();
        for turn in 0.. {
            while let Some(node) = schedule.start_next() {
                prop_assert_eq!(succeeded[node], None);
                prop_assert!(needs(node).all(|need| succeeded[need] == Some(true)));
                running.push(node);
            }
            prop_assert!(running.len() <= limit);
            prop_assert!(parallel || running.len() <= 1);
            if running.is_empty() {
                break;
            }
            let node = running.swap_remove(order[turn % order.len()].index(running.len()));
            succeeded[node] = Some(outcomes[node]);
            for skipped in schedule.finish(node, outcomes[node]) {
                prop_assert!(needs(skipped.node).any(|need| need == skipped.unmet));
                prop_assert_eq!(succeeded[skipped.unmet], Some(false));
                prop_assert_eq!(succeeded[skipped.node], None);
                succeeded[skipped.node] = Some(false);
            }
        }
        prop_assert!(schedule.is_done());
        prop_assert!(succeeded.iter().all(Option::is_some));
    }
}
