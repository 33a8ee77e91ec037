//! What is mounted where, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)): to explain a refusal, never to decide.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A mount point of this mount namespace below `directory`, which is absolute, and not in `ours`.
pub(crate) fn mount_below(directory: &Path, ours: &Path) -> Option<PathBuf> {
    let table = std::fs::read("/proc/self/mountinfo").ok()?;
    mount_points(&table).find(|point| {
        point != directory && point.starts_with(directory) && !point.starts_with(ours)
    })
}

/// The fifth field of every line.
fn mount_points(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(OsString::from_vec(unescaped(field))))
}

/// Space, tab, newline and backslash are written as a backslash and three octal digits.
pub(crate) fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, behind)) = rest.split_first() {
        let code = behind
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &behind[3..] } else { behind };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_the_fifth_field_without_its_escapes() {
        let table = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            23 22 0:21 / /proc rw - proc proc rw\n\
            24 22 0:30 /a /home/me/two\\040words\\134 rw - tmpfs tmpfs rw\n\
            25 22 0:31 / /odd\\09 rw - tmpfs tmpfs rw\n\n";
        let points: Vec<_> = mount_points(table).collect();
        let expected = ["/", "/proc", "/home/me/two words\\", "/odd\\09"];
        assert_eq!(points, expected.map(PathBuf::from));
    }

    #[test]
    fn a_mount_point_below_is_neither_the_directory_nor_beside_it_nor_ours() {
        let ours = Path::new("/no/such/directory");
        let below_root = mount_below(Path::new("/"), ours);
        assert!(below_root.is_some_and(|point| point != Path::new("/")));
        let proc = Path::new("/proc");
        assert!(mount_below(proc, proc).is_none());
        assert!(mount_below(Path::new("/pro"), ours).is_none());
    }
}
