//! Layers as tools make them, and as nobody should.

mod entries;
mod hostile;
mod metadata;
mod packing;
mod stream;
mod whiteouts;

use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use super::*;
use crate::layer::testing::{Fields, Tar, tree};
use crate::layer::{Checked, Packed, check, pack};

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
        unpack(bytes, Compression::Detect, target.as_fd(), &LIMITS, None)
    }

    /// The same with a recording, if there is one.
    fn record(&self, bytes: &[u8]) -> Result<(Unpacked, Option<File>), UnpackError> {
        let target = File::open(self.target()).unwrap();
        let file = tempfile::tempfile().unwrap();
        let copy = file.try_clone().unwrap();
        let unpacked = unpack(
            bytes,
            Compression::Detect,
            target.as_fd(),
            &LIMITS,
            Some(copy),
        )?;
        Ok((unpacked, unpacked.is_recorded.then_some(file)))
    }

    fn pack(&self, recording: Option<File>) -> Result<(Packed, Vec<u8>), UnpackError> {
        let target = File::open(self.target()).unwrap();
        let mut bytes = Vec::new();
        let recording = recording.map(|mut file| {
            std::io::Seek::rewind(&mut file).unwrap();
            file
        });
        let packed = pack(target.as_fd(), recording, &mut bytes)?;
        Ok((packed, bytes))
    }

    fn check(&self, recording: &File) -> Checked {
        let target = File::open(self.target()).unwrap();
        check(target.as_fd(), recording.try_clone().unwrap()).unwrap()
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
