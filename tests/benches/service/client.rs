//! HTTP/1.1 over one connection that stays: so little of it that what is measured is the server.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection in somebody's name.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    token: String,
    stream: Option<TcpStream>,
    input: Vec<u8>,
}

/// What a server has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> io::Result<Value> {
        serde_json::from_slice(&self.body).map_err(io::Error::other)
    }

    /// The answer, when it is one of success.
    fn checked(self, what: &str) -> io::Result<Self> {
        match self.status {
            200..300 => Ok(self),
            status => {
                let body = String::from_utf8_lossy(&self.body);
                Err(io::Error::other(format!("{what}: {status} {body}")))
            }
        }
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr, token: &str) -> Self {
        Self {
            address,
            token: token.to_owned(),
            stream: None,
            input: Vec::new(),
        }
    }

    /// Sends JSON and reads the answer, which is one of success.
    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> io::Result<Answer> {
        let body = serde_json::to_vec(body)?;
        self.call("POST", path, "", &body).await?.checked(path)
    }

    pub(crate) async fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.call("GET", path, "", &[]).await?.checked(path)
    }

    /// Sends a piece of a log.
    pub(crate) async fn patch(&mut self, path: &str, offset: u64, body: &[u8]) -> io::Result<()> {
        let header = format!("slipway-offset: {offset}\r\n");
        let answer = self.call("PATCH", path, &header, body).await?;
        answer.checked(path).map(drop)
    }

    async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        let (status, length) = self.send(method, path, headers, body).await?;
        let length = length.unwrap_or(0);
        while self.input.len() < length {
            self.more().await?;
        }
        let body = self.input.drain(..length).collect();
        Ok(Answer { status, body })
    }

    /// Sends a request and reads the head of its answer: its status and the length of its body.
    async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> io::Result<(u16, Option<usize>)> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\nslipway-protocol: 1\r\n{headers}\
             content-length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                none.insert(stream)
            }
        };
        // Small ones in one packet, large ones without a copy.
        if body.len() < 4_096 {
            stream.write_all(&[head.as_bytes(), body].concat()).await?;
        } else {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body).await?;
        }
        let end = loop {
            let end = self.input.windows(4).position(|four| four == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => self.more().await?,
            }
        };
        let head = String::from_utf8_lossy(&self.input[..end]).into_owned();
        self.input.drain(..end);
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("an answer that is none"))?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse().ok()).flatten()
        });
        Ok((status, length))
    }

    async fn more(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        match stream.read_buf(&mut self.input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Follows a log. The connection is of no other use from then on.
    pub(crate) async fn follow(mut self, path: &str) -> io::Result<Follower> {
        let (status, _) = self.send("GET", path, "", &[]).await?;
        match status {
            200 => Ok(Follower {
                client: self,
                lines: Vec::new(),
                scanned: 0,
            }),
            status => Err(io::Error::other(format!("{path}: {status}"))),
        }
    }
}

/// Somebody who follows a log.
#[derive(Debug)]
pub(crate) struct Follower {
    client: Client,
    /// Of the body, what has come and is no whole event yet.
    lines: Vec<u8>,
    scanned: usize,
}

impl Follower {
    /// The next event: how far the log has come. `None` is its end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<u64>> {
        loop {
            // What was looked through is not looked through again.
            let from = self.scanned.saturating_sub(1);
            let end = self.lines[from..].windows(2).position(|two| two == b"\n\n");
            let Some(end) = end.map(|end| from + end) else {
                self.scanned = self.lines.len();
                self.chunk().await?;
                continue;
            };
            self.scanned = 0;
            let event: Vec<u8> = self.lines.drain(..end + 2).collect();
            // What it says is not looked at: its id is behind or before it.
            let lines = || event.split(|byte| *byte == b'\n');
            if lines().any(|line| line == b"event: end") {
                return Ok(None);
            }
            let id = lines().find_map(|line| line.strip_prefix(b"id: "));
            let id = id.and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
            if let Some(id) = id {
                return Ok(Some(id));
            }
        }
    }

    /// Takes a chunk (RFC 9112, section 7.1).
    async fn chunk(&mut self) -> io::Result<()> {
        let input = &mut self.client;
        let end = loop {
            match input.input.windows(2).position(|two| two == b"\r\n") {
                Some(end) => break end,
                None => input.more().await?,
            }
        };
        let length = std::str::from_utf8(&input.input[..end]).unwrap_or_default();
        let length = usize::from_str_radix(length, 16).map_err(io::Error::other)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let whole = end + 2 + length + 2;
        while input.input.len() < whole {
            input.more().await?;
        }
        self.lines
            .extend_from_slice(&input.input[end + 2..whole - 2]);
        input.input.drain(..whole);
        Ok(())
    }
}
