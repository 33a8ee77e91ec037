//! How a run is stopped: by who watches it, or cells of a matrix by another one that has failed.

use std::time::Duration;

use protocol::{Cause, Conclusion, Event};

use super::Dispatcher;
use crate::backend::Backend;
use crate::clock::milliseconds;
use crate::executor::context::CancelLevel;
use crate::executor::run::Request;
use crate::sink::duration;

/// How long a cancelled run waits for a sink that does not move, such as a terminal stopped with Ctrl-S.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same when it was cancelled again.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

impl<B: Backend> Dispatcher<B> {
    /// Stops cells of a matrix because another one has failed.
    pub(super) fn stop_cells(&mut self, cells: &[usize]) {
        for &index in cells {
            if let Some(cancel) = self.cancel.get(&index) {
                cancel.send_if_modified(|level| {
                    let is_news = *level == CancelLevel::None;
                    *level = (*level).max(CancelLevel::Terminate);
                    is_news
                });
            } else if self.schedule.take(index)
                && let Some(cause) = self.stopped_by(index, Conclusion::Cancelled)
            {
                self.finish_unstarted(index, Conclusion::Cancelled, cause);
            }
        }
    }

    /// Why a cell was cancelled that nobody else has cancelled.
    pub(super) fn stopped_by(&self, index: usize, conclusion: Conclusion) -> Option<Cause> {
        if conclusion != Conclusion::Cancelled || self.level != CancelLevel::None {
            return None;
        }
        let job = self.cells.stopped_by(index)?;
        Some(Cause::FailFast {
            job: self.plan.jobs[job].id.clone(),
        })
    }

    pub(super) fn on_request(&mut self, request: Request) {
        let level = match (request, self.level) {
            (Request::Cancel | Request::OutputLost, CancelLevel::None) => CancelLevel::Terminate,
            _ => CancelLevel::Kill,
        };
        self.context.queue.hurry(match level {
            CancelLevel::None | CancelLevel::Terminate => PATIENCE,
            CancelLevel::Kill => LAST_PATIENCE,
        });
        if self.level == CancelLevel::None {
            if request == Request::Cancel {
                let grace = duration(milliseconds(self.context.settings.grace));
                self.emit(Event::Warning {
                    message: format!(
                        "Cancelled: running steps have {grace} to end; cancel again to kill them."
                    ),
                });
            }
            for index in self.schedule.withdraw() {
                self.cancelled = true;
                self.emit_unstarted(index, Conclusion::Cancelled, Cause::Cancelled);
            }
        }
        self.level = level;
        for cancel in self.cancel.values() {
            cancel.send_replace(level);
        }
    }
}
