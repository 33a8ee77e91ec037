//! What holds of the policy whatever happens in whatever order.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use indexmap::IndexMap;
use pipelines::expression::Expression;
use pipelines::plan::{Cell, Condition, Job};
use pipelines::{Context, Event};
use proptest::prelude::*;
use protocol::{Cause, Conclusion};

use super::{
    Asking, End, Graph, Labels, Lane, Loss, Node, RetryPolicy, State, Stopping, Structure, assign,
    has_labels,
};

fn labels(bits: u8) -> Labels {
    let names = ["a", "b", "c"].into_iter().enumerate();
    names
        .filter(|(index, _)| bits >> index & 1 == 1)
        .map(|(_, name)| (name.to_owned(), "yes".to_owned()))
        .collect()
}

/// Agents and lanes; each repository's lanes differ in their labels, and jobs are numbered through.
fn market() -> impl Strategy<Value = (Vec<Asking>, Vec<Lane>)> {
    let agents = prop::collection::vec(0_u8..8, 0..12);
    let lanes = prop::collection::btree_map((0_i64..4, 0_u8..8), 0_usize..5, 0..8);
    (agents, lanes).prop_map(|(agents, lanes)| {
        let asking = agents.into_iter().map(|bits| Asking {
            labels: Arc::new(labels(bits)),
        });
        let mut job = 0;
        let lanes = lanes.into_iter().map(|((repository, bits), count)| Lane {
            repository,
            labels: labels(bits),
            jobs: (0..count)
                .map(|_| {
                    job += 1;
                    (job, job)
                })
                .collect(),
        });
        (asking.collect(), lanes.collect())
    })
}

proptest! {
    #[test]
    fn each_job_goes_to_one_agent_that_has_its_labels_and_none_waits_that_could_run((asking, lanes) in market()) {
        let mut served = BTreeMap::new();
        let matches = assign(&asking, &lanes, 0, &mut served);
        let jobs: HashSet<i64> = matches.iter().map(|it| it.job).collect();
        let agents: HashSet<usize> = matches.iter().map(|it| it.agent).collect();
        prop_assert_eq!(jobs.len(), matches.len());
        prop_assert_eq!(agents.len(), matches.len());
        for lane in &lanes {
            let taken = lane.jobs.iter().filter(|(_, job)| jobs.contains(job)).count();
            // The oldest come first.
            prop_assert!(lane.jobs[..taken].iter().all(|(_, job)| jobs.contains(job)));
            for found in matches.iter().filter(|it| lane.jobs.iter().any(|(_, job)| *job == it.job)) {
                prop_assert!(has_labels(&asking[found.agent].labels, &lane.labels));
                prop_assert_eq!(found.repository, lane.repository);
            }
            if taken < lane.jobs.len() {
                let idle = asking.iter().enumerate().filter(|(agent, _)| !agents.contains(agent));
                for (_, agent) in idle {
                    prop_assert!(!has_labels(&agent.labels, &lane.labels));
                }
            }
        }
    }

    #[test]
    fn turns_go_round_however_many_jobs_a_repository_has(backlogs in prop::collection::vec(1_usize..200, 2..6)) {
        // One agent at a time, every repository always has more.
        let mut served = BTreeMap::new();
        let mut counts = vec![0_usize; backlogs.len()];
        for turn in 0..backlogs.len() * 10 {
            let lanes: Vec<Lane> = backlogs.iter().enumerate().map(|(index, backlog)| Lane {
                repository: i64::try_from(index).unwrap(),
                labels: Labels::new(),
                // The larger the backlog, the older its jobs.
                jobs: vec![(-i64::try_from(*backlog).unwrap(), i64::try_from(turn * 10 + index).unwrap())],
            }).collect();
            let asking = [Asking { labels: Arc::new(Labels::new()) }];
            let matches = assign(&asking, &lanes, 0, &mut served);
            counts[usize::try_from(matches[0].repository).unwrap()] += 1;
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{:?}", counts);
        }
    }
}

/// What a generated job is like.
#[derive(Debug, Clone)]
struct Sketch {
    needs: Vec<usize>,
    condition: u8,
    allow_failure: bool,
    approval: bool,
    cell: Option<(u8, bool, Option<usize>)>,
}

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    let sketch = (
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        0_u8..5,
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::option::of((0_u8..2, any::<bool>(), prop::option::of(1_usize..3))),
    );
    prop::collection::vec(sketch, 1..9).prop_map(|sketches| {
        let sketches = sketches.into_iter().enumerate();
        sketches
            .map(
                |(index, (needs, condition, allow_failure, approval, cell))| Sketch {
                    // Only what stands before it: no circles.
                    needs: match index {
                        0 => Vec::new(),
                        _ => needs.into_iter().map(|need| need.index(index)).collect(),
                    },
                    condition,
                    allow_failure,
                    approval,
                    cell,
                },
            )
            .collect()
    })
}

fn graph(sketches: &[Sketch]) -> Graph {
    let when = |text: &str| Condition::When {
        expression: Expression::parse(text).unwrap(),
    };
    let shapes = sketches.iter().enumerate().map(|(index, sketch)| {
        Arc::new(Job {
            needs: sketch.needs.iter().map(|need| format!("j{need}")).collect(),
            condition: match sketch.condition {
                0 => when("failure()"),
                1 => when("always()"),
                2 => Condition::Never {
                    reason: "never".to_owned(),
                },
                _ => Condition::Success,
            },
            allow_failure: sketch.allow_failure,
            approval: sketch.approval,
            cell: sketch.cell.map(|(matrix, fail_fast, max_parallel)| Cell {
                job: format!("m{matrix}"),
                values: IndexMap::new(),
                fail_fast,
                max_parallel: max_parallel.and_then(NonZeroUsize::new),
            }),
            ..Job::new(&format!("j{index}"), Vec::new())
        })
    });
    let structure = Arc::new(Structure::new(shapes.collect(), Context::of(Event::Push)));
    let nodes = structure.shapes.iter().map(|shape| node(Arc::clone(shape)));
    Graph::new(nodes.collect(), Arc::clone(&structure), true, false)
}

fn node(shape: Arc<Job>) -> Node {
    Node {
        shape,
        state: State::Waiting,
        end: None,
        allowed: false,
        failed: false,
        approved: false,
        stopping: Stopping::No,
        stopped_by: None,
        group: None,
        runs_on: IndexMap::new(),
        attempt: 0,
        lost: 0,
        changed: true,
    }
}

/// Something that happens to the job it is about, when it can.
#[derive(Debug, Clone)]
enum Step {
    Offer,
    Accept,
    Finish(Conclusion),
    Lose,
    Cancel,
    CancelAll,
    Approve,
}

fn steps() -> impl Strategy<Value = Vec<(prop::sample::Index, Step)>> {
    let conclusion = prop_oneof![
        3 => Just(Conclusion::Success),
        2 => Just(Conclusion::Failure),
        1 => Just(Conclusion::Error),
    ];
    let step = prop_oneof![
        6 => Just(Step::Offer),
        6 => Just(Step::Accept),
        6 => conclusion.prop_map(Step::Finish),
        2 => Just(Step::Lose),
        1 => Just(Step::Cancel),
        1 => Just(Step::Approve),
        1 => Just(Step::CancelAll),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), step), 0..60)
}

const POLICY: RetryPolicy = RetryPolicy { attempts: 3 };

fn happen(graph: &mut Graph, index: usize, step: &Step) {
    let state = graph.nodes[index].state;
    match (step, state) {
        (Step::Offer, State::Ready) => {
            graph.nodes[index].state = State::Assigned;
            graph.nodes[index].attempt += 1;
        }
        (Step::Accept, State::Assigned) => graph.nodes[index].state = State::Running,
        (Step::Finish(conclusion), State::Running) => {
            let conclusion = match graph.nodes[index].stopping {
                Stopping::No if graph.nodes[index].stopped_by.is_none() => *conclusion,
                _ => Conclusion::Cancelled,
            };
            let end = End {
                conclusion,
                cause: None,
                outputs: IndexMap::new(),
            };
            graph.finish(index, end);
        }
        (Step::Lose, State::Running) => {
            graph.nodes[index].lost += 1;
            let end = POLICY.verdict(graph.nodes[index].lost, &Loss::Silent);
            graph.give_back(index, end);
        }
        (Step::Lose, State::Assigned) => graph.give_back(index, None),
        (Step::Cancel, _) => graph.cancel(index),
        (Step::CancelAll, _) => graph.cancel_all(),
        (Step::Approve, State::Approval) => graph.approve(index),
        _ => {}
    }
    graph.settle();
}

/// What must hold at any time.
fn check(graph: &Graph) -> Result<(), TestCaseError> {
    let by_id = |id: &String| graph.nodes.iter().find(|node| node.shape.id == *id);
    let mut running: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &graph.nodes {
        prop_assert_eq!(node.state == State::Finished, node.end.is_some());
        if !node.state.takes_place() {
            continue;
        }
        let hears = matches!(node.shape.condition, Condition::When { .. });
        for need in node.shape.needs.iter().filter_map(by_id) {
            prop_assert_eq!(need.state, State::Finished);
            prop_assert!(
                hears || need.satisfies(),
                "{} runs in spite of {}",
                node.shape.id,
                need.shape.id
            );
        }
        prop_assert!(!node.shape.approval || node.approved);
        prop_assert!(node.lost < POLICY.attempts);
        if let Some(cell) = &node.shape.cell {
            *running.entry(&cell.job).or_default() += 1;
        }
    }
    for node in &graph.nodes {
        let Some(cell) = &node.shape.cell else {
            continue;
        };
        if let (Some(most), Some(running)) = (cell.max_parallel, running.get(cell.job.as_str()))
            && node.state == State::Ready
        {
            prop_assert!(*running <= most.get(), "{} of {most}", running);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_happens_jobs_run_only_when_they_may_and_every_pipeline_ends(
        sketches in sketches(),
        steps in steps(),
    ) {
        // Cells of one matrix have the same settings.
        let mut sketches = sketches;
        let mut settings = BTreeMap::new();
        for sketch in &mut sketches {
            if let Some((matrix, fail_fast, most)) = &mut sketch.cell {
                let (same_fast, same_most) = *settings.entry(*matrix).or_insert((*fail_fast, *most));
                (*fail_fast, *most) = (same_fast, same_most);
            }
        }
        let mut graph = graph(&sketches);
        graph.settle();
        check(&graph)?;
        let mut over: BTreeMap<usize, Conclusion> = BTreeMap::new();
        for (at, step) in &steps {
            let index = at.index(graph.nodes.len());
            happen(&mut graph, index, step);
            check(&graph)?;
            // Each job has one conclusion, for good.
            for (index, node) in graph.nodes.iter().enumerate() {
                if let Some(end) = &node.end {
                    let first = *over.entry(index).or_insert(end.conclusion);
                    prop_assert_eq!(first, end.conclusion);
                }
            }
        }
        // Agents and people who do their part bring everything to an end.
        for _ in 0..graph.nodes.len() * 4 {
            for index in 0..graph.nodes.len() {
                for step in [Step::Approve, Step::Offer, Step::Accept, Step::Finish(Conclusion::Success)] {
                    happen(&mut graph, index, &step);
                    check(&graph)?;
                }
            }
        }
        prop_assert!(graph.conclusion().is_some(), "{:?}", graph.nodes);
        let failed = graph.nodes.iter().any(|node| {
            node.end.as_ref().is_some_and(|end| end.conclusion == Conclusion::Failure) && !node.allowed
        });
        let cancelled = graph.nodes.iter().any(|node| {
            let end = node.end.as_ref();
            end.is_some_and(|end| end.conclusion == Conclusion::Cancelled
                && !matches!(end.cause, Some(Cause::FailFast { .. })))
        });
        match graph.conclusion() {
            Some(Conclusion::Cancelled) => prop_assert!(cancelled),
            Some(Conclusion::Failure) => prop_assert!(failed && !cancelled),
            _ => prop_assert!(!failed && !cancelled),
        }
    }

    #[test]
    fn what_runs_again_runs_with_everything_that_hung_on_it(sketches in sketches(), at in any::<prop::sample::Index>()) {
        let sketches: Vec<Sketch> = sketches.into_iter().map(|sketch| Sketch { cell: None, approval: false, ..sketch }).collect();
        let mut graph = graph(&sketches);
        graph.settle();
        for index in 0..graph.nodes.len() {
            for step in [Step::Offer, Step::Accept, Step::Finish(Conclusion::Failure)] {
                happen(&mut graph, index, &step);
            }
        }
        prop_assert!(graph.conclusion().is_some());
        let first = at.index(graph.nodes.len());
        graph.retry(&[first]);
        prop_assert!(graph.nodes[first].end.is_none());
        for node in &graph.nodes {
            let waits_for_again = node.shape.needs.iter().any(|need| {
                graph.nodes.iter().any(|other| other.shape.id == *need && other.end.is_none())
            });
            prop_assert!(!waits_for_again || node.end.is_none());
        }
    }
}
