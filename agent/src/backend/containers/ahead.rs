//! While a step runs, the container of the one after it is built: one a workspace, so no more than there are jobs at work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime::container::{ContainerSpec, Network, Spare};
use runtime::network::Interface;
use runtime::zygote::Zygote;
use tokio::task::JoinHandle;

use super::network::JobNetwork;

/// A container that waits for its step, and its place in the job's network if it is to have one.
type Built = (Spare, Option<Interface>);

/// A container that is being built or waits.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    order: Mutex<Option<JoinHandle<Option<Built>>>>,
}

impl Ahead {
    /// Has a container built that could be this one's successor; beside everything else, and whatever becomes of it.
    pub(super) fn order(
        &self,
        zygote: &Arc<Zygote>,
        network: &Arc<JobNetwork>,
        spec: &ContainerSpec,
    ) {
        let Some(shape) = spec.shape() else { return };
        let (zygote, network) = (Arc::clone(zygote), Arc::clone(network));
        let building = async move {
            let built = build(&zygote, &network, &shape).await;
            // Whatever stands in the way, the start from nothing meets as well, and tells it.
            built.unwrap_or_else(|error| {
                tracing::debug!(error, "no container can be built ahead");
                None
            })
        };
        let mut order = self.current();
        // There may be one already: steps of a job can run at the same time.
        if order.is_none() {
            *order = Some(tokio::spawn(building));
        }
    }

    /// The container that was built, if it fits; waits until it is there.
    pub(super) async fn take(&self, spec: &ContainerSpec) -> Option<Built> {
        let order = self.current().take()?;
        let (spare, interface) = order.await.ok().flatten()?;
        if spare.fits(spec) {
            return Some((spare, interface));
        }
        discard(spare).await;
        None
    }

    /// Nothing will run in this workspace any more.
    pub(super) async fn forget(&self) {
        let order = self.current().take();
        if let Some(order) = order
            && let Ok(Some((spare, _interface))) = order.await
        {
            discard(spare).await;
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<JoinHandle<Option<Built>>>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn build(
    zygote: &Zygote,
    network: &JobNetwork,
    shape: &ContainerSpec,
) -> Result<Option<Built>, String> {
    let interface = match shape.network {
        Network::Pod => Some(network.attach().await.map_err(|error| error.to_string())?),
        Network::Host | Network::None => None,
    };
    let built = zygote.prepare(interface.as_ref(), shape).await;
    let spare = built.map_err(|error| error.to_string())?;
    Ok(spare.map(|spare| (spare, interface)))
}

async fn discard(spare: Spare) {
    if let Err(error) = spare.discard().await {
        tracing::warn!(%error, "a container that was built ahead cannot be waited for");
    }
}
