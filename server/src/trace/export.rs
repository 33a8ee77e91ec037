//! Sends traces, as long as the server lives.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message as _;
use protocol::service::PipelineId;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, sleep, timeout};

use super::Otlp;
use super::ids::TraceId;
use super::spans::{spans, text};
use crate::database::{Database, OperationError};
use crate::metrics::Metrics;
use crate::operation::trace;

/// How often pipelines are looked for that have ended.
const PERIOD: Duration = Duration::from_secs(2);

/// Traces that are made one behind the other.
const BATCH: usize = 64;

/// How long a trace may be late. A collector that is away for longer has lost it.
const LATEST: Duration = Duration::from_secs(60 * 60);

/// Between two tries: at first, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a collector may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// The most that is read of an answer, bytes.
const LONGEST_ANSWER: u64 = 64 << 10;

/// Spans of one trace.
const SPANS: usize = 20_000;

/// What became of a request.
enum Sent {
    Taken,
    /// The collector refuses it, and would again.
    Refused(String),
    /// Later, perhaps; it may have said when.
    Later(String, Option<Duration>),
}

/// Sends the traces of pipelines that end, until the server does.
pub(crate) async fn export(
    database: Database,
    otlp: Otlp,
    metrics: Arc<Metrics>,
    mut ending: watch::Receiver<bool>,
) {
    let exporter = match Exporter::new(database, otlp, metrics) {
        Ok(exporter) => exporter,
        Err(error) => {
            tracing::error!(error, "traces are not exported");
            return;
        }
    };
    let mut since = exporter.beginning();
    while !*ending.borrow() {
        if let Err(error) = exporter.round(&mut since, &mut ending).await {
            tracing::warn!(%error, "traces cannot be made");
        }
        let over = ending.wait_for(|ending| *ending);
        if timeout(PERIOD, over).await.is_ok() {
            return;
        }
    }
}

struct Exporter {
    database: Database,
    otlp: Otlp,
    client: reqwest::Client,
    metrics: Arc<Metrics>,
    installation: OnceCell<String>,
}

impl Exporter {
    fn new(database: Database, otlp: Otlp, metrics: Arc<Metrics>) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        for (name, value) in &otlp.headers {
            let wrong = |_| format!("the header {name:?} cannot be sent");
            let header = name
                .parse::<HeaderName>()
                .map_err(|_| format!("{name:?} is no header"))?;
            let mut value = value.parse::<HeaderValue>().map_err(wrong)?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        let client = reqwest::Client::builder()
            .default_headers(headers)
            .timeout(ANSWER)
            .redirect(Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            database,
            otlp,
            client,
            metrics,
            installation: OnceCell::new(),
        })
    }

    /// From when on ends are looked at.
    fn beginning(&self) -> u64 {
        now().saturating_sub(milliseconds(LATEST))
    }

    /// Sends what is there now.
    async fn round(
        &self,
        since: &mut u64,
        ending: &mut watch::Receiver<bool>,
    ) -> Result<(), OperationError> {
        // What is too late by now was waiting all the time.
        let (from, to) = (*since, self.beginning());
        if from < to {
            let dropped = self
                .database
                .write(move |tx| trace::give_up(tx, from, to))
                .await?;
            self.dropped(dropped, "the collector was away for too long");
            *since = to;
        }
        let from = *since;
        let found = self
            .database
            .read(move |tx| trace::untold(tx, from, BATCH))
            .await?;
        for id in found {
            if *ending.borrow() {
                return Ok(());
            }
            if self.database.write(move |tx| trace::claim(tx, id)).await? {
                self.tell(id, ending).await?;
            }
        }
        Ok(())
    }

    /// Makes a trace and sends it, however long that takes.
    async fn tell(
        &self,
        id: PipelineId,
        ending: &mut watch::Receiver<bool>,
    ) -> Result<(), OperationError> {
        let request = self.request(id).await?;
        let begun = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            let (why, after) = match self.send(&request).await {
                Sent::Taken => {
                    self.metrics.traced(1);
                    return Ok(());
                }
                Sent::Refused(why) => {
                    self.dropped(1, &why);
                    return Ok(());
                }
                Sent::Later(why, after) => (why, after),
            };
            if begun.elapsed() > LATEST {
                self.dropped(1, &why);
                return Ok(());
            }
            tracing::debug!(why, pipeline = %id, "a trace is sent again");
            let pause = after.unwrap_or(wait).min(LONGEST_WAIT);
            wait = (wait * 2).min(LONGEST_WAIT);
            let is_over = tokio::select! {
                () = sleep(pause) => false,
                _ = ending.wait_for(|ending| *ending) => true,
            };
            if is_over {
                // The next server sends it.
                return self
                    .database
                    .write(move |tx| trace::give_back(tx, id))
                    .await;
            }
        }
    }

    /// What tells this database from others.
    async fn installation(&self) -> Result<&str, OperationError> {
        let known = self.installation.get_or_try_init(|| {
            let mut fresh = [0; 16];
            // Without random numbers it is told apart from others by its address only.
            let _ = getrandom::fill(&mut fresh);
            let fresh = format!("{:032x}", u128::from_be_bytes(fresh));
            self.database
                .write(move |tx| trace::installation(tx, &fresh))
        });
        known.await.map(String::as_str)
    }

    async fn request(&self, id: PipelineId) -> Result<Vec<u8>, OperationError> {
        let installation = self.installation().await?;
        // Read, and not in a transaction that keeps who writes waiting.
        let story = self.database.read(move |tx| trace::story(tx, id, SPANS));
        let story = story.await?;
        let trace = TraceId::of(installation, id);
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: vec![
                        text("service.name", self.otlp.service.as_str()),
                        text("service.version", env!("CARGO_PKG_VERSION")),
                        text("service.instance.id", installation),
                    ],
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "slipway".to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    spans: spans(&trace, &story),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        Ok(request.encode_to_vec())
    }

    /// Sends a request once (OTLP 1.x, "OTLP/HTTP Response").
    async fn send(&self, request: &[u8]) -> Sent {
        let sending = self.client.post(&self.otlp.endpoint).body(request.to_vec());
        let response = match sending.send().await {
            Ok(response) => response,
            Err(error) => return Sent::Later(error.without_url().to_string(), None),
        };
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER);
        let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
        let why = format!("the collector answers {status}");
        match status.as_u16() {
            200..=299 => {
                self.read_partial(response).await;
                Sent::Taken
            }
            429 | 502..=504 => Sent::Later(why, after.map(Duration::from_secs)),
            _ => Sent::Refused(why),
        }
    }

    /// A collector may take a part only; the rest is not to be sent again.
    async fn read_partial(&self, response: reqwest::Response) {
        if response
            .content_length()
            .is_none_or(|length| length > LONGEST_ANSWER)
        {
            return;
        }
        let Ok(bytes) = response.bytes().await else {
            return;
        };
        let Ok(answer) = ExportTraceServiceResponse::decode(bytes) else {
            return;
        };
        if let Some(partial) = answer
            .partial_success
            .filter(|partial| partial.rejected_spans > 0)
        {
            tracing::warn!(
                spans = partial.rejected_spans,
                message = partial.error_message,
                "a collector has refused spans"
            );
        }
    }

    fn dropped(&self, traces: u64, why: &str) {
        if traces > 0 {
            tracing::warn!(traces, why, "traces are lost");
            self.metrics.untraced(traces);
        }
    }
}

fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Unix milliseconds. Only what is hours apart is decided by it.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, milliseconds)
}
