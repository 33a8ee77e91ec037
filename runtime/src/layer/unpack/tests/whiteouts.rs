//! What a layer takes away from those below.

use super::*;

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

/// overlayfs would list their names.
#[test]
fn there_are_no_whiteouts_where_everything_is_hidden() {
    let tar = Tar::new()
        .file("a/.wh.before", "")
        .file("a/.wh..wh..opq", "")
        .file("a/.wh.behind", "")
        .file("a/deep/er/.wh.below", "")
        .file("a/deep/er/file", "")
        .header(&Fields {
            kind: b'3',
            name: "a/device",
            ..Fields::default()
        })
        .file("b/.wh.x", "")
        .file(".wh.b", "")
        .file(".wh.c", "")
        .file("c/.wh.y", "")
        .directory("c")
        .file("merged/.wh.z", "");
    let place = Place::new();
    let (_, recording) = place.record(&tar.bytes()).unwrap();
    insta::assert_snapshot!(tree(&place.target()), @r#"
    a/ 755 user.overlay.opaque=y
    a/deep/ 755
    a/deep/er/ 755
    a/deep/er/file 644 ""
    b/ 755 user.overlay.opaque=y
    c/ 755 user.overlay.opaque=y
    merged/ 755
    merged/z whiteout
    "#);
    assert_eq!(place.check(&recording.unwrap()).differences, []);
}
