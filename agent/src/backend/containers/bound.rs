//! How much steps write to their workspace.
//!
//! The disk is asked how much room it has, which costs one system call; only when there is as much less as the steps might
//! still write, the workspace is measured, which may take as long as there are files in it.

use std::time::Duration;

use runtime::zygote::Zygote;
use tokio::time::{Instant, sleep};

/// Between two looks at the disk.
const INTERVAL: Duration = Duration::from_millis(100);
/// Measuring takes at most one part in so many of the time.
const SHARE: u32 = 10;

/// Returns when more than `limit` bytes were written to a workspace that is held under this name.
pub(super) async fn exceeded(zygote: &Zygote, name: &str, limit: u64) {
    // Earlier steps may have written to it: nobody has measured it yet.
    let mut may_write = 0;
    let mut room = u64::MAX;
    loop {
        sleep(INTERVAL).await;
        let Ok(now) = zygote.room() else { continue };
        if room.saturating_sub(now) < may_write {
            // What others have removed is no room that was there before.
            room = room.max(now);
            continue;
        }
        let begun = Instant::now();
        match zygote.written(name).await {
            Ok(bytes) if bytes > limit => return,
            Ok(bytes) => (may_write, room) = (limit - bytes, now),
            // A directory was moved meanwhile: the next time is soon.
            Err(error) => tracing::debug!(%error, "the workspace cannot be measured"),
        }
        sleep(begun.elapsed() * SHARE).await;
    }
}
