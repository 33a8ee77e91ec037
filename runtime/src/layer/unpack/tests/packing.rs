//! A layer as an archive once more, and what has happened to it since.

use super::*;

/// Everything that a tree may have, of owners that this test may not give.
fn everything() -> Tar {
    Tar::new()
        .directory("d")
        .header(&Fields {
            kind: b'5',
            name: "closed",
            mode: 0o500,
            ..Fields::default()
        })
        .pax(&[
            ("SCHILY.xattr.user.test", "value"),
            ("mtime", "1000000000.5"),
        ])
        .file("d/file", "content")
        .hard_link("d/hard", "d/file")
        .symlink("link", "d")
        .file("link/through", "by the link")
        .file("d/.wh.gone", "")
        .file("closed/.wh..wh..opq", "")
        .directory("opaque")
        .file("opaque/.wh..wh..opq", "")
        .file("implied/.wh..wh..opq", "")
        .file("empty", "")
        .header(&Fields {
            kind: b'6',
            name: "fifo",
            mode: 0o600,
            ..Fields::default()
        })
}

#[test]
fn an_archive_comes_back_to_the_last_bit() {
    let place = Place::new();
    // Something behind the end, as some tools leave it, and a content that is passed over.
    let mut bytes = everything()
        .header(&Fields {
            name: "d/.wh.sized",
            size: 3,
            ..Fields::default()
        })
        .content(b"abc")
        .bytes();
    bytes.extend([7; 700]);
    let (unpacked, recording) = place.record(&bytes).unwrap();
    let recording = recording.unwrap();
    let checked = place.check(&recording);
    assert_eq!(checked.diff_id, Some(unpacked.diff_id));
    assert_eq!(checked.differences, []);
    let (packed, again) = place.pack(Some(recording)).unwrap();
    assert_eq!(packed.diff_id, unpacked.diff_id);
    assert_eq!(again, bytes);
}

#[test]
fn a_tree_without_a_recording_is_packed_as_it_is() {
    let first = Place::new();
    first.unpack(&everything().bytes()).unwrap();
    let (packed, bytes) = first.pack(None).unwrap();
    let second = Place::new();
    let unpacked = second.unpack(&bytes).unwrap();
    assert_eq!(unpacked.diff_id, packed.diff_id);
    assert_eq!(tree(&second.target()), tree(&first.target()));
    // The same tree gives the same archive, whatever order its directories are in.
    assert_eq!(second.pack(None).unwrap().1, bytes);
}

#[test]
fn owners_that_were_kept_in_an_attribute_come_back() {
    if rustix::process::geteuid().is_root() {
        // Root can give files away: there is nothing to keep.
        return;
    }
    let place = Place::new();
    let owned = |kind, name| Fields {
        kind,
        name,
        uid: 1000,
        gid: 50,
        mode: 0o640,
        ..Fields::default()
    };
    let tar = Tar::new().header(&owned(b'0', "file")).header(&Fields {
        device: (1, 3),
        ..owned(b'3', "device")
    });
    let (_, recording) = place.record(&tar.bytes()).unwrap();
    assert_eq!(place.check(&recording.unwrap()).differences, []);
    let (_, bytes) = place.pack(None).unwrap();
    let again = Place::new();
    again.unpack(&bytes).unwrap();
    let listed = tree(&again.target());
    assert!(listed.contains("1000:50:0640:file"), "{listed}");
    assert!(listed.contains("1000:50:0640:char-1-3"), "{listed}");
}

#[test]
fn a_layer_that_replaces_its_own_files_has_no_recording() {
    for tar in [
        Tar::new().file("a", "first").file("a", "second"),
        Tar::new().file("d/a", "first").symlink("d", "elsewhere"),
    ] {
        let place = Place::new();
        let (unpacked, recording) = place.record(&tar.bytes()).unwrap();
        assert!(!unpacked.is_recorded && recording.is_none());
        let (_, bytes) = place.pack(None).unwrap();
        let again = Place::new();
        again.unpack(&bytes).unwrap();
        assert_eq!(tree(&again.target()), tree(&place.target()));
    }
    // A whiteout has no content that could be lost.
    let place = Place::new();
    let tar = Tar::new().file(".wh.a", "").file("a", "new");
    assert!(place.record(&tar.bytes()).unwrap().1.is_some());
}

#[test]
fn whatever_changes_in_a_layer_is_found() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    type Harm = fn(&std::path::Path);
    let harms: [(&str, Harm); 12] = [
        ("`d/file` of the layer has another size", |root| {
            std::fs::write(root.join("d/file"), "more content").unwrap();
        }),
        ("`d/file` of the layer has another mode", |root| {
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(root.join("d/file"), mode).unwrap();
        }),
        ("`empty` of the layer is missing", |root| {
            std::fs::remove_file(root.join("empty")).unwrap();
        }),
        ("`strange` of the layer is not of the layer", |root| {
            std::fs::write(root.join("strange"), "").unwrap();
        }),
        ("`strange` of the layer is not of the layer", |root| {
            std::fs::hard_link(root.join("d/file"), root.join("strange")).unwrap();
        }),
        ("`strange` of the layer is not of the layer", |root| {
            std::fs::create_dir(root.join("strange")).unwrap();
        }),
        (
            "`d/.wh..wh..opq` of the layer is not of the layer",
            |root| {
                let directory = File::open(root.join("d")).unwrap();
                crate::layer::opaque::make_opaque(directory.as_fd()).unwrap();
            },
        ),
        ("`opaque/.wh..wh..opq` of the layer is missing", |root| {
            let attribute = "user.overlay.opaque";
            rustix::fs::removexattr(root.join("opaque"), attribute).unwrap();
        }),
        ("`link` of the layer links to something else", |root| {
            std::fs::remove_file(root.join("link")).unwrap();
            symlink("./d", root.join("link")).unwrap();
        }),
        ("`d/hard` of the layer links to something else", |root| {
            std::fs::remove_file(root.join("d/hard")).unwrap();
            std::fs::write(root.join("d/hard"), "content").unwrap();
        }),
        ("`fifo` of the layer is of another kind", |root| {
            std::fs::remove_file(root.join("fifo")).unwrap();
            symlink("x", root.join("fifo")).unwrap();
        }),
        ("`d/.wh.gone` of the layer is missing", |root| {
            std::fs::remove_file(root.join("d/gone")).unwrap();
        }),
    ];
    for (told, harm) in harms {
        let place = Place::new();
        let (_, recording) = place.record(&everything().bytes()).unwrap();
        harm(&place.target());
        let checked = place.check(&recording.unwrap());
        let differences: Vec<String> = checked
            .differences
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(
            differences.contains(&told.to_owned()),
            "{told}: {differences:?}"
        );
    }
    // The same length and time: only the diff ID tells.
    let place = Place::new();
    let (unpacked, recording) = place.record(&everything().bytes()).unwrap();
    let path = place.target().join("d/file");
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::write(&path, "CONTENT").unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let checked = place.check(&recording.unwrap());
    assert_eq!(checked.differences, []);
    assert!(checked.diff_id.is_some_and(|id| id != unpacked.diff_id));
}

/// Devices 0/0 are whiteouts, a directory may be listed as often as a tool likes, and a link to itself makes nothing.
#[test]
fn what_an_archive_says_last_counts() {
    let directory = |mode| Fields {
        kind: b'5',
        name: "d",
        mode,
        ..Fields::default()
    };
    let tar = Tar::new()
        .header(&directory(0o700))
        .file("d/file", "content")
        .header(&directory(0o750))
        .header(&Fields {
            kind: b'3',
            name: "gone",
            ..Fields::default()
        })
        .file("gone/again", "new")
        .header(&Fields {
            kind: b'3',
            name: "listed",
            ..Fields::default()
        })
        .directory("listed")
        .hard_link("nothing", "nothing");
    let place = Place::new();
    let (unpacked, recording) = place.record(&tar.bytes()).unwrap();
    let checked = place.check(&recording.unwrap());
    assert_eq!(checked.differences, []);
    assert_eq!(checked.diff_id, Some(unpacked.diff_id));
    assert!(tree(&place.target()).contains("d/ 750"));
}
