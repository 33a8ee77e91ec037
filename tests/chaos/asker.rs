//! A user who asks whichever server answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::TestEnvironment;
use serde_json::Value;

/// Seconds that one answer may take.
const PATIENCE: &str = "20";

#[derive(Debug)]
pub(crate) struct Asker<'a> {
    env: &'a TestEnvironment,
    servers: Vec<SocketAddr>,
    /// Who answered last.
    last: AtomicUsize,
    pub(crate) token: String,
}

impl<'a> Asker<'a> {
    pub(crate) const fn new(env: &'a TestEnvironment, servers: Vec<SocketAddr>) -> Self {
        Self {
            env,
            servers,
            last: AtomicUsize::new(0),
            token: String::new(),
        }
    }

    /// Asks for something as JSON; `None` when there is no answer, and then the next server is asked.
    pub(crate) fn ask(&self, words: &[&str]) -> Option<Value> {
        serde_json::from_str(&self.say(words)?).ok()
    }

    /// The same, as it is printed.
    pub(crate) fn say(&self, words: &[&str]) -> Option<String> {
        let text = String::from_utf8(self.bytes(words)?).ok()?;
        Some(text.trim().to_owned())
    }

    /// What the API answers at an address for which there is no command; `None` when there is no answer.
    pub(crate) fn get(&self, address: &str) -> Option<String> {
        let server = self.last.load(Ordering::Relaxed);
        let answer = self.fetch(self.servers[server % self.servers.len()], address);
        let answer = answer
            .ok()
            .filter(|answer| answer.starts_with("HTTP/1.1 200"));
        if answer.is_none() {
            self.last.store(server.wrapping_add(1), Ordering::Relaxed);
        }
        answer
    }

    fn fetch(&self, server: SocketAddr, address: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let (token, end) = (&self.token, "connection: close\r\n\r\n");
        let head = format!(
            "GET {address} HTTP/1.1\r\nhost: {server}\r\nauthorization: Bearer {token}\r\nslipway-protocol: 1\r\n{end}"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The same, as bytes.
    pub(crate) fn bytes(&self, words: &[&str]) -> Option<Vec<u8>> {
        let server = self.last.load(Ordering::Relaxed);
        let url = format!("http://{}", self.servers[server % self.servers.len()]);
        let agent = self.env.agent(words);
        let agent = agent
            .variable("SLIPWAY_SERVER", url)
            .variable("SLIPWAY_TOKEN", &self.token);
        // Whoever asks is killed with nobody: a server that is paused meanwhile does not answer.
        let done = agent.executed_by(["timeout", PATIENCE]).run();
        if done.code() != 0 {
            self.last.store(server.wrapping_add(1), Ordering::Relaxed);
            return None;
        }
        Some(done.stdout().to_vec())
    }
}
