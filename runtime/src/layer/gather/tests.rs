use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::*;
use crate::layer::form::Plain;
use crate::layer::place::{Placement, place};
use crate::layer::unpack::Limits;

/// A directory with files of every kind, and a link out of it.
fn context() -> tempfile::TempDir {
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir_all(outside.path().join("context/src/deep")).unwrap();
    let context = outside.path().join("context");
    fs::write(outside.path().join("secret"), "private").unwrap();
    for (name, text) in [
        ("a.txt", "a"),
        ("b.txt", "b"),
        ("src/main.c", "main"),
        ("src/main.o", "object"),
        ("src/deep/keep.o", "kept"),
    ] {
        fs::write(context.join(name), text).unwrap();
    }
    symlink("../secret", context.join("out")).unwrap();
    symlink(outside.path().join("secret"), context.join("absolute")).unwrap();
    symlink("a.txt", context.join("inside")).unwrap();
    symlink("/a.txt", context.join("rooted")).unwrap();
    outside
}

fn selection(sources: &[&str]) -> Selection {
    Selection {
        sources: sources.iter().map(|&source| source.to_owned()).collect(),
        of_root: true,
        ..Selection::default()
    }
}

fn archive(place: &tempfile::TempDir, selection: &Selection) -> Result<Vec<u8>, TransferError> {
    let root = File::open(place.path().join("context")).unwrap();
    let mut bytes = Vec::new();
    gather(root.as_fd(), selection, &mut bytes)?;
    Ok(bytes)
}

fn file_of(bytes: &[u8]) -> File {
    use std::io::{Seek as _, Write as _};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// The names in an archive.
fn listed(place: &tempfile::TempDir, selection: &Selection) -> String {
    let bytes = match archive(place, selection) {
        Ok(bytes) => bytes,
        Err(error) => return error.to_string(),
    };
    let mut archive = Plain::open(file_of(&bytes), Limits::default()).unwrap();
    let mut names = Vec::new();
    while let Some(entry) = archive.next().unwrap() {
        names.push(String::from_utf8_lossy(entry.path.as_bytes()).into_owned());
    }
    names.join(" ")
}

#[test]
fn sources_are_files_directories_and_patterns() {
    let place = context();
    let of = |sources: &[&str]| listed(&place, &selection(sources));
    insta::assert_snapshot!(of(&["a.txt"]), @"f/a.txt");
    insta::assert_snapshot!(of(&["/a.txt", "./src/../b.txt"]), @"f/a.txt f/b.txt");
    insta::assert_snapshot!(of(&["*.txt"]), @"f/a.txt f/b.txt");
    insta::assert_snapshot!(of(&["src"]), @"d d/deep d/main.c d/main.o d/deep/keep.o");
    insta::assert_snapshot!(of(&["s*/*.c"]), @"f/main.c");
    insta::assert_snapshot!(of(&["src/main.c/x"]), @"there is no `src/main.c/x`");
    insta::assert_snapshot!(of(&["gone*"]), @"there is no `gone*`");
}

#[test]
fn links_lead_to_what_is_inside_and_nowhere_else() {
    let place = context();
    let of = |sources: &[&str]| listed(&place, &selection(sources));
    // The root is where an absolute one begins, and above which none leads.
    insta::assert_snapshot!(of(&["inside", "rooted"]), @"f/inside f/rooted");
    insta::assert_snapshot!(of(&["out"]), @"there is no `out`");
    insta::assert_snapshot!(of(&["absolute"]), @"there is no `absolute`");
    insta::assert_snapshot!(of(&["../secret"]), @"there is no `../secret`");
}

#[test]
fn what_is_ignored_is_not_there_but_what_is_taken_back() {
    let place = context();
    let with = |text: &str, sources: &[&str]| {
        let selection = Selection {
            ignored: Rules::of_file(text),
            ..selection(sources)
        };
        listed(&place, &selection)
    };
    insta::assert_snapshot!(with("**/*.o\n!src/deep/keep.o\n", &["src"]), @"d d/deep d/main.c d/deep/keep.o");
    insta::assert_snapshot!(with("src\n!src/deep/keep.o\n", &["."]), @"d d/a.txt d/absolute d/b.txt d/inside d/out d/rooted d/src d/src/deep d/src/deep/keep.o");
    insta::assert_snapshot!(with("a.txt\n", &["a.txt"]), @"there is no `a.txt`");
    insta::assert_snapshot!(with("a.txt\n", &["*.txt"]), @"f/b.txt");
    let selection = Selection {
        excluded: Rules::of_patterns(["deep", "*.o"]),
        ..selection(&["src"])
    };
    insta::assert_snapshot!(listed(&place, &selection), @"d d/main.c");
    let selection = Selection {
        parents: true,
        ..self::selection(&["src/deep/keep.o"])
    };
    insta::assert_snapshot!(listed(&place, &selection), @"d/src d/src/deep d/src/deep/keep.o");
}

#[test]
fn the_same_content_is_the_same_archive() {
    let (one, other) = (context(), context());
    let of = |place: &tempfile::TempDir| archive(place, &selection(&["src"])).unwrap();
    assert!(of(&one) == of(&other));
    fs::write(other.path().join("context/src/main.c"), "changed").unwrap();
    assert!(of(&one) != of(&other));
}

/// Puts a selection at a place.
fn put(
    place_of: &tempfile::TempDir,
    selection: &Selection,
    target: &Path,
    is_directory: bool,
) -> Result<(), TransferError> {
    let placement = Placement {
        target: target.to_owned(),
        is_directory,
        unpacks: false,
    };
    place(file_of(&archive(place_of, selection)?), &placement, None)
}

#[test]
fn a_file_takes_a_name_or_goes_into_a_directory() {
    let from = context();
    let to = tempfile::tempdir().unwrap();
    let root = to.path();
    let one = Selection {
        of_root: false,
        ..selection(&["a.txt"])
    };
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    put(&from, &one, &root.join("new/name"), false).unwrap();
    assert_eq!(read("new/name"), "a");
    put(&from, &one, &root.join("new"), false).unwrap();
    assert_eq!(read("new/a.txt"), "a");
    put(&from, &one, &root.join("made"), true).unwrap();
    assert_eq!(read("made/a.txt"), "a");
    // A link's target gets the content, and not the link's place.
    symlink("made", root.join("link")).unwrap();
    symlink("beyond/nothing", root.join("dangling")).unwrap();
    put(&from, &one, &root.join("link/x"), false).unwrap();
    put(&from, &one, &root.join("dangling"), false).unwrap();
    assert_eq!(read("made/x"), "a");
    assert_eq!(read("beyond/nothing"), "a");
    symlink("circle", root.join("circle")).unwrap();
    let error = put(&from, &one, &root.join("circle"), false).unwrap_err();
    assert!(
        error.to_string().ends_with("a link without an end"),
        "{error}"
    );
    let error = put(&from, &one, &root.join("made/x/y"), false).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("made/x` in the image is a file"),
        "{error}"
    );
}

#[test]
fn a_directory_that_is_there_keeps_what_it_is() {
    let from = context();
    let to = tempfile::tempdir().unwrap();
    let root = to.path();
    fs::create_dir_all(root.join("to/deep")).unwrap();
    fs::set_permissions(root.join("to/deep"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(root.join("to/main.c"), "old and longer").unwrap();
    let all = Selection {
        of_root: false,
        mode: Some(0o751),
        ..selection(&["src"])
    };
    put(&from, &all, &root.join("to"), false).unwrap();
    let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("to/deep"), 0o700);
    assert_eq!(mode("to/main.c"), 0o751);
    assert_eq!(fs::read_to_string(root.join("to/main.c")).unwrap(), "main");
    fs::remove_dir_all(root.join("to/deep")).unwrap();
    fs::write(root.join("to/deep"), "a file").unwrap();
    let error = put(&from, &all, &root.join("to"), false).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("to/deep` in the image is a file"),
        "{error}"
    );
}
