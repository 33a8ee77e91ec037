use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// An HTTP proxy on the loopback interface that opens tunnels (`CONNECT`), whatever the host is called, to this machine's
/// own loopback address. Dropped, it ends.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("find a free port");
        let address = listener.local_addr().expect("learn the port");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (requests, stop) = (Arc::clone(&requests), Arc::clone(&stop));
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let requests = Arc::clone(&requests);
                    // A tunnel ends with its ends.
                    std::thread::spawn(move || drop(tunnel(stream, &requests)));
                }
            }
        });
        Self {
            address,
            requests,
            stop,
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
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

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
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
