//! A container's private network: a pod of its own, and the ports of the machine that lead into it.

use runtime::container::Network;
use runtime::network::{Interface, Pod, Policy};
use runtime::zygote::Zygote;

use super::{DoorError, Request};
use crate::networks::Networks;
use crate::ports::{Opened, PublishedPort};

/// What has to live as long as the container.
#[derive(Debug)]
pub(super) struct Private {
    pub(super) interface: Interface,
    /// Where its ports are on the machine.
    ports: Opened,
    _pod: Pod,
}

impl Private {
    /// Its ports, as `agent ps` shows them.
    pub(super) fn published(&self) -> Vec<String> {
        let ports = self.ports.ports().iter();
        ports
            .map(|PublishedPort { port, at }| {
                let protocol = if port.udp { "udp" } else { "tcp" };
                format!("{at}->{}/{protocol}", port.container)
            })
            .collect()
    }
}

/// Makes the network that a container is to have, where that is one of its own.
pub(super) async fn connect(
    request: &Request,
    name: &str,
    zygote: &Zygote,
    networks: &Networks,
) -> Result<Option<Private>, DoorError> {
    match request.network {
        Network::None => return Ok(None),
        Network::Host if networks.host => return Ok(None),
        Network::Host => return Err(DoorError::HostNetwork),
        Network::Pod => {}
    }
    let pod = Pod::open(zygote, &networks.pools, 1).await?;
    let interface = pod.attach().await?;
    interface.admit(Policy::Everything, None);
    interface.name(name);
    let address = interface.addresses().first().copied();
    let ports = match address {
        Some(address) => Opened::open(&request.ports, &pod.dialer(), address)?,
        None => Opened::default(),
    };
    Ok(Some(Private {
        interface,
        ports,
        _pod: pod,
    }))
}
