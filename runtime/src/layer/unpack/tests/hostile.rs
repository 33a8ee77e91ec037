//! Archives that are not what they seem. What wants to write somewhere else is in `tables` and `arbitrary`.

use proptest::prelude::*;

use super::*;

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
    #![proptest_config(arbitrary::config(300))]

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
