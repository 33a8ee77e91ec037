//! How much a checkout may be.

/// How much a checkout may be, its submodules included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Files, directories and links. Trees that share their parts (a few objects, billions of paths) end here.
    pub entries: u64,
    /// Of all files together.
    pub bytes: u64,
    /// Of one file, which is in memory for a moment.
    pub file_bytes: u64,
    /// Directories in each other.
    pub depth: usize,
    /// Submodules, those of submodules included.
    pub submodules: usize,
    /// Whether submodules are fetched; without, they are empty directories.
    pub follow_submodules: bool,
    /// Whether submodules at the repository's host are shown what the repository is. Not where a stranger may have named them.
    pub trust_submodules: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 2_000_000,
            bytes: 64 << 30,
            file_bytes: 2 << 30,
            depth: 200,
            submodules: 100,
            follow_submodules: true,
            trust_submodules: true,
        }
    }
}

/// What is left of it.
#[derive(Debug)]
pub(super) struct Budget {
    entries: u64,
    bytes: u64,
}

impl Budget {
    pub(super) const fn of(limits: &Limits) -> Self {
        Self {
            entries: limits.entries,
            bytes: limits.bytes,
        }
    }

    /// Takes one entry of so many bytes; what is wrong if that is too much.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), &'static str> {
        self.entries = self
            .entries
            .checked_sub(1)
            .ok_or("there are more files than may be")?;
        self.bytes = self
            .bytes
            .checked_sub(bytes)
            .ok_or("the files are larger than they may be")?;
        Ok(())
    }

    /// Entries and bytes that were taken.
    pub(super) const fn spent(&self, limits: &Limits) -> (u64, u64) {
        (limits.entries - self.entries, limits.bytes - self.bytes)
    }
}
