use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::PodError;
use super::wire::{Answer, Order, SOCKETS, SocketKind};
use crate::message::Connection;

/// Orders that wait for the process.
const QUEUE: usize = 64;

type Outcome = Result<Vec<OwnedFd>, PodError>;

/// The agent's side of the process that keeps a pod: a task that carries orders to it, one after the other.
#[derive(Debug, Clone)]
pub(in crate::network) struct Keeper {
    orders: mpsc::Sender<(Order, oneshot::Sender<Outcome>)>,
    /// Sockets that were made together with one that was asked for.
    spare: Arc<Mutex<HashMap<SocketKind, Vec<OwnedFd>>>>,
}

impl Keeper {
    /// Starts the task; the pod ends with it.
    pub(super) fn start(tasks: &mut JoinSet<()>, connection: Arc<Connection>) -> Self {
        let (orders, queue) = mpsc::channel(QUEUE);
        tasks.spawn(serve(connection, queue));
        Self {
            orders,
            spare: Arc::default(),
        }
    }

    /// Has an interface made: its network namespace.
    pub(super) async fn interface(&self, order: Order) -> Result<OwnedFd, PodError> {
        self.ask(order).await?.pop().ok_or(PodError::Gone)
    }

    /// A socket in the pod's namespace.
    pub(in crate::network) async fn socket(&self, kind: SocketKind) -> io::Result<OwnedFd> {
        let spare = self.spare().get_mut(&kind).and_then(Vec::pop);
        if let Some(socket) = spare {
            return Ok(socket);
        }
        let order = Order::Sockets {
            kind,
            count: SOCKETS,
        };
        let mut made = self.ask(order).await.map_err(io::Error::other)?;
        let first = made.pop().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut spare = self.spare();
        let spare = spare.entry(kind).or_default();
        // Others may have asked at the same time.
        made.truncate(SOCKETS.saturating_sub(spare.len()));
        spare.extend(made);
        Ok(first)
    }

    async fn ask(&self, order: Order) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let sent = self.orders.send((order, answer)).await;
        sent.map_err(|_| PodError::Gone)?;
        outcome.await.map_err(|_| PodError::Gone)?
    }

    fn spare(&self) -> MutexGuard<'_, HashMap<SocketKind, Vec<OwnedFd>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(
    connection: Arc<Connection>,
    mut queue: mpsc::Receiver<(Order, oneshot::Sender<Outcome>)>,
) {
    while let Some((order, answer)) = queue.recv().await {
        // Whoever asked may be gone; what was made is closed then.
        let _ = answer.send(carry_out(&connection, &order).await);
    }
}

async fn carry_out(connection: &Connection, order: &Order) -> Outcome {
    connection.send(order, &[]).await?;
    match connection.receive().await?.ok_or(PodError::Gone)? {
        (Answer::Failed(error), _) => Err(error.into()),
        (_, made) => Ok(made),
    }
}
