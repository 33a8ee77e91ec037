//! Times of one contender, and the table of all.

use std::fmt::Write as _;
use std::time::Duration;

/// Every time that was measured of somebody.
pub(crate) struct Sample {
    name: &'static str,
    times: Vec<Duration>,
}

impl Sample {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            times: Vec::new(),
        }
    }

    pub(crate) fn extend(&mut self, times: Vec<Duration>) {
        self.times.extend(times);
    }

    /// In milliseconds: the smallest time that `share` of all are not above.
    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.times.clone();
        sorted.sort();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list of some hundreds"
        )]
        let at = (share * (sorted.len().saturating_sub(1)) as f64) as usize;
        sorted.get(at).map_or(0.0, Duration::as_secs_f64) * 1e3
    }
}

/// The first is the measure of the others.
pub(crate) fn table(title: &str, samples: &[Sample]) -> String {
    let floor = samples.first().map_or(1.0, |sample| sample.quantile(0.5));
    let mut text = format!(
        "{title:34} {:>8} {:>8} {:>8} {:>8} {:>12}\n",
        "min", "median", "p95", "runs", "x minimal.c"
    );
    for sample in samples {
        let median = sample.quantile(0.5);
        let _ = writeln!(
            text,
            "{:34} {:>8.2} {median:>8.2} {:>8.2} {:>8} {:>12.2}",
            sample.name,
            sample.quantile(0.0),
            sample.quantile(0.95),
            sample.times.len(),
            median / floor
        );
    }
    text
}

/// Parts of one whole, in microseconds.
pub(crate) fn breakdown(title: &str, samples: &[Sample]) -> String {
    let total: f64 = samples.iter().map(|sample| sample.quantile(0.5)).sum();
    let mut text = format!(
        "{title:44} {:>8} {:>8} {:>8} {:>8}\n",
        "min us", "median", "p95", "share"
    );
    for sample in samples {
        let median = sample.quantile(0.5);
        let _ = writeln!(
            text,
            "{:44} {:>8.0} {:>8.0} {:>8.0} {:>7.0}%",
            sample.name,
            sample.quantile(0.0) * 1e3,
            median * 1e3,
            sample.quantile(0.95) * 1e3,
            100.0 * median / total
        );
    }
    text
}
