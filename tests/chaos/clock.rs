//! A clock of a program's own, which can be set: a few functions of C (`clock.c`), loaded before libc's own. What measures time
//! (CLOCK_MONOTONIC) is left alone, as setting a machine's clock leaves it.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The functions, compiled.
#[derive(Debug)]
pub(crate) struct Clockwork(PathBuf);

impl Clockwork {
    pub(crate) fn make(directory: &Path) -> Self {
        let library = directory.join("clock.so");
        let made = Command::new("cc")
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/chaos/clock.c"))
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "compile the clock"
        );
        Self(library)
    }
}

#[derive(Debug)]
pub(crate) struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// One that is right, kept in a file.
    pub(crate) fn new(clockwork: &Clockwork, file: &Path) -> Self {
        let clock = Self {
            file: file.to_owned(),
            library: clockwork.0.clone(),
        };
        fs::write(file, 0_i64.to_ne_bytes()).expect("make a clock");
        clock
    }

    /// Has it be wrong by so many seconds.
    pub(crate) fn set(&self, seconds: i64) {
        let file = fs::OpenOptions::new().write(true).open(&self.file);
        // In place: programs have the file in their memory.
        file.and_then(|file| file.write_all_at(&seconds.to_ne_bytes(), 0))
            .expect("set a clock");
    }

    /// What a program needs in its environment to go by it.
    pub(crate) fn variables(&self) -> [(&'static str, &Path); 2] {
        [
            ("LD_PRELOAD", &self.library),
            ("SLIPWAY_TEST_CLOCK", &self.file),
        ]
    }
}
