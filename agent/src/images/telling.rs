use std::io::{self, IsTerminal as _};

use runtime::store::Progress;

use super::bars::Bars;
use super::relay::Relay;
use super::{ProgressFn, announce};
use crate::backend::ImageProgress;
use crate::machine::Machine;

/// Does something with images and tells a person of it on standard error: a line a layer at a terminal, while it lasts; else
/// one line. Warnings in both cases, nothing at all where it is to be `quiet`.
pub(crate) fn telling<T>(
    image: &str,
    quiet: bool,
    machine: &Machine,
    act: impl FnOnce(&(dyn Fn(Progress<'_>) + Send + Sync)) -> T,
) -> T {
    let watched = io::stderr().is_terminal() && !machine.no_status_line;
    let bars = (watched && !quiet).then(|| Bars::new(image));
    let tell = announce(image);
    let tell = |news: ImageProgress| {
        if !quiet {
            tell(news);
        }
    };
    let tell: ProgressFn<'_> = &tell;
    let relay = Relay::new(image, tell);
    act(&|news: Progress<'_>| match &bars {
        Some(bars) => bars.show(news),
        None => relay.pass_on(news),
    })
}
