use std::io::Write as _;
use std::time::Duration;

use pipelines::plan::CachePath;

use super::*;
use crate::caches::{Kept, Local, Made, Wanted};

fn wanted(key: &str, fallback: &[&str]) -> Wanted {
    let fallback = fallback.iter().map(|key| (*key).to_owned()).collect();
    Wanted::new(
        key.into(),
        fallback,
        vec![CachePath::parse("target").unwrap()],
    )
}

fn keep(local: &Local, store: &Store, key: &str, content: &[u8]) -> Result<Kept, CacheError> {
    keep_instead(local, store, key, content, None)
}

fn keep_instead(
    local: &Local,
    store: &Store,
    key: &str,
    content: &[u8],
    unusable: Option<&[u8]>,
) -> Result<Kept, CacheError> {
    let mut draft = store.draft().unwrap();
    draft.file.write_all(content).unwrap();
    let made = Made {
        size: content.len() as u64,
        sha256: hex(&Sha256::digest(content)),
        files: 1,
        instead_of: unusable.map(|content| hex(&Sha256::digest(content))),
    };
    local.keep(&wanted(key, &[]), draft, &made)
}

fn found(local: &Local, key: &str, fallback: &[&str]) -> Option<(String, bool, Vec<u8>)> {
    let mut hit = local.find(&wanted(key, fallback)).unwrap()?;
    let mut content = Vec::new();
    hit.archive.read_to_end(&mut content).unwrap();
    Some((hit.key, hit.is_exact, content))
}

fn names(data: &Path, of: &str) -> usize {
    fs::read_dir(data.join("caches").join(of)).unwrap().count()
}

#[test]
fn the_first_under_a_key_stays() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path(), 1 << 20).unwrap();
    let local = Local::new(store.clone(), "/tree".into());
    assert_eq!(keep(&local, &store, "k-1", b"one").unwrap(), Kept::First);
    assert_eq!(keep(&local, &store, "k-1", b"two").unwrap(), Kept::Taken);
    let one = ("k-1".to_owned(), true, b"one".to_vec());
    assert_eq!(found(&local, "k-1", &[]), Some(one));
    let begun = ("k-1".to_owned(), false, b"one".to_vec());
    assert_eq!(found(&local, "k-2", &["k-"]), Some(begun));
    assert_eq!(found(&local, "k-2", &[]), None);
    let other = Local::new(store.clone(), "/other".into());
    assert_eq!(found(&other, "k-1", &["k"]), None);
    assert_eq!(
        (names(data.path(), "blobs"), names(data.path(), "tmp")),
        (1, 0)
    );
    assert_eq!(store.usage(), Usage { count: 1, bytes: 3 });
    store.clear().unwrap();
    assert_eq!(
        (found(&local, "k-1", &[]), store.usage()),
        (None, Usage::default())
    );
}

#[test]
fn what_was_of_no_use_gives_place_and_nothing_else_does() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path(), 1 << 20).unwrap();
    let local = Local::new(store.clone(), "/tree".into());
    let instead = |content: &[u8], unusable: &[u8]| {
        keep_instead(&local, &store, "k", content, Some(unusable)).unwrap()
    };
    keep(&local, &store, "k", b"bad").unwrap();
    assert_eq!(instead(b"good", b"other"), Kept::Taken);
    assert_eq!(instead(b"good", b"bad"), Kept::First);
    assert_eq!(instead(b"late", b"bad"), Kept::Taken);
    let good = ("k".to_owned(), true, b"good".to_vec());
    assert_eq!(found(&local, "k", &[]), Some(good));
}

#[test]
fn what_was_not_used_for_longest_makes_room() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path(), 10).unwrap();
    let local = Local::new(store.clone(), "/tree".into());
    for (age, key, content) in [(30, "a", b"aaaa"), (20, "b", b"bbbb")] {
        keep(&local, &store, key, content).unwrap();
        let blob = File::open(store.blob(&hex(&Sha256::digest(content)))).unwrap();
        let used = SystemTime::now() - Duration::from_secs(age);
        blob.set_times(fs::FileTimes::new().set_modified(used))
            .unwrap();
    }
    assert!(found(&local, "a", &[]).is_some(), "which is a use");
    keep(&local, &store, "c", b"cccc").unwrap();
    let left = ["a", "b", "c"].map(|key| found(&local, key, &[]).is_some());
    assert_eq!(left, [true, false, true]);
    // What stood for it can be had anew.
    assert_eq!(keep(&local, &store, "b", b"b").unwrap(), Kept::First);
    let error = keep(&local, &store, "d", b"more than ten bytes").unwrap_err();
    insta::assert_snapshot!(error, @"it has 19 bytes, and all caches of this machine may have 10 (`limits.caches` of its configuration)");
    assert_eq!(names(data.path(), "tmp"), 0);
}

#[test]
fn what_is_damaged_is_none_and_can_be_saved_again() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path(), 100).unwrap();
    let local = Local::new(store.clone(), "/tree".into());
    keep(&local, &store, "k", b"content").unwrap();
    fs::write(store.blob(&hex(&Sha256::digest(b"content"))), b"c0ntent").unwrap();
    assert_eq!(found(&local, "k", &[]), None);
    assert_eq!(keep(&local, &store, "k", b"content").unwrap(), Kept::First);
    assert!(found(&local, "k", &[]).is_some());
    for entry in fs::read_dir(data.path().join("caches/index")).unwrap() {
        for entry in fs::read_dir(entry.unwrap().path()).unwrap() {
            fs::write(entry.unwrap().path(), "{").unwrap();
        }
    }
    assert_eq!(found(&local, "k", &[]), None);
    assert_eq!(keep(&local, &store, "k", b"content").unwrap(), Kept::First);
}

#[test]
fn remains_of_the_dead_go_and_drafts_of_the_living_stay() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path(), 100).unwrap();
    let local = Local::new(store.clone(), "/tree".into());
    fs::write(data.path().join("caches/tmp/draft-dead"), "half").unwrap();
    let living = store.draft().unwrap();
    keep(&local, &store, "k", b"content").unwrap();
    assert_eq!(names(data.path(), "tmp"), 1);
    drop(living);
    assert_eq!(names(data.path(), "tmp"), 0);
}
