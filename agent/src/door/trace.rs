//! `--trace`: where the time of a container's start went.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use runtime::container::Trace;

/// What the agent does before it asks for a container, and how long it took.
#[derive(Debug)]
pub(super) struct Stopwatch {
    since: Instant,
    laps: Vec<(&'static str, Duration)>,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self {
            since: Instant::now(),
            laps: Vec::new(),
        }
    }

    /// This was over now, and the next thing begins.
    pub(super) fn lap(&mut self, what: &'static str) {
        let now = Instant::now();
        self.laps.push((what, now - self.since));
        self.since = now;
    }

    /// A line each, the runtime's phases behind the agent's own.
    pub(super) fn table(&self, trace: &Trace) -> String {
        let phases = trace.phases().map(|(phase, took)| (phase.describe(), took));
        let lines: Vec<_> = self.laps.iter().copied().chain(phases).collect();
        let all = lines.iter().map(|(_, took)| *took).sum();
        let mut text = String::from("where the time of the start went:\n");
        for (what, took) in lines.into_iter().chain([("in all", all)]) {
            let _ = writeln!(text, "  {what:44} {:>8.2} ms", took.as_secs_f64() * 1e3);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lap_has_a_line_and_the_sum_is_the_last() {
        let watch = Stopwatch {
            since: Instant::now(),
            laps: vec![
                ("start the zygote", Duration::from_micros(5_120)),
                ("get the image", Duration::from_micros(380)),
            ],
        };
        insta::assert_snapshot!(watch.table(&Trace::default()), @r"
        where the time of the start went:
          start the zygote                                 5.12 ms
          get the image                                    0.38 ms
          in all                                           5.50 ms
        ");
    }
}
