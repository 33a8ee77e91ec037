//! Layers as tools make them, and as nobody should.

mod entries;
mod hostile;
mod metadata;
mod stream;
mod whiteouts;

use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use super::*;
use crate::layer::testing::{Fields, Tar, tree};

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    entries: 1000,
    metadata: 1 << 16,
};

/// A directory to unpack into, beside something that must stay as it is.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(place.0.path().join("victim")).unwrap();
        std::fs::create_dir(place.target()).unwrap();
        std::fs::write(place.0.path().join("victim/hello"), "untouched").unwrap();
        place
    }

    fn target(&self) -> std::path::PathBuf {
        self.0.path().join("target")
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Unpacked, UnpackError> {
        let target = std::fs::File::open(self.target()).unwrap();
        unpack(bytes, Compression::Detect, target.as_fd(), &LIMITS)
    }

    fn assert_nothing_escaped(&self) {
        let outside = tree(&self.0.path().join("victim"));
        assert_eq!(outside.split(' ').next(), Some("hello"));
        assert_eq!(
            std::fs::read(self.0.path().join("victim/hello")).unwrap(),
            b"untouched"
        );
        assert_eq!(
            std::fs::metadata(self.0.path().join("victim/hello"))
                .unwrap()
                .nlink(),
            1
        );
        assert_eq!(std::fs::read_dir(self.0.path()).unwrap().count(), 2);
    }
}

fn unpacked(tar: Tar) -> String {
    let place = Place::new();
    let result = place.unpack(&tar.bytes());
    place.assert_nothing_escaped();
    match result {
        Ok(_) => tree(&place.target()),
        Err(error) => error.to_string(),
    }
}
