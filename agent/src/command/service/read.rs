//! Reads logs from a server.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::service::{AttemptId, EventPage, LogPiece, ProblemCode, StreamName, path};
use protocol::{Event, Output};

use super::super::CommandError;
use crate::source::{CallError, Client, Follower};

/// Reads what there is of a log from an offset on, which moves behind it. A log that has not begun is empty; where a
/// server has not kept everything, a line says so.
pub(super) async fn rest(
    client: &Client,
    address: &str,
    offset: &mut u64,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    loop {
        let (from, answer) = (
            *offset,
            client.persist("log", || client.bytes(address, *offset)),
        );
        let mut pieces = match answer.await {
            Ok(pieces) => pieces,
            Err(CallError::Refused {
                status: 416,
                problem,
                ..
            }) => match problem.next {
                Some(next) if next > from => {
                    let line = format!("\n[{} bytes are not kept]\n", next - from);
                    take(from, line.as_bytes())?;
                    *offset = next;
                    continue;
                }
                _ => return Ok(()),
            },
            Err(error) if error.code() == Some(ProblemCode::NotFound) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        loop {
            match pieces.next().await {
                Ok(Some(bytes)) => {
                    take(*offset, &bytes)?;
                    *offset += bytes.len() as u64;
                }
                Ok(None) => break,
                // It goes on where it was cut.
                Err(error) => {
                    tracing::debug!(%error, "a log was cut off");
                    break;
                }
            }
        }
    }
}

/// A log that grows, from an offset on.
#[derive(Debug)]
pub(super) struct Tail {
    follower: Follower,
    offset: u64,
    /// No more will come.
    is_over: bool,
}

impl Tail {
    /// Of the log at [`path::LOG`]'s address.
    pub(super) fn of(client: &Client, attempt: AttemptId, log: &StreamName, offset: u64) -> Self {
        let address = path::of_log(path::LOG_FOLLOW, attempt, log);
        Self {
            follower: Follower::new(client, address, Some(offset.to_string())),
            offset,
            is_over: false,
        }
    }

    /// What comes next, and where it begins; where a server has not kept everything, a line says so. Waits for ever when no more
    /// will come. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<(u64, Vec<u8>), CommandError> {
        loop {
            if self.is_over {
                std::future::pending::<()>().await;
            }
            let news = self.follower.next().await?;
            if news.event != "log" {
                self.is_over = news.event == "end";
                continue;
            }
            let Ok(piece) = serde_json::from_str::<LogPiece>(&news.data) else {
                tracing::debug!("a piece of a log of a newer server");
                continue;
            };
            let bytes = match piece.output {
                Output::Text(text) => text.into_bytes(),
                Output::Base64(text) => STANDARD.decode(text).unwrap_or_default(),
            };
            let begin = self.offset;
            // A piece that came again behind a cut is known in part.
            let known = usize::try_from(begin.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
            let new = bytes.get(known..).unwrap_or_default();
            if new.is_empty() {
                continue;
            }
            self.offset = piece.offset.max(begin) + new.len() as u64;
            let mut shown = Vec::new();
            if piece.offset > begin {
                let lacks = piece.offset - begin;
                shown.extend_from_slice(format!("\n[{lacks} bytes are not kept]\n").as_bytes());
            }
            shown.extend_from_slice(new);
            return Ok((begin, shown));
        }
    }

    /// What comes up to there is known.
    pub(super) fn skip_to(&mut self, offset: u64) {
        if offset > self.offset {
            self.offset = offset;
            self.follower.skip_to(offset.to_string());
        }
    }

    /// How far it has come.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }
}

/// Which steps of an attempt are over.
#[derive(Debug)]
pub(super) struct Ended {
    client: Client,
    address: String,
    from: u64,
    steps: HashSet<String>,
    /// The whole attempt is.
    all: bool,
}

impl Ended {
    pub(super) fn of(client: &Client, attempt: AttemptId) -> Self {
        Self {
            client: client.clone(),
            address: path::of_attempt(path::EVENTS, attempt),
            from: 0,
            steps: HashSet::new(),
            all: false,
        }
    }

    /// Whether a step is over, or where it is none the whole attempt: all of its log is at the server then.
    pub(super) async fn has(&mut self, step: Option<&str>) -> Result<bool, CommandError> {
        while !self.is_over(step) {
            let address = format!("{}?from={}", self.address, self.from);
            let call = || self.client.get(&address);
            let page: EventPage = self.client.persist("events", call).await?;
            self.all = page.complete;
            let is_new = page.next > self.from;
            self.from = page.next;
            for event in page.events {
                if let Event::StepFinished { step, .. } = event {
                    self.steps.insert(step);
                }
            }
            if !is_new {
                break;
            }
        }
        Ok(self.is_over(step))
    }

    fn is_over(&self, step: Option<&str>) -> bool {
        self.all || step.is_some_and(|step| self.steps.contains(step))
    }
}

/// Puts the time in front of each line of a log.
#[derive(Debug)]
pub(super) struct Times {
    client: Client,
    address: String,
    read: u64,
    /// Offsets and Unix milliseconds.
    entries: Vec<(u64, u64)>,
    /// The beginning of an entry.
    open: Vec<u8>,
    /// A line that has not ended yet, and where it began.
    line: Vec<u8>,
    begin: u64,
}

impl Times {
    pub(super) fn of(client: &Client, attempt: AttemptId, log: &StreamName) -> Self {
        Self {
            client: client.clone(),
            address: path::of_log(path::LOG, attempt, &log.times_of()),
            read: 0,
            entries: Vec::new(),
            open: Vec::new(),
            line: Vec::new(),
            begin: 0,
        }
    }

    /// The lines that these bytes complete, with their times; all that is left where the log is over.
    pub(super) async fn stamp(
        &mut self,
        bytes: &[u8],
        is_over: bool,
    ) -> Result<Vec<u8>, CommandError> {
        let (client, address) = (self.client.clone(), self.address.clone());
        let mut read = self.read;
        rest(&client, &address, &mut read, |_, bytes| {
            self.learn(bytes);
            Ok(())
        })
        .await?;
        self.read = read;
        self.line.extend_from_slice(bytes);
        let mut stamped = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', &self.line) {
            self.put(end + 1, &mut stamped);
        }
        if is_over && !self.line.is_empty() {
            self.put(self.line.len(), &mut stamped);
        }
        Ok(stamped)
    }

    fn put(&mut self, length: usize, out: &mut Vec<u8>) {
        let later = self
            .entries
            .partition_point(|(offset, _)| *offset <= self.begin);
        let time = later.checked_sub(1).map(|at| self.entries[at].1);
        let time = time
            .and_then(|time| jiff::Timestamp::from_millisecond(i64::try_from(time).ok()?).ok())
            .map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"));
        out.extend_from_slice(time.as_bytes());
        out.push(b' ');
        out.extend(self.line.drain(..length));
        self.begin += length as u64;
    }

    fn learn(&mut self, bytes: &[u8]) {
        self.open.extend_from_slice(bytes);
        while let Some(end) = memchr::memchr(b'\n', &self.open) {
            let line: Vec<u8> = self.open.drain(..=end).collect();
            let entry = String::from_utf8_lossy(&line);
            let entry = entry.trim_end().split_once(' ');
            let entry =
                entry.and_then(|(offset, time)| Some((offset.parse().ok()?, time.parse().ok()?)));
            self.entries.extend(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::service::{AttemptId, JobId, StreamName};

    use super::Times;
    use crate::source::{Client, Trust};

    #[test]
    fn a_line_has_the_time_of_its_first_byte() {
        let server = "http://127.0.0.1:1".parse().unwrap();
        let client = Client::new(server, None, &Trust::default()).unwrap();
        let attempt = AttemptId {
            job: JobId(1),
            attempt: 1,
        };
        let mut times = Times::of(&client, attempt, &StreamName::step(0));
        times.learn(b"0 1000\n4 20");
        times.learn(b"00\n9 3000\n");
        assert_eq!(times.entries, [(0, 1000), (4, 2000), (9, 3000)]);
        times.line = b"one\nhalf of it\n".to_vec();
        let mut out = Vec::new();
        times.put(4, &mut out);
        times.put(11, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "1970-01-01T00:00:01.000Z one\n1970-01-01T00:00:02.000Z half of it\n"
        );
    }
}
