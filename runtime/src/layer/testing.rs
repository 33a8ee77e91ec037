//! Archives made byte by byte, as no tool would make them, and trees as text.

use std::fmt::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// An archive in the making. Owners are the test's own user, so that it works as any.
#[derive(Default)]
pub(crate) struct Tar(Vec<u8>);

/// A header's fields.
pub(crate) struct Fields<'a> {
    pub(crate) kind: u8,
    pub(crate) name: &'a str,
    pub(crate) link: &'a str,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) device: (u32, u32),
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self {
            kind: b'0',
            name: "",
            link: "",
            mode: 0o644,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            size: 0,
            device: (0, 0),
        }
    }
}

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn header(mut self, fields: &Fields<'_>) -> Self {
        let mut block = [0u8; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, fields.name.as_bytes());
        put(100, format!("{:07o}", fields.mode).as_bytes());
        put(108, format!("{:07o}", fields.uid).as_bytes());
        put(116, format!("{:07o}", fields.gid).as_bytes());
        put(124, format!("{:011o}", fields.size).as_bytes());
        put(136, format!("{:011o}", 1_000_000_000).as_bytes());
        put(148, b"        ");
        put(156, &[fields.kind]);
        put(157, fields.link.as_bytes());
        put(257, b"ustar\x0000");
        put(329, format!("{:07o}", fields.device.0).as_bytes());
        put(337, format!("{:07o}", fields.device.1).as_bytes());
        sum(&mut block);
        self.0.extend_from_slice(&block);
        self
    }

    pub(crate) fn content(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.blob(name, content.as_bytes())
    }

    pub(crate) fn blob(self, name: &str, content: &[u8]) -> Self {
        let size = content.len() as u64;
        self.header(&Fields {
            name,
            size,
            ..Fields::default()
        })
        .content(content)
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.header(&Fields {
            kind: b'5',
            name,
            mode: 0o755,
            ..Fields::default()
        })
    }

    pub(crate) fn symlink(self, name: &str, link: &str) -> Self {
        self.header(&Fields {
            kind: b'2',
            name,
            link,
            mode: 0o777,
            ..Fields::default()
        })
    }

    pub(crate) fn hard_link(self, name: &str, link: &str) -> Self {
        self.header(&Fields {
            kind: b'1',
            name,
            link,
            ..Fields::default()
        })
    }

    /// An extended header for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (key, value) in records {
            let body = key.len() + value.len() + 3;
            let length = (1..6)
                .map(|digits| body + digits)
                .find(|n| n.to_string().len() + body == *n);
            let _ = writeln!(text, "{} {key}={value}", length.unwrap());
        }
        let size = text.len() as u64;
        self.header(&Fields {
            kind: b'x',
            name: "PaxHeaders/x",
            size,
            ..Fields::default()
        })
        .content(text.as_bytes())
    }

    /// GNU's long name for the next entry.
    pub(crate) fn long_name(self, name: &str) -> Self {
        self.long(b'L', name)
    }

    /// GNU's long link for the next entry.
    pub(crate) fn long_link(self, name: &str) -> Self {
        self.long(b'K', name)
    }

    fn long(self, kind: u8, name: &str) -> Self {
        let size = name.len() as u64 + 1;
        self.header(&Fields {
            kind,
            name: "././@LongLink",
            size,
            ..Fields::default()
        })
        .content(&[name.as_bytes(), b"\0"].concat())
    }

    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    /// Without the end mark.
    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.0
    }
}

/// Sets a header's checksum.
fn sum(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Changes a byte of an archive; of a header so that its checksum holds.
pub(crate) fn change(bytes: &mut [u8], at: usize, to: u8) {
    let Some(byte) = bytes.get_mut(at) else {
        return;
    };
    *byte = to;
    let start = at / 512 * 512;
    if &bytes[start + 257..start + 262] == b"ustar" {
        sum(&mut bytes[start..start + 512]);
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `path type mode detail`, a line each, sorted; extended attributes of overlayfs and ours beside them.
pub(crate) fn tree(root: &Path) -> String {
    let mut lines = Vec::new();
    list(root, root, &mut lines);
    lines.sort();
    lines.join("\n")
}

fn list(root: &Path, directory: &Path, lines: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let kind = metadata.file_type();
        let mode = metadata.mode() & 0o7777;
        let name = path.strip_prefix(root).unwrap().display();
        let mut line = if kind.is_dir() {
            format!("{name}/ {mode:o}")
        } else if kind.is_symlink() {
            format!("{name} -> {}", std::fs::read_link(&path).unwrap().display())
        } else if kind.is_char_device() && metadata.rdev() == 0 {
            format!("{name} whiteout")
        } else if kind.is_fifo() {
            format!("{name} fifo {mode:o}")
        } else if kind.is_file() {
            let content = std::fs::read(&path).unwrap();
            format!("{name} {mode:o} \"{}\"", content.escape_ascii())
        } else {
            format!("{name} other")
        };
        if kind.is_file() && metadata.nlink() > 1 {
            let _ = write!(line, " links={}", metadata.nlink());
        }
        if kind.is_file() || kind.is_dir() {
            for attribute in [
                "user.overlay.opaque",
                "user.overlay.whiteout",
                "user.test",
                super::OVERRIDE_STAT,
            ] {
                let mut value = [0; 256];
                if let Ok(length) = rustix::fs::getxattr(&path, attribute, &mut value) {
                    let _ = write!(line, " {attribute}={}", value[..length].escape_ascii());
                }
            }
        }
        lines.push(line);
        if kind.is_dir() {
            list(root, &path, lines);
        }
    }
}
