//! The one task that knows which agents wait for jobs, and offers jobs to them.
//!
//! Many agents and many jobs share a transaction: while one is under way, others gather for the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use protocol::service::{AgentId, Terms};
use tokio::sync::{mpsc, oneshot};

use crate::database::{Database, OperationError};
use crate::metrics::Metrics;
use crate::operation::assign::{self, Demand, Offer};
use crate::operation::loss;
use crate::queue::{Labels, RetryPolicy};

/// How long until jobs are looked for without news of any: news between servers can be lost.
const UNTOLD: Duration = Duration::from_secs(2);

/// How long who does not want to wait waits for a round.
const ROUND: Duration = Duration::from_secs(5);

/// The way to the task. It ends when all of them are gone.
#[derive(Debug, Clone)]
pub(crate) struct Dispatcher {
    waiters: mpsc::Sender<Waiter>,
}

/// An agent that waits.
#[derive(Debug)]
struct Waiter {
    demand: Demand,
    answer: oneshot::Sender<Box<Offer>>,
    /// It waits beyond the next round.
    is_patient: bool,
}

impl Dispatcher {
    pub(crate) fn start(
        database: Database,
        terms: Terms,
        policy: RetryPolicy,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (waiters, received) = mpsc::channel(1_024);
        let task = Task {
            database,
            terms,
            policy,
            metrics,
            waiting: VecDeque::new(),
        };
        tokio::spawn(task.run(received));
        Self { waiters }
    }

    /// Waits for a job for an agent, at most so long; without any time, for what there is at the moment.
    pub(crate) async fn acquire(
        &self,
        agent: AgentId,
        labels: Labels,
        most: Duration,
    ) -> Option<Box<Offer>> {
        let (answer, mut wait) = oneshot::channel();
        let demand = Demand {
            agent,
            labels: Arc::new(labels),
        };
        let waiter = Waiter {
            demand,
            answer,
            is_patient: !most.is_zero(),
        };
        self.waiters.send(waiter).await.ok()?;
        let most = if most.is_zero() { ROUND } else { most };
        match tokio::time::timeout(most, &mut wait).await {
            Ok(answer) => answer.ok(),
            Err(_) => {
                // What comes at this very moment is not lost.
                wait.close();
                wait.try_recv().ok()
            }
        }
    }
}

#[derive(Debug)]
struct Task {
    database: Database,
    terms: Terms,
    policy: RetryPolicy,
    metrics: Arc<Metrics>,
    waiting: VecDeque<Waiter>,
}

impl Task {
    async fn run(mut self, mut received: mpsc::Receiver<Waiter>) {
        let signals = Arc::clone(self.database.signals());
        loop {
            tokio::select! {
                waiter = received.recv() => match waiter {
                    Some(waiter) => self.waiting.push_back(waiter),
                    None => return,
                },
                () = signals.ready() => {}
                () = tokio::time::sleep(UNTOLD) => {}
            }
            while let Ok(waiter) = received.try_recv() {
                self.waiting.push_back(waiter);
            }
            self.waiting.retain(|waiter| !waiter.answer.is_closed());
            self.metrics.waiting(self.waiting.len());
            if self.waiting.is_empty() {
                continue;
            }
            if let Err(error) = self.offer().await {
                tracing::warn!(%error, "no jobs can be handed out");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// One round: as many jobs as there are for those who wait.
    async fn offer(&mut self) -> Result<(), OperationError> {
        let demands: Vec<Demand> = self
            .waiting
            .iter()
            .map(|waiter| waiter.demand.clone())
            .collect();
        let terms = self.terms;
        let offers = self
            .database
            .write_lightly_foreseen(
                |_| assign::foresee(),
                move |tx| assign::offer(tx, &demands, terms),
            )
            .await?;
        let mut waiting: Vec<Option<Waiter>> = self.waiting.drain(..).map(Some).collect();
        for (index, assignment) in offers {
            let Some(waiter) = waiting.get_mut(index).and_then(Option::take) else {
                continue;
            };
            let agent = waiter.demand.agent;
            if let Err(assignment) = waiter.answer.send(Box::new(assignment)) {
                // It has gone. The job does not wait for that to be noticed.
                let (database, policy) = (self.database.clone(), self.policy);
                tokio::spawn(async move {
                    let id = assignment.id;
                    let taken_back = database
                        .write(move |tx| loss::take_back(tx, agent, id, policy))
                        .await;
                    if let Err(error) = taken_back {
                        tracing::debug!(%error, %id, "an offer stays until its time is over");
                    }
                });
            }
        }
        let waiting = waiting.into_iter().flatten();
        self.waiting = waiting.filter(|waiter| waiter.is_patient).collect();
        Ok(())
    }
}
