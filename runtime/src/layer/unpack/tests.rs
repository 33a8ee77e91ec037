//! Layers as tools make them, and as nobody should. Cases marked with a name come from the tables of moby's go-archive
//! (`archive_test.go`, Apache License 2.0), transcribed.

use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use proptest::prelude::*;

use super::*;
use crate::layer::testing::{Fields, Tar, gzip, tree};
use crate::layer::{Exceeded, Fault};

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

#[test]
fn every_kind_of_entry_is_made() {
    let tar = Tar::new()
        .directory("etc/")
        .file("etc/passwd", "root:x:0:0")
        .header(&Fields {
            kind: b'0',
            name: "bin/su",
            mode: 0o4755,
            ..Fields::default()
        })
        .header(&Fields {
            kind: b'5',
            name: "tmp",
            mode: 0o1777,
            ..Fields::default()
        })
        .symlink("etc/mtab", "/proc/mounts")
        .hard_link("etc/passwd-", "./etc/passwd")
        .header(&Fields {
            kind: b'6',
            name: "run/initctl",
            mode: 0o600,
            ..Fields::default()
        });
    insta::assert_snapshot!(unpacked(tar), @r#"
    bin/ 755
    bin/su 4755 ""
    etc/ 755
    etc/mtab -> /proc/mounts
    etc/passwd 644 "root:x:0:0" links=2
    etc/passwd- 644 "root:x:0:0" links=2
    run/ 755
    run/initctl fifo 600
    tmp/ 1777
    "#);
}

#[test]
fn whiteouts_become_what_overlayfs_looks_for() {
    let tar = Tar::new()
        .file("etc/.wh.motd", "")
        .file("usr/share/doc/.wh..wh..opq", "")
        .file(".wh..wh.plnk", "")
        .file("opt/.wh.mixed", "");
    insta::assert_snapshot!(unpacked(tar), @r"
    etc/ 755
    etc/motd whiteout
    opt/ 755
    opt/mixed whiteout
    usr/ 755
    usr/share/ 755
    usr/share/doc/ 755 user.overlay.opaque=y
    ");
}

#[test]
fn an_entry_of_the_same_layer_wins_over_a_whiteout_in_either_order() {
    let before = Tar::new()
        .file(".wh.a", "")
        .file("a", "new")
        .file(".wh.d", "")
        .file("d/x", "")
        .file(".wh.e", "")
        .directory("e");
    insta::assert_snapshot!(unpacked(before), @r#"
    a 644 "new"
    d/ 755 user.overlay.opaque=y
    d/x 644 ""
    e/ 755 user.overlay.opaque=y
    "#);
    let after = Tar::new()
        .file("a", "new")
        .file(".wh.a", "")
        .file("d/x", "")
        .file(".wh.d", "");
    insta::assert_snapshot!(unpacked(after), @r#"
    a 644 "new"
    d/ 755 user.overlay.opaque=y
    d/x 644 ""
    "#);
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    let tar = Tar::new()
        .file("a", "old")
        .file("a", "new")
        .file("b/c/d", "gone")
        .file("b", "file for directory")
        .symlink("e", "a")
        .file("e", "file for link")
        .file("f", "gone")
        .directory("f")
        .directory("g")
        .file("g/kept", "")
        .directory("g");
    insta::assert_snapshot!(unpacked(tar), @r#"
    a 644 "new"
    b 644 "file for directory"
    e 644 "file for link"
    f/ 755
    g/ 755
    g/kept 644 ""
    "#);
}

#[test]
fn links_in_parents_stay_inside() {
    let tar = Tar::new()
        .directory("usr/lib")
        .symlink("lib", "/usr/lib")
        .symlink("lib64", "../../../../usr/lib")
        .file("lib/a.so", "a")
        .file("lib64/b.so", "b");
    insta::assert_snapshot!(unpacked(tar), @r#"
    lib -> /usr/lib
    lib64 -> ../../../../usr/lib
    usr/ 755
    usr/lib/ 755
    usr/lib/a.so 644 "a"
    usr/lib/b.so 644 "b"
    "#);
}

#[test]
fn a_read_only_directory_is_filled_before_it_is_closed() {
    let tar = Tar::new()
        .header(&Fields {
            kind: b'5',
            name: "locked",
            mode: 0o555,
            ..Fields::default()
        })
        .file("locked/file", "");
    insta::assert_snapshot!(unpacked(tar), @r#"
    locked/ 555
    locked/file 644 ""
    "#);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    // TestUntarInvalidFilenames
    insta::assert_snapshot!(unpacked(Tar::new().file("../victim/dotdot", "")), @"the layer's entry `../victim/dotdot` is refused: `..` in a path");
    insta::assert_snapshot!(unpacked(Tar::new().file("/../victim/slash-dotdot", "")), @"the layer's entry `/../victim/slash-dotdot` is refused: `..` in a path");
    insta::assert_snapshot!(unpacked(Tar::new().pax(&[("path", "a\0b")]).file("x", "")), @r#"the layer's entry `a\x00b` is refused: a NUL byte in a path"#);
    insta::assert_snapshot!(unpacked(Tar::new().file(".", "")), @"the layer's entry `/` is refused: only a directory can be the root");
    insta::assert_snapshot!(unpacked(Tar::new().file("a/.wh...", "")), @"the layer's entry `a/.wh...` is refused: a whiteout of nothing");
}

#[test]
fn hard_links_reach_nothing_outside_and_no_links() {
    // TestUntarInvalidHardlink
    insta::assert_snapshot!(unpacked(Tar::new().hard_link("dotdot", "../victim/hello")), @"the layer's entry `../victim/hello` is refused: `..` in a path");
    insta::assert_snapshot!(unpacked(Tar::new().hard_link("slash-dotdot", "/../victim/hello")), @"the layer's entry `/../victim/hello` is refused: `..` in a path");
    insta::assert_snapshot!(unpacked(Tar::new().symlink("loophole", "../victim").hard_link("x", "loophole/hello")), @"the layer's entry `x` is refused: a hard link to a file that is not in the layer");
    // TestUntarHardlinkToSymlink
    insta::assert_snapshot!(unpacked(Tar::new().symlink("symlink1", "regfile").hard_link("symlink2", "symlink1").file("regfile", "")), @"the layer's entry `symlink2` is refused: a hard link to something that is not a regular file");
    insta::assert_snapshot!(unpacked(Tar::new().directory("d").hard_link("x", "d")), @"the layer's entry `x` is refused: a hard link to something that is not a regular file");
    // TestUntarAbsoluteHardlink
    insta::assert_snapshot!(unpacked(Tar::new().file("usr/bin/perlbug", "hello").hard_link("usr/bin/perlthanks", "/usr/bin/perlbug")), @r#"
    usr/ 755
    usr/bin/ 755
    usr/bin/perlbug 644 "hello" links=2
    usr/bin/perlthanks 644 "hello" links=2
    "#);
}

#[test]
fn symbolic_links_lead_nothing_outside() {
    // TestUntarInvalidSymlink: the links are kept as they are, what is written through them stays inside.
    insta::assert_snapshot!(unpacked(Tar::new().symlink("dotdot", "../victim/hello").file("dotdot", "new")), @r#"dotdot 644 "new""#);
    insta::assert_snapshot!(unpacked(Tar::new().symlink("loophole", "../victim").file("loophole/file", "")), @"failed to open the parent of `loophole/file` of the layer: No such file or directory (os error 2)");
    insta::assert_snapshot!(unpacked(Tar::new().directory("victim").symlink("loophole", "../victim").file("loophole/file", "")), @r#"
    loophole -> ../victim
    victim/ 755
    victim/file 644 ""
    "#);
    insta::assert_snapshot!(unpacked(Tar::new().symlink("loophole", "../victim").file("loophole", "")), @r#"loophole 644 """#);
    insta::assert_snapshot!(unpacked(Tar::new().symlink("dir/loophole", "../../victim").file("dir/loophole/newdir/newfile", "")), @"failed to open the parent of `dir/loophole/newdir/newfile` of the layer: No such file or directory (os error 2)");
    insta::assert_snapshot!(unpacked(Tar::new().symlink("magic", "/proc/self/root").file("magic/x", "")), @"failed to open the parent of `magic/x` of the layer: No such file or directory (os error 2)");
}

#[test]
fn two_readers_cannot_be_made_to_disagree() {
    // CVE-2025-62518: a size in the extended header only.
    insta::assert_snapshot!(unpacked(Tar::new().pax(&[("size", "512")]).file("a", "")), @"the layer's archive is malformed at entry 1: the header and the extended header disagree about the size");
    insta::assert_snapshot!(unpacked(Tar::new().header(&Fields { kind: b'2', name: "a", link: "b", size: 512, ..Fields::default() })), @"the layer's archive is malformed at entry 1: an entry that has no content claims a size");
    insta::assert_snapshot!(unpacked(Tar::new().pax(&[("GNU.sparse.major", "1")]).file("a", "")), @"the layer's archive is malformed at entry 1: sparse files are not supported");
    insta::assert_snapshot!(unpacked(Tar::new().header(&Fields { kind: b'S', name: "a", ..Fields::default() })), @"the layer's archive is malformed at entry 1: sparse files are not supported");
    insta::assert_snapshot!(unpacked(Tar::new().header(&Fields { kind: b'Z', name: "a", ..Fields::default() })), @"the layer's archive is malformed at entry 1: unsupported entry type 0x5a");
    insta::assert_snapshot!(unpacked(Tar::new().pax(&[("path", "b")])), @"the layer's archive is malformed at entry 1: an extended header is not followed by an entry");
    insta::assert_snapshot!(unpacked(Tar::new().content(&[b'x'; 512])), @"the layer's archive is malformed at entry 1: the header's checksum is wrong; it may be no tar archive");
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let long = format!("{}/file", "d".repeat(150));
    let gnu = Tar::new()
        .header(&Fields {
            kind: b'L',
            name: "././@LongLink",
            size: long.len() as u64 + 1,
            ..Fields::default()
        })
        .content(format!("{long}\0").as_bytes())
        .file("short", "gnu");
    let pax = Tar::new().pax(&[("path", &long)]).file("short", "pax");
    for (tar, content) in [(gnu, "gnu"), (pax, "pax")] {
        let place = Place::new();
        place.unpack(&tar.bytes()).unwrap();
        assert_eq!(
            std::fs::read_to_string(place.target().join(&long)).unwrap(),
            content
        );
    }
}

#[test]
fn times_and_attributes_are_kept_and_overlays_own_are_not() {
    let place = Place::new();
    let tar = Tar::new()
        .pax(&[
            ("mtime", "631152000.123456789"),
            ("SCHILY.xattr.user.test", "kept"),
            ("SCHILY.xattr.user.overlay.opaque", "y"),
            ("SCHILY.xattr.user.overlay.whiteout", "y"),
            (
                "SCHILY.xattr.user.containers.override_stat",
                "0:0:0777:file",
            ),
        ])
        .directory("d")
        .pax(&[("mtime", "-1.5")])
        .symlink("d/l", "x");
    place.unpack(&tar.bytes()).unwrap();
    insta::assert_snapshot!(tree(&place.target()), @r"
    d/ 755 user.test=kept
    d/l -> x
    ");
    let time = |name: &str| {
        let metadata = std::fs::symlink_metadata(place.target().join(name)).unwrap();
        (metadata.mtime(), metadata.mtime_nsec())
    };
    assert_eq!(time("d"), (631_152_000, 123_456_789));
    assert_eq!(time("d/l"), (-2, 500_000_000));
}

#[test]
fn owners_are_set_or_remembered() {
    let place = Place::new();
    let tar = Tar::new()
        .header(&Fields {
            name: "mail",
            mode: 0o2640,
            uid: 123,
            gid: 456,
            ..Fields::default()
        })
        .header(&Fields {
            kind: b'3',
            name: "null",
            mode: 0o666,
            device: (1, 3),
            ..Fields::default()
        });
    place.unpack(&tar.bytes()).unwrap();
    let metadata = std::fs::metadata(place.target().join("mail")).unwrap();
    if rustix::process::geteuid().is_root() {
        assert_eq!(
            (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777),
            (123, 456, 0o2640)
        );
    } else {
        let shown = tree(&place.target());
        assert!(
            shown.contains("user.containers.override_stat=123:456:2640:file"),
            "{shown}"
        );
        assert!(shown.contains(":0666:char-1-3"), "{shown}");
    }
}

#[test]
fn bombs_are_stopped_by_each_limit() {
    let place = Place::new();
    let bomb = gzip(&Tar::new().file("big", &"0".repeat(2 << 20)).bytes());
    assert!(bomb.len() < 32 * 1024);
    let limit = |exceeded, limit| Err(UnpackError::Limit { exceeded, limit });
    assert_eq!(place.unpack(&bomb), limit(Exceeded::Bytes, 1 << 20));
    let many = (0..1001).fold(Tar::new(), |tar, n| tar.directory(&format!("{n}")));
    assert_eq!(place.unpack(&many.bytes()), limit(Exceeded::Entries, 1000));
    let long = Tar::new().header(&Fields {
        kind: b'L',
        name: "x",
        size: 1 << 40,
        ..Fields::default()
    });
    assert_eq!(
        place.unpack(&long.bytes()),
        limit(Exceeded::Metadata, 1 << 16)
    );
}

#[test]
fn an_archive_that_ends_early_is_an_error_and_one_without_an_end_mark_is_not() {
    let place = Place::new();
    let bytes = Tar::new().file("a", "content").unfinished();
    assert_eq!(place.unpack(&bytes).map(|unpacked| unpacked.entries), Ok(1));
    // As `umoci insert` writes it: not even the last file's padding.
    let unpadded = 512 + "content".len();
    assert_eq!(
        place
            .unpack(&bytes[..unpadded])
            .map(|unpacked| unpacked.entries),
        Ok(1)
    );
    for length in [1, 511, 513, unpadded - 1] {
        let truncated = UnpackError::Malformed {
            entry: 1,
            fault: Fault::Truncated,
        };
        assert_eq!(place.unpack(&bytes[..length]), Err(truncated), "{length}");
    }
    let compressed = gzip(&bytes);
    let error = place
        .unpack(&compressed[..compressed.len() - 4])
        .unwrap_err();
    assert!(
        matches!(
            error,
            UnpackError::Decompress {
                compression: Compression::Gzip,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn the_diff_id_covers_everything_in_every_compression() {
    let mut bytes = Tar::new().file("a", "content").bytes();
    bytes.extend_from_slice(&[0; 10_240]);
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    std::io::Write::write_all(&mut xz, &bytes).unwrap();
    let (first, second) = bytes.split_at(700);
    let forms = [
        bytes.clone(),
        gzip(&bytes),
        [gzip(first), gzip(second)].concat(),
        zstd::encode_all(&bytes[..], 1).unwrap(),
        [
            zstd::encode_all(first, 1).unwrap(),
            zstd::encode_all(second, 1).unwrap(),
        ]
        .concat(),
        xz.finish().unwrap(),
    ];
    for form in forms {
        let unpacked = Place::new().unpack(&form).unwrap();
        let expected = Unpacked {
            diff_id: Digest::of(&bytes),
            size: bytes.len() as u64,
            entries: 1,
        };
        assert_eq!(unpacked, expected);
    }
}

#[test]
fn a_tree_is_removed_whatever_is_in_it() {
    let place = Place::new();
    let deep = "d/".repeat(600);
    let tar = Tar::new()
        .header(&Fields {
            kind: b'5',
            name: "target/locked",
            mode: 0,
            ..Fields::default()
        })
        .symlink("target/link", "../../victim")
        .file("target/.wh.gone", "")
        .pax(&[("path", &format!("target/{deep}file"))])
        .file("x", "");
    place.unpack(&tar.bytes()).unwrap();
    let parent = std::fs::File::open(place.target()).unwrap();
    crate::layer::remove(parent.as_fd(), "target").unwrap();
    crate::layer::remove(parent.as_fd(), "target").unwrap();
    assert_eq!(tree(&place.target()), "");
    place.assert_nothing_escaped();
}

/// Names made to collide, to climb and to hide.
fn name() -> impl Strategy<Value = String> {
    let component = prop::sample::select(vec![
        "a",
        "b",
        "..",
        ".",
        "",
        ".wh.a",
        ".wh..wh..opq",
        "victim",
        "hello",
    ]);
    prop::collection::vec(component, 1..4).prop_map(|components| components.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_sequence_of_entries_escapes(entries in prop::collection::vec((prop::sample::select(b"0123456".to_vec()), name(), name(), any::<bool>()), 1..12)) {
        let place = Place::new();
        let mut tar = Tar::new();
        for (kind, name, link, climbs) in &entries {
            let link = if *climbs { format!("../{link}") } else { link.clone() };
            tar = tar.header(&Fields { kind: *kind, name, link: &link, mode: 0o700, ..Fields::default() });
            // Errors end an archive; each entry is tried on what the former ones left.
            let _ = place.unpack(&tar.bytes());
            tar = Tar::new();
        }
        place.assert_nothing_escaped();
    }

    #[test]
    fn no_bytes_panic_or_escape(mut bytes in prop::collection::vec(any::<u8>(), 0..4096), start in 0usize..600) {
        let place = Place::new();
        let valid = Tar::new().file("a", "content").symlink("l", "../victim").file("l/x", "y").bytes();
        let _ = place.unpack(&bytes);
        // A valid start reaches deeper.
        bytes.splice(0..0, valid[..start.min(valid.len())].iter().copied());
        let _ = place.unpack(&bytes);
        place.assert_nothing_escaped();
    }
}

#[test]
fn errors_survive_the_way_between_processes() {
    let place = Place::new();
    let error = place
        .unpack(&Tar::new().file("../x", "").bytes())
        .unwrap_err();
    let json = serde_json::to_string(&error).unwrap();
    insta::assert_snapshot!(json, @r#"{"kind":"refused","path":"../x","refusal":"dot_dot"}"#);
    assert_eq!(serde_json::from_str::<UnpackError>(&json).unwrap(), error);
    assert!(
        UnpackError::system(
            crate::layer::Operation::WriteFile,
            b"a",
            rustix::io::Errno::NOSPC
        )
        .is_no_space()
    );
}
