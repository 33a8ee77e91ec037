//! Names, times, attributes and owners.

use std::os::unix::fs::MetadataExt as _;

use super::*;

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
