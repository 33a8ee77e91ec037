//! Builds of images, for the command line and for services: where their base images come from, what network they have, and how
//! what goes on is written into a log.

use std::fmt;

use ipnet::Ipv4Net;
use runtime::build::{Connection, FailureKind, Host, News, Refusal};
use runtime::container::{Network, Resources};
use runtime::image::Source;
use runtime::layer::BoxFuture;
use runtime::network::{Pod, Policy};
use runtime::store::Image as Pulled;
use runtime::zygote::Zygote;
use tokio::sync::OnceCell;

use crate::backend::{ImageError, ImageErrorKind, ImageProgress};
use crate::chain::chain;
use crate::images::Images;
use crate::networks::ALLOW_HOST;

/// Takes what is written to a build's log.
pub type Writer<'a> = &'a (dyn Fn(&[u8]) + Send + Sync);

/// What a build is done with.
pub(crate) struct Ground<'a> {
    pub(crate) zygote: &'a Zygote,
    pub(crate) images: &'a Images,
    pub(crate) network: &'a dyn Connects,
    pub(crate) resources: Resources,
    /// Registries are asked about every name, and not only about those that are not here.
    pub(crate) asks: bool,
    pub(crate) log: Writer<'a>,
}

/// Gives a build's commands a network.
pub(crate) trait Connects: Send + Sync {
    /// What it lets be reached, in a text that is the same for the same.
    fn key(&self) -> String;

    /// A connection for one command.
    fn connect(&self) -> BoxFuture<'_, Result<Connection, Refusal>>;
}

/// A network of the build's own.
pub(crate) struct OwnNetwork<'a> {
    pub(crate) zygote: &'a Zygote,
    pub(crate) wanted: Network,
    /// The machine's configuration lets the machine's be used.
    pub(crate) allows_host: bool,
    pub(crate) pools: &'a [Ipv4Net],
    pub(crate) pod: OnceCell<Pod>,
}

impl Connects for OwnNetwork<'_> {
    fn key(&self) -> String {
        match self.wanted {
            Network::None => "none".to_owned(),
            Network::Host => "host".to_owned(),
            Network::Pod => "own".to_owned(),
        }
    }

    fn connect(&self) -> BoxFuture<'_, Result<Connection, Refusal>> {
        Box::pin(async move {
            match self.wanted {
                Network::None => Ok(Connection::None),
                Network::Host if self.allows_host => Ok(Connection::Host),
                Network::Host => Err(Refusal {
                    kind: FailureKind::Dockerfile,
                    message: format!("`--network host` is not allowed here: {ALLOW_HOST}"),
                }),
                Network::Pod => {
                    let open = || Pod::open(self.zygote, self.pools, 1);
                    let pod = self.pod.get_or_try_init(open).await;
                    let pod = pod.map_err(|error| failed(chain(&error)))?;
                    let interface = pod.attach().await;
                    let interface = interface.map_err(|error| failed(chain(&error)))?;
                    interface.admit(Policy::Everything, None);
                    Ok(Connection::Private(interface))
                }
            }
        })
    }
}

/// It is nothing that the Dockerfile could help.
pub(crate) const fn failed(message: String) -> Refusal {
    Refusal {
        kind: FailureKind::Internal,
        message,
    }
}

impl fmt::Debug for Ground<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground").finish_non_exhaustive()
    }
}

impl Host for Ground<'_> {
    fn image<'a>(
        &'a self,
        source: &'a Source,
        text: &'a str,
    ) -> BoxFuture<'a, Result<Pulled, Refusal>> {
        Box::pin(async move {
            let news = |news| match news {
                ImageProgress::Received { .. } => {}
                ImageProgress::Warning(message) => self.say(News::Warning(&message)),
            };
            let pulled = self
                .images
                .pull(self.zygote, source, text, self.asks, &news)
                .await;
            pulled.map_err(|error| refusal(&error))
        })
    }

    fn network_key(&self) -> String {
        self.network.key()
    }

    fn network(&self) -> BoxFuture<'_, Result<Connection, Refusal>> {
        self.network.connect()
    }

    fn resources(&self) -> Resources {
        self.resources
    }

    fn say(&self, news: News<'_>) {
        match news {
            News::Step {
                number,
                total,
                text,
            } => (self.log)(format!("[{number}/{total}] {}\n", shown(text)).as_bytes()),
            News::Cached => (self.log)(b"  made before\n"),
            News::Output(bytes) => (self.log)(bytes),
            News::Warning(text) => (self.log)(format!("warning: {text}\n").as_bytes()),
        }
    }
}

/// The first line, and no more of it than one can read.
fn shown(text: &str) -> String {
    const WIDEST: usize = 200;
    let mut line: String = text
        .chars()
        .take_while(|c| *c != '\n')
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WIDEST)
        .collect();
    if line.len() < text.trim_end().len() {
        line.push_str(" ..");
    }
    line
}

fn refusal(error: &ImageError) -> Refusal {
    let kind = match error.kind {
        ImageErrorKind::InvalidReference => FailureKind::Dockerfile,
        ImageErrorKind::Unavailable | ImageErrorKind::Corrupt => FailureKind::Unavailable,
        ImageErrorKind::NotFound
        | ImageErrorKind::Unauthorized
        | ImageErrorKind::Damaged
        | ImageErrorKind::NotBuilt
        | ImageErrorKind::Unsupported => FailureKind::Instruction,
        ImageErrorKind::Internal => FailureKind::Internal,
    };
    Refusal {
        kind,
        message: error.message.clone(),
    }
}
