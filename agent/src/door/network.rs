//! A container's private network: a pod of its own, and the ports of the machine that lead into it.

use std::net::SocketAddr;

use runtime::container::Network;
use runtime::network::{Interface, Pod, Policy, Published, publish};
use runtime::zygote::Zygote;
use tokio::task::JoinSet;

use super::port::Port;
use super::{DoorError, Request};
use crate::networks::Networks;

/// What has to live as long as the container.
#[derive(Debug)]
pub(super) struct Private {
    pub(super) interface: Interface,
    /// Where its ports are on the machine.
    ports: Vec<(Port, SocketAddr)>,
    _proxies: JoinSet<()>,
    _pod: Pod,
}

impl Private {
    /// Its ports, as `agent ps` shows them.
    pub(super) fn published(&self) -> Vec<String> {
        let ports = self.ports.iter();
        ports
            .map(|(port, at)| {
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
    let mut proxies = JoinSet::new();
    let mut ports = Vec::new();
    for port in &request.ports {
        let address = interface.addresses().first().copied();
        let Some(address) = address else { continue };
        let published = Published {
            host: port.host,
            container: SocketAddr::new(address, port.container),
            udp: port.udp,
        };
        ports.push((*port, publish(&mut proxies, &pod.dialer(), published)?));
    }
    Ok(Some(Private {
        interface,
        ports,
        _proxies: proxies,
        _pod: pod,
    }))
}
