//! A job's services: containers beside its steps, from before the first to behind the last.
//!
//! ```text
//! Starting --it runs--> Waiting --its probe holds--> Ready --nothing needs it any more--> Stopping --> Ended
//!    |                     |  |                       |                                      ^          ^
//!    |                     |  '-- not in time --------+--------------------------------------'          |
//!    '-- no image, start --'-- ended by itself -------'-------------------------------------------------'
//! ```
//! `life` takes one service through these states; `start` is how it begins, `health` says when it is tried again and until
//! when, `probe` is one try, `http` and `log` are kinds of it. What others have to know is on the [`Board`]: the job passes
//! the `gate` when all are ready, a step has its own [`Watch`] on those that fail.

mod board;
mod gate;
mod health;
mod http;
mod life;
mod log;
mod probe;
mod start;

pub(super) use board::{Board, Fallen, Watch};
pub(super) use gate::{Obstacle, pass};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use pipelines::plan::{Place, Service};
use tokio::sync::watch;

use super::context::{CancelLevel, Context};
use crate::backend::Backend;
use life::Life;
use protocol::RunValues;

/// The services of one job.
#[derive(Debug)]
pub(super) struct Services<'a, B: Backend> {
    pub(super) context: &'a Context<B>,
    pub(super) workspace: &'a B::Workspace,
    /// The job's id.
    pub(super) job: &'a str,
    /// Where the job is written.
    pub(super) place: &'a Place,
    pub(super) services: &'a [Service],
    /// What their expressions read.
    pub(super) values: &'a RunValues,
    /// How far the job is being stopped.
    pub(super) cancel: &'a watch::Receiver<CancelLevel>,
    /// Set when nothing needs them any more.
    pub(super) over: &'a watch::Receiver<bool>,
    /// Where it is told how they are.
    pub(super) board: &'a watch::Sender<Board>,
}

impl<B: Backend> Services<'_, B> {
    /// Runs them until all have ended. Nothing of them is left then.
    pub(super) async fn run(&self) {
        let lives = self.services.iter().map(|service| {
            let life = Life { of: self, service };
            life.run()
        });
        let mut lives: FuturesUnordered<_> = lives.collect();
        while lives.next().await.is_some() {}
    }
}
