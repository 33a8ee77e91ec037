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
