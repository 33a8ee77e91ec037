//! The line between an agent and its server, which can be slow, silent or cut.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    Good,
    /// Some kilobytes a second.
    Slow,
    /// Nothing gets through, and nobody is told.
    Silent,
    /// Connections break, and new ones are refused.
    Cut,
}

/// A line of its own for each agent.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    namespace: String,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    mood: AtomicU8,
    over: AtomicBool,
    /// Which server it leads to.
    server: Mutex<SocketAddr>,
    open: Mutex<Vec<TcpStream>>,
}

impl State {
    fn mood(&self) -> Mood {
        match self.mood.load(Ordering::Relaxed) {
            0 => Mood::Good,
            1 => Mood::Slow,
            2 => Mood::Silent,
            _ => Mood::Cut,
        }
    }

    fn server(&self) -> SocketAddr {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// One that begins at an address of a network namespace.
    pub(crate) fn to(server: SocketAddr, namespace: &str, at: &str) -> Self {
        let at = format!("{at}:0");
        let listener = harness::within(namespace, move || TcpListener::bind(at)).expect("listen");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            mood: AtomicU8::new(Mood::Good as u8),
            over: AtomicBool::new(false),
            server: Mutex::new(server),
            open: Mutex::default(),
        });
        let ours = Arc::clone(&state);
        thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                if ours.over.load(Ordering::Relaxed) {
                    return;
                }
                let server = ours.server();
                if ours.mood() != Mood::Cut
                    && let Ok(far) = TcpStream::connect(server)
                {
                    join(&ours, near, far);
                }
            }
        });
        Self {
            address,
            namespace: namespace.to_owned(),
            state,
        }
    }

    pub(crate) fn be(&self, mood: Mood) {
        self.state.mood.store(mood as u8, Ordering::Relaxed);
        if mood == Mood::Cut {
            self.break_all();
        }
    }

    /// Leads somewhere else from the next connection on, and breaks those there are.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        *self
            .state
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = server;
        self.break_all();
    }

    fn break_all(&self) {
        let mut open = self
            .state
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for stream in open.drain(..) {
            // It may be over already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        self.break_all();
        // Wakes whoever accepts.
        let address = self.address;
        drop(harness::within(&self.namespace, move || {
            TcpStream::connect(address)
        }));
    }
}

fn join(state: &Arc<State>, near: TcpStream, far: TcpStream) {
    let copies = (near.try_clone(), far.try_clone(), near.try_clone());
    let (Ok(near_again), Ok(far_again), Ok(to_break)) = copies else {
        return;
    };
    let mut open = state.open.lock().unwrap_or_else(PoisonError::into_inner);
    open.push(to_break);
    drop(open);
    for (from, to) in [(near, far), (far_again, near_again)] {
        let state = Arc::clone(state);
        thread::spawn(move || carry(&state, from, to));
    }
}

/// How often a mood is looked at.
const LOOK: Duration = Duration::from_millis(20);

fn carry(state: &State, mut from: TcpStream, mut to: TcpStream) {
    let _ = from.set_read_timeout(Some(LOOK));
    let mut buffer = [0; 16 << 10];
    loop {
        if state.over.load(Ordering::Relaxed) {
            break;
        }
        let most = match state.mood() {
            Mood::Silent => {
                thread::sleep(LOOK);
                continue;
            }
            // About 12 KiB a second each way.
            Mood::Slow => {
                thread::sleep(LOOK);
                256
            }
            Mood::Good | Mood::Cut => buffer.len(),
        };
        match from.read(&mut buffer[..most]) {
            Ok(0) => break,
            Ok(length) => {
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
