//! Archives that want to write somewhere else. Cases marked with a name come from the tables of moby's go-archive
//! (`archive_test.go`, Apache License 2.0), transcribed.

use proptest::prelude::*;

use super::*;

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

    /// Whatever an archive has: if it was recorded, it comes back to the last bit, and the tree is what it says.
    #[test]
    fn what_is_recorded_comes_back(entries in prop::collection::vec((prop::sample::select(b"0123456".to_vec()), name(), name(), "[ab]{0,3}"), 1..12), rest in 0usize..3000) {
        let mut tar = Tar::new();
        for (kind, name, link, content) in &entries {
            let content = if *kind == b'0' { content.as_bytes() } else { b"" };
            tar = tar
                .header(&Fields { kind: *kind, name, link, mode: 0o750, size: content.len() as u64, ..Fields::default() })
                .content(content);
        }
        let mut bytes = tar.bytes();
        bytes.resize(bytes.len() + rest, 7);
        let place = Place::new();
        if let Ok((unpacked, Some(recording))) = place.record(&bytes) {
            let checked = place.check(&recording);
            prop_assert_eq!(checked.diff_id, Some(unpacked.diff_id));
            prop_assert_eq!(&checked.differences, &[]);
            let (packed, again) = place.pack(Some(recording)).unwrap();
            prop_assert_eq!(packed.diff_id, unpacked.diff_id);
            prop_assert_eq!(again, bytes);
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
