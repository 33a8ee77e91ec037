use std::sync::Once;

use crate::backend::ImageProgress;
use crate::output::complain;

/// Takes news of an image for a person: one line when it is fetched at all, and the warnings.
pub(crate) fn announce(reference: &str) -> impl Fn(ImageProgress) + Send + Sync {
    let told = Once::new();
    move |news| match news {
        ImageProgress::Received { total, .. } => told.call_once(|| {
            let size = total.map_or_else(String::new, |bytes| format!(", {}", in_mib(bytes)));
            complain(format_args!("pulling {reference}{size}"));
        }),
        ImageProgress::Warning(message) => complain(format_args!("warning: {message}")),
    }
}

fn in_mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
