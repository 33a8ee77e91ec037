//! Names of this machine's own, what others hold at the same time, and what cannot be read.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use futures_util::future::join;

use super::*;
use crate::store::record::Record;

/// What `docker save` writes: one image of one layer, under these names.
fn saved(place: &Place, names: &[&str]) -> PathBuf {
    let tar = Tar::new().file("app", "of the archive").bytes();
    let config = serde_json::json!({
        "architecture": "", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(&tar)] },
    });
    let list = serde_json::json!([
        { "Config": "config.json", "RepoTags": names, "Layers": ["layer.tar"] }
    ]);
    let archive = Tar::new()
        .file("config.json", &config.to_string())
        .blob("layer.tar", &tar)
        .file("manifest.json", &list.to_string());
    let path = place.path().join("saved.tar");
    std::fs::write(&path, archive.bytes()).unwrap();
    path
}

impl Place {
    async fn load(&self, names: &[&str]) -> Result<Vec<String>, PullError> {
        let path = saved(self, names);
        let loaded = self
            .store
            .load(&path, None, &self.worker(), &|_| {})
            .await?;
        Ok(loaded.into_iter().map(|named| named.name).collect())
    }

    fn documents(&self) -> Vec<PathBuf> {
        let list = std::fs::read_dir(self.path().join("meta/blobs/sha256")).unwrap();
        list.map(|entry| entry.unwrap().path()).collect()
    }

    /// A document that nothing refers to, two hours old.
    fn stray_document(&self) {
        let digest = self.store.write_blob(b"{}").unwrap();
        let then = SystemTime::now() - Duration::from_secs(7200);
        let file = File::open(self.store.blob_path(&digest)).unwrap();
        file.set_modified(then).unwrap();
    }

    async fn collect(&self) -> Result<Collected, StoreError> {
        let retention = Retention::default();
        self.store.collect(&retention, &self.worker()).await
    }
}

#[tokio::test]
async fn an_archive_gives_no_image_a_digest() {
    let place = Place::new();
    let pinned = format!("docker.io/library/debian@{}", Digest::of(b"the real one"));
    let tagged = format!("debian:12@{}", Digest::of(b"the real one"));
    let names = place.load(&[&pinned, "debian:12", &tagged]).await.unwrap();
    assert_eq!(names, ["docker://docker.io/library/debian:12"]);
    let error = place.load(&[&pinned]).await.unwrap_err().to_string();
    assert!(error.ends_with("holds an image without a name"), "{error}");
    // Nor does a record, whoever wrote it.
    let source: Source = pinned.parse().unwrap();
    let record = Record::new(&place.store, &source, None, None, Vec::new(), None);
    for record in [record.clone(), record.local(&source)] {
        place.store.keep_record(&source, &record).await.unwrap();
        assert_eq!(place.store.record(&source), None);
    }
}

#[tokio::test]
async fn a_name_of_this_machine_is_never_asked_for_elsewhere() {
    let fake = serve(Repository::image("team/app", "1", &[base()])).await;
    let (place, name) = (Place::new(), format!("{}/team/app:1", fake.host()));
    place.load(&[&name]).await.unwrap();
    let layer = place.pull(&name).await.unwrap().layers.remove(0);
    std::fs::remove_dir_all(place.store.layer(&layer)).unwrap();
    let error = place.pull(&name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = error.to_string().replace(&fake.host(), "REGISTRY");
    insta::assert_snapshot!(text, @"the image docker://REGISTRY/team/app:1 was loaded or tagged on this machine and is not whole here; load it again, or give the registry's by `agent pull`");
    assert_eq!(fake.log(), "");
    // Unless that is what was asked for.
    let source = name.parse().unwrap();
    let pulled = place
        .store
        .pull_with(
            &source,
            PullPolicy::Always,
            &place.settings,
            &place.worker(),
            &|_| {},
        )
        .await
        .unwrap();
    assert_eq!(pulled.layers, [base().1.hex()]);
}

#[tokio::test]
async fn a_manifest_that_is_gone_is_fetched_again() {
    let fake = serve(Repository::image("team/app", "1", &[base()])).await;
    let (place, name) = (Place::new(), format!("{}/team/app:1", fake.host()));
    let digest = place.pull(&name).await.unwrap().digest.unwrap();
    std::fs::write(place.store.blob_path(&digest), "damaged").unwrap();
    assert!(place.store.images().unwrap()[0].is_incomplete);
    assert_eq!(place.pull(&name).await.unwrap().pulled_bytes, 0);
    assert!(place.store.read_blob(&digest).is_some());
    assert!(!place.store.images().unwrap()[0].is_incomplete);
}

#[tokio::test]
async fn what_is_locked_for_a_moment_is_not_missing() {
    let place = Place::new();
    let name = "unreachable.invalid/app:1";
    place.load(&[name]).await.unwrap();
    let layer = place.pull(name).await.unwrap().layers.remove(0);
    let key = place.store.record_key(&name.parse().unwrap());
    for key in [layer, key] {
        let lock = place.store.try_lock(&key).unwrap().unwrap();
        let (pulled, ()) = join(place.pull(name), async move { drop(lock) }).await;
        assert_eq!(pulled.unwrap().layers.len(), 1);
    }
}

#[tokio::test]
async fn counting_remains_is_in_nobodys_way() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("layers/abc.0.tmp")).unwrap();
    let shared = place.store.try_lock_shared("abc").unwrap();
    assert_eq!(place.store.usage().unwrap().remains, 1);
    drop(shared);
    let _alone = place.store.try_lock("abc").unwrap();
    assert_eq!(place.store.usage().unwrap().remains, 0);
}

/// The collector holds a record's lock from its last look at it until it is gone.
#[tokio::test]
async fn a_record_is_not_written_while_the_old_one_is_removed() {
    let place = Place::new();
    place.load(&["app:1"]).await.unwrap();
    let image = place.store.images().unwrap().remove(0);
    let name: Source = "app:2".parse().unwrap();
    let lock = place
        .store
        .try_lock(&place.store.record_key(&name))
        .unwrap();
    let mut tag = Box::pin(place.store.tag(&image, &name));
    let waker = std::task::Waker::noop();
    let polled = tag
        .as_mut()
        .poll(&mut std::task::Context::from_waker(waker));
    assert!(polled.is_pending());
    assert_eq!(place.store.images().unwrap().len(), 1);
    drop(lock);
    tag.await.unwrap();
    assert_eq!(place.store.images().unwrap().len(), 2);
    assert!(
        place
            .store
            .in_use()
            .unwrap()
            .has_image(&place.store.record_key(&name))
    );
}

#[tokio::test]
async fn documents_stay_while_there_is_a_newer_programs_record() {
    let place = Place::new();
    place.stray_document();
    let newer = place.path().join("meta/images/newer.json");
    for record in [
        r#"{"version": 2, "layers": []}"#,
        r#"{"version": 2, "parts": []}"#,
    ] {
        std::fs::write(&newer, record).unwrap();
        place.collect().await.unwrap();
        assert_eq!(place.documents().len(), 1, "{record}");
    }
    // What a power cut has left is no program's.
    std::fs::write(&newer, "").unwrap();
    place.collect().await.unwrap();
    assert_eq!(place.documents().len(), 0);
}

#[tokio::test]
async fn nothing_is_collected_where_something_cannot_be_read() {
    let place = Place::new();
    place.stray_document();
    std::fs::create_dir(place.path().join("layers").join(base().1.hex())).unwrap();
    let unreadable = place.path().join("meta/images/unreadable.json");
    std::fs::create_dir(&unreadable).unwrap();
    let error = place.collect().await.unwrap_err().to_string();
    assert!(error.contains("failed to read"), "{error}");
    assert_eq!((place.documents().len(), place.layers().len()), (1, 1));
    std::fs::remove_dir(&unreadable).unwrap();
    let lease = place.path().join("meta/leases/loop");
    std::os::unix::fs::symlink(&lease, &lease).unwrap();
    assert_eq!(place.collect().await.unwrap().in_use, 1);
    assert_eq!(place.layers().len(), 1);
    std::fs::remove_file(&lease).unwrap();
    assert_eq!(place.collect().await.unwrap().layers.len(), 1);
}

/// An archive's index that has one image under two names, as we write it; and none.
#[tokio::test]
async fn an_image_with_two_names_is_one_image() {
    let place = Place::new();
    place.load(&["app:1"]).await.unwrap();
    let image = place.store.images().unwrap().remove(0);
    let save = async || {
        let names = vec!["app:1".to_owned(), "app:2".to_owned()];
        let (images, mut out, worker) = ([(&image, names)], Vec::new(), place.worker());
        let format = SaveFormat::Oci;
        let saved = place.store.save(&images, format, &worker, &mut out);
        saved.await.unwrap();
        out
    };
    let path = place.path().join("two.tar");
    std::fs::write(&path, save().await).unwrap();
    let tag = "mine:1".parse().unwrap();
    let worker = place.worker();
    let load = async |name| place.store.load(&path, name, &worker, &|_| {}).await;
    assert_eq!(load(Some(&tag)).await.unwrap().len(), 1);
    assert_eq!(load(None).await.unwrap().len(), 2);
    let index = r#"{"schemaVersion":2,"manifests":[]}"#;
    let none = Tar::new().file("index.json", index).bytes();
    std::fs::write(&path, none).unwrap();
    let error = load(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(error.to_string().ends_with("holds no image"), "{error}");
}

#[tokio::test]
async fn files_that_crashes_left_are_swept() {
    let place = Place::new();
    place.load(&["app:1"]).await.unwrap();
    let file = |name: &str, age| {
        let path = place.path().join(name);
        let file = File::create(&path).unwrap();
        let then = SystemTime::now() - Duration::from_secs(age);
        file.set_modified(then).unwrap();
        path
    };
    let hex = base().1.hex();
    let left = [
        file("meta/tmp/.tmpOld", 7200),
        file(&format!("layers/{hex}.json"), 0),
        file(&format!("layers/{hex}.recording"), 0),
    ];
    let fresh = file("meta/tmp/.tmpNew", 0);
    let lock = place.store.try_lock(&hex).unwrap();
    assert_eq!(place.collect().await.unwrap().remains, 1);
    assert!(left[1].exists());
    drop(lock);
    assert_eq!(place.collect().await.unwrap().remains, 1);
    assert!(left.iter().all(|path| !path.exists()) && fresh.exists());
    let image = place.pull("app:1").await.unwrap();
    assert!(place.store.facts(&image.layers[0]).is_some());
}
