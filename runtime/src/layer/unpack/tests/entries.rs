//! Entries of every kind, in every order.

use super::*;

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
