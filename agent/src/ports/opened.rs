use std::net::{IpAddr, SocketAddr};

use runtime::network::{Dialer, PublishError, Published, publish};
use tokio::task::JoinSet;

use super::{Port, PublishedPort};

/// Ports that lead to one container, for as long as this lives.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    ports: Vec<PublishedPort>,
    proxies: JoinSet<()>,
}

impl Opened {
    /// Opens them, to a container at an address of its network; all or none.
    ///
    /// # Errors
    /// See [`PublishError`], of the first that cannot be had.
    pub(crate) fn open(
        ports: &[Port],
        dialer: &Dialer,
        container: IpAddr,
    ) -> Result<Self, PublishError> {
        let mut opened = Self::default();
        for port in ports {
            let published = Published {
                host: port.host,
                container: SocketAddr::new(container, port.container),
                udp: port.udp,
            };
            let at = publish(&mut opened.proxies, dialer, published)?;
            opened.ports.push(PublishedPort { port: *port, at });
        }
        Ok(opened)
    }

    /// Where they are.
    pub(crate) fn ports(&self) -> &[PublishedPort] {
        &self.ports
    }

    /// Closes them; they are free when this returns. May be dropped and called again.
    pub(crate) async fn close(&mut self) {
        self.proxies.shutdown().await;
    }
}
