//! Whoever waits for a transfer.

/// Hears how far a transfer is, and may end it. Called on the thread that transfers, several times a second while bytes come.
pub trait Watch: Send + Sync {
    /// So many bytes and objects have come, of so many objects. `false` ends the transfer.
    fn received(&self, bytes: u64, objects: usize, of: usize) -> bool {
        let _ = (bytes, objects, of);
        self.goes_on()
    }

    /// Whether to go on; asked between files of a checkout and while another transfer of the same repository is waited for.
    fn goes_on(&self) -> bool {
        true
    }
}

/// Nobody watches: the transfer goes on to its end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {}
