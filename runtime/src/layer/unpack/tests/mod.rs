//! Layers as tools make them, and as nobody should.

mod arbitrary;
mod entries;
mod hostile;
mod metadata;
mod outside;
mod packing;
mod stream;
mod tables;
mod whiteouts;

use std::os::fd::AsFd as _;

use super::*;
use crate::layer::testing::{self, Fields, Tar, tree};
use crate::layer::{Checked, Packed, check, pack};

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    entries: 1000,
    metadata: 1 << 16,
};

/// A directory to unpack into, beside something that must stay as it is.
struct Place(tempfile::TempDir, String);

impl Place {
    fn new() -> Self {
        let mut place = Self(tempfile::tempdir().unwrap(), String::new());
        outside::make(place.0.path());
        std::fs::create_dir(place.target()).unwrap();
        place.1 = outside::listing(place.0.path(), &place.target());
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

    /// Removes all that was unpacked, whatever it is and whoever it belongs to.
    fn empty(&self) {
        use std::os::unix::ffi::OsStrExt as _;
        let target = File::open(self.target()).unwrap();
        for entry in std::fs::read_dir(self.target()).unwrap() {
            let name = entry.unwrap().file_name();
            crate::layer::remove_entry(target.as_fd(), name.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_dir(self.target()).unwrap().count(), 0);
    }

    fn assert_nothing_escaped(&self) {
        let now = outside::listing(self.0.path(), &self.target());
        assert_eq!(now, self.1, "something outside was touched");
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
