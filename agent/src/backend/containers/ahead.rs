//! While a step runs, the container of the one after it is built: one a workspace, so no more than there are jobs at work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::container::{ContainerSpec, Spare};
use runtime::zygote::Zygote;
use tokio::task::JoinHandle;

/// Containers that are being built or wait, by workspace.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    orders: Mutex<HashMap<String, JoinHandle<Option<Spare>>>>,
}

impl Ahead {
    /// Has a container built that could be this one's successor; beside everything else, and whatever becomes of it.
    pub(super) fn order(&self, zygote: &Arc<Zygote>, workspace: &str, spec: &ContainerSpec) {
        let Some(shape) = spec.shape() else { return };
        let zygote = Arc::clone(zygote);
        let building = async move {
            let built = zygote.prepare(&shape).await;
            // Whatever stands in the way, the start from nothing meets as well, and tells it.
            built.unwrap_or_else(|error| {
                tracing::debug!(%error, "no container can be built ahead");
                None
            })
        };
        let mut orders = self.orders();
        // There may be one already: steps of a job can run at the same time.
        if !orders.contains_key(workspace) {
            orders.insert(workspace.to_owned(), tokio::spawn(building));
        }
    }

    /// The container that was built for this workspace, if it fits; waits until it is there.
    pub(super) async fn take(&self, workspace: &str, spec: &ContainerSpec) -> Option<Spare> {
        let order = self.orders().remove(workspace)?;
        let spare = order.await.ok().flatten()?;
        if spare.fits(spec) {
            return Some(spare);
        }
        discard(spare).await;
        None
    }

    /// Nothing will run in this workspace any more.
    pub(super) async fn forget(&self, workspace: &str) {
        let order = self.orders().remove(workspace);
        if let Some(order) = order
            && let Ok(Some(spare)) = order.await
        {
            discard(spare).await;
        }
    }

    fn orders(&self) -> std::sync::MutexGuard<'_, HashMap<String, JoinHandle<Option<Spare>>>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn discard(spare: Spare) {
    if let Err(error) = spare.discard().await {
        tracing::warn!(%error, "a container that was built ahead cannot be waited for");
    }
}
