use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use crate::listener::Listener;

/// An HTTP proxy on the loopback interface that opens tunnels (`CONNECT`), whatever the host is called, to this machine's
/// own loopback address. Dropped, it ends.
#[derive(Debug)]
pub struct Proxy {
    listener: Listener,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start() -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // A tunnel ends with its ends.
        let listener = Listener::start(move |stream| drop(tunnel(stream, &seen)));
        Self { listener, requests }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// The first line and the headers of each request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn tunnel(stream: TcpStream, requests: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head.clone());
    let port = head
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next()?.rsplit_once(':'))
        .and_then(|(_, port)| port.parse::<u16>().ok());
    let mut client = stream;
    let Some(port) = port else {
        return client
            .write_all(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let server = TcpStream::connect(("127.0.0.1", port))?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    let back = std::thread::spawn(move || {
        let copied = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
        copied
    });
    let mut server = server;
    let copied = io::copy(&mut reader, &mut server);
    let _ = server.shutdown(std::net::Shutdown::Both);
    let _ = back.join();
    copied.map(drop)
}
