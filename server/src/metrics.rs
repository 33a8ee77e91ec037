//! Figures for Prometheus.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// A kind of request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    /// The route's template.
    route: String,
    status: u32,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// A state, and how many are in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: String,
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter<u64, AtomicU64>>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    waiting: Gauge<i64, AtomicI64>,
    database: Gauge<i64, AtomicI64>,
    jobs: Family<State, Gauge<i64, AtomicI64>>,
    removals: Gauge<i64, AtomicI64>,
    log_bytes: Counter<u64, AtomicU64>,
    traces: Counter<u64, AtomicU64>,
    lost_traces: Counter<u64, AtomicU64>,
    /// What the database has counted last, and when.
    counted: tokio::sync::Mutex<Option<(Instant, Counts)>>,
}

/// What the database counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// How many jobs that are not over are in which state.
    pub(crate) jobs: Vec<(String, i64)>,
    /// What is still in the storage of what is not kept.
    pub(crate) removals: i64,
}

/// How old what the database has counted may be: everybody may ask, without a token, and as often as they like.
const COUNTED: Duration = Duration::from_secs(5);

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("slipway");
        let requests = Family::default();
        registry.register("requests", "Requests that were answered", requests.clone());
        let seconds = Family::new_with_constructor(
            (|| Histogram::new(exponential_buckets(0.000_5, 2.5, 12))) as fn() -> Histogram,
        );
        registry.register(
            "request_seconds",
            "How long answers took; of a long poll with its wait",
            seconds.clone(),
        );
        let waiting = Gauge::default();
        registry.register(
            "agents_waiting",
            "Agents that wait for a job at this server",
            waiting.clone(),
        );
        let database = Gauge::default();
        registry.register(
            "database",
            "1 when the database has just answered, or else 0, and jobs are not counted",
            database.clone(),
        );
        let jobs = Family::default();
        registry.register("jobs", "Jobs that are not over, by state", jobs.clone());
        let removals = Gauge::default();
        registry.register(
            "removals",
            "Streams and attempts that are still to be removed from the storage, 100000 for that many or more",
            removals.clone(),
        );
        let log_bytes = Counter::default();
        registry.register("log_bytes", "Bytes of logs that came", log_bytes.clone());
        let traces = Counter::default();
        registry.register(
            "traces",
            "Traces that a collector has taken",
            traces.clone(),
        );
        let lost_traces = Counter::default();
        registry.register(
            "traces_lost",
            "Traces that no collector has taken",
            lost_traces.clone(),
        );
        Self {
            registry,
            requests,
            seconds,
            waiting,
            database,
            jobs,
            removals,
            log_bytes,
            traces,
            lost_traces,
            counted: tokio::sync::Mutex::default(),
        }
    }

    /// What the database counts, counted now or a few seconds ago.
    pub(crate) async fn counts<E>(
        &self,
        count: impl Future<Output = Result<Counts, E>>,
    ) -> Result<Counts, E> {
        let mut counted = self.counted.lock().await;
        if let Some((at, counts)) = &*counted
            && at.elapsed() < COUNTED
        {
            return Ok(counts.clone());
        }
        let counts = count.await?;
        *counted = Some((Instant::now(), counts.clone()));
        Ok(counts)
    }

    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, seconds: f64) {
        let request = Request {
            method: method.to_owned(),
            route: route.to_owned(),
            status: status.into(),
        };
        self.requests.get_or_create(&request).inc();
        let route = Route {
            route: route.to_owned(),
        };
        self.seconds.get_or_create(&route).observe(seconds);
    }

    pub(crate) fn waiting(&self, agents: usize) {
        self.waiting.set(i64::try_from(agents).unwrap_or(i64::MAX));
    }

    pub(crate) fn logged(&self, bytes: usize) {
        self.log_bytes.inc_by(bytes as u64);
    }

    pub(crate) fn traced(&self, traces: u64) {
        self.traces.inc_by(traces);
    }

    pub(crate) fn untraced(&self, traces: u64) {
        self.lost_traces.inc_by(traces);
    }

    /// As Prometheus reads it, with what the database counts, if it does.
    pub(crate) fn text(&self, counts: Option<&Counts>) -> Result<String, std::fmt::Error> {
        self.database.set(i64::from(counts.is_some()));
        if let Some(counts) = counts {
            self.removals.set(counts.removals);
        }
        self.jobs.clear();
        for (state, count) in counts.into_iter().flat_map(|counts| &counts.jobs) {
            let state = State {
                state: state.clone(),
            };
            self.jobs.get_or_create(&state).set(*count);
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_are_counted_once_for_all_who_ask_within_seconds() {
        let metrics = Metrics::new();
        let count = async |jobs: i64| {
            Ok::<_, ()>(Counts {
                removals: jobs,
                ..Counts::default()
            })
        };
        assert_eq!(metrics.counts(async { Err(7) }).await, Err(7));
        let first = metrics.counts(count(1)).await.unwrap();
        let second = metrics.counts(count(2)).await.unwrap();
        assert_eq!(first.removals, 1);
        assert_eq!(second, first);
        let of = |counts| metrics.text(counts).unwrap();
        assert!(of(Some(&first)).contains("\nslipway_database 1\n"));
        let away = of(None);
        assert!(away.contains("\nslipway_database 0\n") && !away.contains("slipway_jobs{"));
    }
}
