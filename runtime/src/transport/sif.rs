//! Singularity's and Apptainer's image files (github.com/sylabs/sif, pkg/sif): a header, descriptors, and among what they
//! describe the partition with the root file system, a squashfs.
//!
//! ```text
//! header 128 bytes: launch[32] "SIF_MAGIC\0" version[3] arch[3] id[16] times(2 x i64)
//!                   free, total, offset and size of the descriptors, offset and size of the data (6 x i64)
//! descriptor 585 bytes: type i32, used u8, id, group, link (3 x u32), offset, size, padded size (3 x i64),
//!                       times, uid, gid (4 x i64), name[128], extra[384]: file system i32, kind i32, arch[3]
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt as _;

const HEADER: usize = 128;
const DESCRIPTOR: usize = 585;
const MAGIC: &[u8] = b"SIF_MAGIC\0";
/// Of one file; Singularity makes 48.
const MAX_DESCRIPTORS: u64 = 10_000;
const PARTITION: i32 = 0x4004;
const SQUASHFS: i32 = 1;
const ENCRYPTED: i32 = 5;
/// The primary system, and any other.
const SYSTEMS: [i32; 2] = [2, 1];

/// Where the root file system is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct System {
    /// In the file, bytes.
    pub(super) offset: u64,
    /// As Go calls it; empty when the file does not say.
    pub(super) architecture: &'static str,
}

/// Why a file has no root file system that can be used.
pub(super) enum Fault {
    Read(std::io::Error),
    /// In words that stand behind the file's name.
    Not(&'static str),
}

/// Finds the root file system.
pub(super) fn system(file: &File) -> Result<System, Fault> {
    let length = file.metadata().map_err(Fault::Read)?.len();
    let header = read(file, 0, HEADER)?;
    if header.get(32..42) != Some(MAGIC) {
        return Err(Fault::Not("is no SIF image"));
    }
    let number = |at: usize| long(&header, at).and_then(|number| u64::try_from(number).ok());
    let damaged = Fault::Not("has a damaged SIF header");
    let (Some(total), Some(start)) = (number(88), number(96)) else {
        return Err(damaged);
    };
    if total > MAX_DESCRIPTORS {
        return Err(damaged);
    }
    let mut encrypted = false;
    let mut found: Option<(usize, System)> = None;
    for number in 0..total {
        let Some(at) = start.checked_add(number * DESCRIPTOR as u64) else {
            return Err(damaged);
        };
        let descriptor = read(file, at, DESCRIPTOR)?;
        if word(&descriptor, 0) != Some(PARTITION) || descriptor.get(4) != Some(&1) {
            continue;
        }
        let extra = DESCRIPTOR - 384;
        let (kind, part) = (word(&descriptor, extra), word(&descriptor, extra + 4));
        let Some(rank) = SYSTEMS.iter().position(|system| Some(*system) == part) else {
            continue;
        };
        if kind != Some(SQUASHFS) {
            encrypted |= kind == Some(ENCRYPTED);
            continue;
        }
        let place = |at| long(&descriptor, at).and_then(|number| u64::try_from(number).ok());
        let (Some(offset), Some(size)) = (place(17), place(25)) else {
            return Err(damaged);
        };
        if offset.checked_add(size).is_none_or(|end| end > length) {
            return Err(Fault::Not("is a SIF image that ends too early"));
        }
        if found.as_ref().is_none_or(|(other, _)| rank < *other) {
            let architecture = architecture(descriptor.get(extra + 8..extra + 10));
            found = Some((
                rank,
                System {
                    offset,
                    architecture,
                },
            ));
        }
    }
    match found {
        Some((_, system)) => Ok(system),
        None if encrypted => Err(Fault::Not("is encrypted, which is not supported")),
        None => Err(Fault::Not("has no squashfs with a root file system")),
    }
}

fn read(file: &File, at: u64, length: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; length];
    match file.read_exact_at(&mut bytes, at) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(Fault::Not("is no SIF image, or ends too early"))
        }
        Err(error) => Err(Fault::Read(error)),
    }
}

fn word(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// pkg/sif/arch.go.
fn architecture(code: Option<&[u8]>) -> &'static str {
    match code {
        Some(b"01") => "386",
        Some(b"02") => "amd64",
        Some(b"03") => "arm",
        Some(b"04") => "arm64",
        Some(b"05") => "ppc64",
        Some(b"06") => "ppc64le",
        Some(b"11") => "s390x",
        Some(b"12") => "riscv64",
        _ => "",
    }
}
