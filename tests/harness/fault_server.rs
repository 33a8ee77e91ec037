use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::listener::Listener;

/// A request, as far as a test decides by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `HEAD`.
    pub method: String,
    /// `/v2/..`, with the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

/// What the server does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// Besides `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// What would be sent if nothing cut it short.
    pub body: Vec<u8>,
    /// Said to be the length of `body`, where that is a lie.
    pub claims: Option<u64>,
    /// `body` is sent again and again, until the client is gone.
    pub is_endless: bool,
    /// Where the connection ends early.
    pub cut: Option<Cut>,
}

/// An end in the middle of an answer, in bytes of the body that are sent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The connection is reset.
    Reset(usize),
    /// The connection is closed in good order.
    Close(usize),
    /// So many bytes of the head are sent, and nothing after.
    Head(usize),
    /// Nothing more comes, and the connection stays until the client is gone.
    Stall(usize),
}

impl Answer {
    /// An answer of a status with a body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            claims: None,
            is_endless: false,
            cut: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Lies about its length, bytes.
    #[must_use]
    pub const fn claims(mut self, length: u64) -> Self {
        self.claims = Some(length);
        self
    }

    /// Never ends.
    #[must_use]
    pub const fn endless(mut self) -> Self {
        self.is_endless = true;
        self
    }

    /// Cuts it short.
    #[must_use]
    pub fn cut(mut self, cut: Cut) -> Self {
        self.cut = Some(cut);
        self
    }
}

/// An HTTP/1.1 server on the loopback interface that answers as a test says. Dropped, it ends.
#[derive(Debug)]
pub struct FaultServer {
    listener: Listener,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl FaultServer {
    /// Starts it on a free port; `answer` decides about each request.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // A connection ends with the client's; a client that is gone is no concern of the test's.
        let listener = Listener::start(move |stream| drop(serve(stream, &seen, &answer)));
        Self { listener, requests }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        self.listener.address().to_string()
    }

    /// What was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn serve(
    stream: TcpStream,
    requests: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Answer + Send + Sync),
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read_request(&mut reader)? {
        requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request.clone());
        let answer = answer(&request);
        let length = answer.claims.unwrap_or(answer.body.len() as u64);
        let mut head = format!(
            "HTTP/1.1 {} Scripted\r\nContent-Length: {length}\r\n",
            answer.status
        );
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut stream = &stream;
        if let Some(Cut::Head(sent)) = answer.cut {
            return stream.write_all(&head.as_bytes()[..sent.min(head.len())]);
        }
        stream.write_all(head.as_bytes())?;
        if request.method == "HEAD" {
            continue;
        }
        let sent = match answer.cut {
            Some(Cut::Reset(sent) | Cut::Close(sent) | Cut::Head(sent) | Cut::Stall(sent)) => sent,
            None => answer.body.len(),
        };
        stream.write_all(&answer.body[..sent.min(answer.body.len())])?;
        if answer.is_endless {
            loop {
                stream.write_all(&answer.body)?;
            }
        }
        if matches!(answer.cut, Some(Cut::Reset(_))) {
            set_socket_linger(stream, Some(Duration::ZERO))?;
        }
        if matches!(answer.cut, Some(Cut::Stall(_))) {
            stream.set_read_timeout(None)?;
            let _ = reader.read_line(&mut String::new())?;
        }
        if answer.cut.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, path) = (
        words.next().unwrap_or("").to_owned(),
        words.next().unwrap_or("").to_owned(),
    );
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(Some(Request {
                method,
                path,
                headers,
            }));
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
}
