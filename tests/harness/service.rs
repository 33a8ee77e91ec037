//! A server of the runner service that does as a test says: it hands jobs out, keeps what agents send, and loses, refuses and
//! orders what it is told to. What it answers otherwise is what the protocol wants.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::listener::Listener;
use crate::wait;

/// How long a call for a job is kept waiting.
const WAIT: Duration = Duration::from_millis(200);

/// What the server knows of an attempt.
#[derive(Debug, Clone, Default)]
pub struct AttemptState {
    /// It was accepted.
    pub accepted: bool,
    /// Its events.
    pub events: Vec<Value>,
    /// Its logs.
    pub logs: BTreeMap<String, Vec<u8>>,
    /// How it was finished.
    pub finish: Option<Value>,
    /// How often that was tried.
    pub finishes: u64,
    /// Why it was given back.
    pub release: Option<Value>,
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Every connection is closed without a word.
    pub away: bool,
    /// The first `finish` is answered as if this log's checksum were wrong; the copy is thrown away.
    pub spoil: Option<String>,
    /// Each call is answered with 503 first, as a proxy before a server that starts would.
    pub stutter: bool,
    /// Every write in an attempt's name is refused.
    pub fence: bool,
    /// More events than these are too large.
    pub most_events: Option<u64>,
    /// What heartbeats are answered with; `continue` otherwise.
    pub order: Option<&'static str>,
    /// Calls whose path ends like this are never answered, as by a server that is slow.
    pub silent: Option<&'static str>,
    /// Heartbeats say that the agent is to take no more.
    pub drain: bool,
}

#[derive(Debug, Default)]
struct State {
    offers: VecDeque<Value>,
    attempts: BTreeMap<(u64, u64), AttemptState>,
    faults: Faults,
    registered: Vec<Value>,
    heartbeats: u64,
    /// Calls that were not answered.
    unanswered: u64,
    /// Calls whose next time is answered.
    stuttered: BTreeSet<String>,
}

/// The server. Dropped, it ends.
#[derive(Debug)]
pub struct Service {
    listener: Listener,
    state: Arc<Mutex<State>>,
}

impl Service {
    /// Starts it on a free port of the loopback interface.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        // A connection ends with the client's.
        let listener = Listener::start(move |stream| drop(serve(&stream, &shared)));
        Self { listener, state }
    }

    /// For `--server`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// Has a job run: a plan as `agent plan --format json` prints it, and whatever else an assignment has.
    pub fn offer(&self, job: u64, plan: &str, more: Value) {
        let mut offer = json!({
            "job": job, "attempt": 1, "pipeline": 7,
            "terms": { "accept_ms": 10_000, "lease_ms": 60_000, "heartbeat_ms": 100, "log_bytes": 1 << 28 },
            "plan": serde_json::from_str::<Value>(plan).expect("a plan is JSON"),
            "trigger": { "event": "push", "branch": "main" },
        });
        if let (Some(offer), Value::Object(more)) = (offer.as_object_mut(), more) {
            offer.extend(more);
        }
        self.lock().offers.push_back(offer);
    }

    /// Changes what goes wrong.
    pub fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.lock().faults);
    }

    /// What is known of the first attempt at a job.
    #[must_use]
    pub fn attempt(&self, job: u64) -> AttemptState {
        self.lock()
            .attempts
            .get(&(job, 1))
            .cloned()
            .unwrap_or_default()
    }

    /// What agents said they are when they registered.
    #[must_use]
    pub fn registered(&self) -> Vec<Value> {
        self.lock().registered.clone()
    }

    /// How many heartbeats came.
    #[must_use]
    pub fn heartbeats(&self) -> u64 {
        self.lock().heartbeats
    }

    /// Waits until there is a call that is not answered.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn wait_for_silence(&self) {
        let found = wait::until(wait::PATIENCE, || {
            (self.lock().unanswered > 0).then_some(())
        });
        assert!(found.is_some(), "no call is left without an answer");
    }

    /// Waits until something holds of an attempt.
    ///
    /// # Panics
    /// When it does not come to that, with all that is known.
    #[track_caller]
    pub fn wait(&self, job: u64, holds: impl Fn(&AttemptState) -> bool) -> AttemptState {
        let found = wait::until(wait::PATIENCE * 2, || {
            Some(self.attempt(job)).filter(|attempt| holds(attempt))
        });
        found.unwrap_or_else(|| panic!("it does not come to that: {:#?}", self.attempt(job)))
    }

    /// Waits for the end of a job; answers it.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn wait_for_finish(&self, job: u64) -> (Value, AttemptState) {
        let attempt = self.wait(job, |attempt| attempt.finish.is_some());
        (attempt.finish.clone().unwrap_or_default(), attempt)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request with its body.
struct Request {
    method: String,
    path: String,
    offset: u64,
    body: Vec<u8>,
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read(&mut reader)? {
        let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
        if lock().faults.away {
            return Ok(());
        }
        if lock()
            .faults
            .silent
            .is_some_and(|end| request.path.ends_with(end))
        {
            lock().unanswered += 1;
            // Until the client gives up.
            return std::io::copy(&mut reader, &mut std::io::sink()).map(drop);
        }
        if request.path.ends_with("/acquire") && lock().offers.is_empty() {
            std::thread::sleep(WAIT);
        }
        let (status, body) = {
            let mut state = lock();
            let call = format!("{} {}", request.method, request.path);
            if state.faults.away {
                return Ok(());
            } else if state.faults.stutter && !state.stuttered.remove(&call) {
                // Calls come side by side: each has its own first time.
                state.stuttered.insert(call);
                (503, json!("a proxy's page"))
            } else {
                answer(&mut state, &request)
            }
        };
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let mut stream = stream;
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
    }
    Ok(())
}

fn problem(code: &str, more: &Value) -> Value {
    let mut problem = json!({ "code": code, "message": format!("scripted: {code}") });
    if let (Some(problem), Value::Object(more)) = (problem.as_object_mut(), more) {
        problem.extend(more.clone());
    }
    problem
}

fn answer(state: &mut State, request: &Request) -> (u16, Value) {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let parts: Vec<&str> = request
        .path
        .trim_start_matches("/api/v1/")
        .split('/')
        .collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["agents"]) => {
            state.registered.push(body);
            (201, json!({ "agent": 3, "secret": "agents-own-secret" }))
        }
        ("PUT", ["agents", "self"]) => (204, Value::Null),
        ("POST", ["agents", "self", "acquire"]) => match state.offers.pop_front() {
            Some(offer) if body["free"].as_u64() > Some(0) => (200, offer),
            Some(offer) => {
                state.offers.push_front(offer);
                (204, Value::Null)
            }
            None => (204, Value::Null),
        },
        ("POST", ["agents", "self", "heartbeat"]) => {
            state.heartbeats += 1;
            let order = state.faults.order.unwrap_or("continue");
            let held = body["held"].as_array().cloned().unwrap_or_default();
            let held: Vec<Value> = held
                .into_iter()
                .map(|id| json!({ "job": id["job"], "attempt": id["attempt"], "order": order }))
                .collect();
            (
                200,
                json!({ "held": held, "drain": state.faults.drain, "heartbeat_ms": 100 }),
            )
        }
        (method, ["jobs", job, "attempts", number, rest @ ..]) => {
            if state.faults.fence {
                return (409, problem("fenced", &Value::Null));
            }
            let id = (job.parse().unwrap_or(0), number.parse().unwrap_or(0));
            let faults = &mut state.faults;
            let attempt = state.attempts.entry(id).or_default();
            of_attempt(attempt, faults, method, rest, request, body)
        }
        _ => (404, problem("not_found", &Value::Null)),
    }
}

fn of_attempt(
    attempt: &mut AttemptState,
    faults: &mut Faults,
    method: &str,
    rest: &[&str],
    request: &Request,
    body: Value,
) -> (u16, Value) {
    match (method, rest) {
        ("POST", ["accept"]) => {
            attempt.accepted = true;
            (204, Value::Null)
        }
        ("POST", ["events"]) => {
            let first = body["first"].as_u64().unwrap_or(u64::MAX);
            let next = attempt.events.len() as u64;
            if first > next {
                return (409, problem("gap", &json!({ "next": next })));
            }
            let events = body["events"].as_array().cloned().unwrap_or_default();
            let known = usize::try_from(next - first).unwrap_or(usize::MAX);
            let after = first + events.len() as u64;
            if faults.most_events.is_some_and(|most| after > most) {
                return (413, problem("too_large", &Value::Null));
            }
            attempt.events.extend(events.into_iter().skip(known));
            (200, json!({ "next": attempt.events.len() }))
        }
        ("PATCH", ["logs", name]) => {
            let log = attempt.logs.entry((*name).to_owned()).or_default();
            let length = log.len() as u64;
            if request.offset > length {
                return (416, problem("offset", &json!({ "next": length })));
            }
            let known = usize::try_from(length - request.offset).unwrap_or(usize::MAX);
            log.extend(request.body.iter().skip(known));
            (200, json!({ "next": log.len() }))
        }
        ("POST", ["finish"]) => {
            attempt.finishes += 1;
            if let Some(name) = faults.spoil.take() {
                attempt.logs.remove(&name);
                let missing = json!({ "missing": [{ "log": name, "from": 0 }] });
                return (409, problem("incomplete", &missing));
            }
            let mut missing = Vec::new();
            for log in body["logs"].as_array().into_iter().flatten() {
                let name = log["name"].as_str().unwrap_or_default();
                let have = attempt.logs.get(name).map(|log| log.len() as u64);
                if have != log["length"].as_u64() {
                    missing.push(json!({ "log": name, "from": have.unwrap_or(0) }));
                }
            }
            if body["events"].as_u64() != Some(attempt.events.len() as u64) {
                missing.push(json!({ "from": attempt.events.len() }));
            }
            if missing.is_empty() {
                attempt.finish = Some(body);
                return (204, Value::Null);
            }
            (409, problem("incomplete", &json!({ "missing": missing })))
        }
        ("POST", ["release"]) => {
            attempt.release = Some(body);
            (204, Value::Null)
        }
        _ => (404, problem("not_found", &Value::Null)),
    }
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next(), words.next());
    let (mut length, mut offset) = (0, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.trim().to_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "slipway-offset" => offset = value.trim().parse().unwrap_or(0),
                _ => {}
            }
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    Ok(Some(Request {
        method: method.unwrap_or_default(),
        path: path.unwrap_or_default(),
        offset,
        body,
    }))
}
