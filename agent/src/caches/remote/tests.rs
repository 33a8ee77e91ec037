use std::io::Write as _;

use pipelines::plan::CachePath;

use super::*;

fn of_job(data: &std::path::Path, most: u64) -> Remote {
    let spool = data.join("jobs/1-1");
    fs::create_dir_all(spool.join(ATTEMPT_LOGS)).unwrap();
    let store = Store::open(data, 1 << 20).unwrap().with_at_most(most);
    let (_, replies) = mpsc::unbounded_channel();
    Remote::new(store, spool, replies, || {})
}

fn keep(remote: &Remote, key: &str, size: usize) -> Result<Kept, CacheError> {
    let content = key.repeat(size);
    let mut draft = remote.store().draft().unwrap();
    draft.file.write_all(content.as_bytes()).unwrap();
    let made = Made {
        size: content.len() as u64,
        sha256: crate::caches::sha256(content.as_bytes()),
        files: 1,
        instead_of: None,
    };
    let paths = vec![CachePath::parse("target").unwrap()];
    remote.keep(&Wanted::new(key.into(), Vec::new(), paths), draft, &made)
}

#[test]
fn all_that_a_job_keeps_is_bounded_and_not_only_each() {
    let data = tempfile::tempdir().unwrap();
    let remote = of_job(data.path(), 100);
    assert_eq!(remote.room(), 100);
    assert_eq!(keep(&remote, "a", 60).unwrap(), Kept::First);
    assert_eq!(remote.room(), 40);
    let refused = keep(&remote, "b", 41).unwrap_err();
    assert!(
        matches!(refused, CacheError::TooLarge { size: 41, most: 40 }),
        "{refused}"
    );
    // What was refused takes no room, and what fits is kept.
    assert_eq!(keep(&remote, "c", 40).unwrap(), Kept::First);
    assert_eq!(remote.room(), 0);
    assert!(keep(&remote, "d", 1).is_err());
    let kept = remote.take_kept();
    let kept: Vec<_> = kept.iter().map(|kept| &*kept.key).collect();
    assert_eq!(kept, ["a", "c"]);
    let logs = fs::read_dir(data.path().join("jobs/1-1").join(ATTEMPT_LOGS)).unwrap();
    assert_eq!(logs.count(), 2, "only what is kept is sent");
}
