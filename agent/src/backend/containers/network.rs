//! A job's private network: made when the first container of the job needs it, or ahead of that, and gone with the job.

use std::fmt;
use std::sync::Arc;

use ipnet::Ipv4Net;
use protocol::Protocol;
use runtime::network::{Interface, Pod, PodError, Policy, Protocol as Spoken, Report};
use runtime::zygote::Zygote;
use tokio::sync::OnceCell;

use crate::backend::{NetworkUse, NetworkUseFn, Place};

/// The network of one job.
pub(super) struct JobNetwork {
    zygote: Arc<Zygote>,
    pools: Vec<Ipv4Net>,
    /// How many are expected in it.
    containers: usize,
    pod: OnceCell<Pod>,
    uses: NetworkUseFn,
}

impl fmt::Debug for JobNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobNetwork")
            .field("pod", &self.pod)
            .finish_non_exhaustive()
    }
}

impl JobNetwork {
    pub(super) fn new(
        zygote: &Arc<Zygote>,
        pools: &[Ipv4Net],
        containers: usize,
        uses: NetworkUseFn,
    ) -> Self {
        Self {
            zygote: Arc::clone(zygote),
            pools: pools.to_vec(),
            containers,
            pod: OnceCell::new(),
            uses,
        }
    }

    /// The network itself.
    pub(super) async fn pod(&self) -> Result<&Pod, PodError> {
        let open = || Pod::open(&self.zygote, &self.pools, self.containers);
        self.pod.get_or_try_init(open).await
    }

    /// Makes it beside whatever else is being done. What stands in the way, the first container meets as well, and tells it.
    pub(super) fn make_ahead(self: &Arc<Self>) {
        let network = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = network.pod().await {
                tracing::debug!(%error, "no private network can be made ahead");
            }
        });
    }

    /// A place in it, for a container that may not use it yet.
    pub(super) async fn attach(&self) -> Result<Interface, PodError> {
        self.pod().await?.attach().await
    }

    /// Lets whoever is at an interface use the network, in the name of a step or a service.
    pub(super) fn admit(&self, interface: &Interface, step: &str, policy: Policy) {
        let (uses, step) = (Arc::clone(&self.uses), step.to_owned());
        let tell = move |report| {
            let (place, refusal) = match report {
                Report::Reached(place) => (place, None),
                Report::Refused(place, refusal) => (place, Some(refusal.to_string())),
                // Whoever is told counts as well.
                Report::More => return,
            };
            uses(NetworkUse {
                step: step.clone(),
                place: Place {
                    host: place.host,
                    port: place.port,
                    protocol: protocol(place.protocol),
                },
                refusal,
            });
        };
        interface.admit(policy, Some(Arc::new(tell)));
    }
}

const fn protocol(spoken: Spoken) -> Protocol {
    match spoken {
        Spoken::Tcp => Protocol::Tcp,
        Spoken::Udp => Protocol::Udp,
        Spoken::Icmp => Protocol::Icmp,
        Spoken::Dns => Protocol::Dns,
    }
}
