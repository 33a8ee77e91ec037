//! Pulls from a fake registry and from files, into real directories.

mod collecting;
mod keeping;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::*;
use crate::image::{Digest, Source};
use crate::layer::testing::{Tar, gzip, tree};
use crate::layer::{
    BoxFuture, Checked, Form, InProcess, LayerWorker, Limits, Operation, Packed, UnpackError,
    Unpacked,
};
use crate::registry::fake::{Answer, Fake, Repository, TestSettings, settings};

/// A store in a temporary directory.
struct Place {
    directory: tempfile::TempDir,
    store: Store,
    settings: TestSettings,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(
            &directory.path().join("meta"),
            &directory.path().join("layers"),
        )
        .unwrap();
        Self {
            directory,
            store,
            settings: settings(),
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn worker(&self) -> InProcess {
        InProcess::new(self.path().join("layers"), Limits::default())
    }

    async fn pull(&self, source: &str) -> Result<Image, PullError> {
        let source: Source = source.parse().unwrap();
        self.store
            .pull(&source, &self.settings, &self.worker(), &|_| {})
            .await
    }

    /// The names in the layers directory.
    fn layers(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join("layers")).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            // What is beside a layer is told apart by its end.
            .filter(|name| !name.ends_with(".json") && !name.ends_with(".recording"))
            .collect();
        names.sort();
        names
    }
}

/// A layer as a registry stores it, and its diff ID.
fn layer(tar: Tar) -> (Vec<u8>, Digest) {
    let bytes = tar.bytes();
    (gzip(&bytes), Digest::of(&bytes))
}

fn base() -> (Vec<u8>, Digest) {
    layer(
        Tar::new()
            .directory("etc")
            .file("etc/passwd", "root")
            .file("etc/motd", "hello"),
    )
}

fn upper() -> (Vec<u8>, Digest) {
    layer(Tar::new().file("etc/.wh.motd", "").file("app", "run me"))
}

async fn serve(repository: Repository) -> Fake {
    Fake::start(move |request| repository.answer(request)).await
}

#[tokio::test]
async fn an_image_is_pulled_once_and_then_only_asked_about() {
    let fake = serve(Repository::image("team/app", "1", &[base(), upper()])).await;
    let (place, source) = (Place::new(), format!("{}/team/app:1", fake.host()));
    let image = place.pull(&source).await.unwrap();
    assert_eq!(image.layers, [base().1.hex(), upper().1.hex()]);
    assert_eq!(image.config.env, ["A=b"]);
    assert_eq!(
        image.pulled_bytes,
        (base().0.len() + upper().0.len()) as u64
    );
    insta::assert_snapshot!(tree(&place.store.layer(&image.layers[1])), @r#"
    app 644 "run me"
    etc/ 755
    etc/motd whiteout
    "#);
    let asked = fake.log().lines().count();
    let again = place.pull(&source).await.unwrap();
    assert_eq!(
        again,
        Image {
            pulled_bytes: 0,
            ..image
        }
    );
    insta::assert_snapshot!(fake.log().lines().skip(asked).collect::<String>(), @"HEAD /v2/team/app/manifests/1");
}

#[tokio::test]
async fn a_digest_is_never_asked_about_again() {
    let fake = serve(Repository::image("team/app", "1", &[base()])).await;
    let place = Place::new();
    let digest = place
        .pull(&format!("{}/team/app:1", fake.host()))
        .await
        .unwrap()
        .digest
        .unwrap();
    let pinned = format!("{}/team/app@{digest}", fake.host());
    place.pull(&pinned).await.unwrap();
    let asked = fake.log().lines().count();
    place.pull(&pinned).await.unwrap();
    assert_eq!(fake.log().lines().count(), asked);
}

#[tokio::test]
async fn a_second_image_fetches_only_what_is_new() {
    let mut both = Repository::image("team/app", "1", &[base()]);
    both.paths
        .extend(Repository::image("team/app", "2", &[base(), upper()]).paths);
    let fake = serve(both).await;
    let place = Place::new();
    place
        .pull(&format!("{}/team/app:1", fake.host()))
        .await
        .unwrap();
    let second = place
        .pull(&format!("{}/team/app:2", fake.host()))
        .await
        .unwrap();
    assert_eq!(second.pulled_bytes, upper().0.len() as u64);
}

#[tokio::test]
async fn ten_pulls_at_once_are_one_download() {
    let layers = [base(), upper()];
    let fake = serve(Repository::image("team/app", "1", &layers)).await;
    let (place, source) = (Place::new(), format!("{}/team/app:1", fake.host()));
    let images = join_all((0..10).map(|_| place.pull(&source))).await;
    assert!(
        images
            .into_iter()
            .all(|image| image.unwrap().layers.len() == 2)
    );
    for (bytes, _) in layers {
        assert_eq!(fake.count(&Digest::of(&bytes).to_string()), 1);
    }
}

#[tokio::test]
async fn a_registry_that_is_down_is_forgiven_with_a_warning_when_the_image_is_here() {
    let image = Repository::image("team/app", "1", &[base()]);
    let is_down = std::sync::Arc::new(AtomicUsize::new(0));
    let switch = is_down.clone();
    let fake = Fake::start(move |request| match switch.load(Ordering::Relaxed) {
        0 => image.answer(request),
        _ => Answer::new(503, ""),
    })
    .await;
    let place = Place::new();
    let source = format!("{}/team/app:1", fake.host()).parse().unwrap();
    let warnings = Mutex::new(Vec::new());
    let note = |progress: Progress<'_>| {
        if let Progress::Stale { error } = progress {
            warnings.lock().unwrap().push(error.to_string());
        }
    };
    let first = place
        .store
        .pull(&source, &place.settings, &place.worker(), &note)
        .await
        .unwrap();
    is_down.store(1, Ordering::Relaxed);
    let second = place
        .store
        .pull(&source, &place.settings, &place.worker(), &note)
        .await
        .unwrap();
    assert_eq!(second.layers, first.layers);
    let warnings = warnings
        .lock()
        .unwrap()
        .join("\n")
        .replace(&fake.address.port().to_string(), "PORT");
    insta::assert_snapshot!(warnings, @"failed to pull 127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: the server answers 503");
    let elsewhere = Place::new();
    let error = elsewhere
        .pull(&format!("{}/team/app:1", fake.host()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn nothing_is_kept_of_a_layer_that_is_not_what_it_should_be() {
    let forged = layer(Tar::new().file("a", "evil"));
    let kinds = [
        // Another content under the right blob digest: the diff ID tells.
        (
            Repository::image("app", "1", &[(forged.0.clone(), base().1)]),
            ErrorKind::Corrupt,
        ),
        // No archive at all.
        (
            Repository::image("app", "1", &[(b"no archive".to_vec(), base().1)]),
            ErrorKind::Corrupt,
        ),
        // A truncated one.
        (
            Repository::image("app", "1", &[(base().0[..50].to_vec(), base().1)]),
            ErrorKind::Corrupt,
        ),
    ];
    for (repository, kind) in kinds {
        let (place, fake) = (Place::new(), serve(repository).await);
        let error = place
            .pull(&format!("{}/app:1", fake.host()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(place.layers(), [""; 0]);
    }
    // A blob that is not what the manifest says, from a registry that keeps its length.
    let mut repository = Repository::image("app", "1", &[base()]);
    let path = format!("/v2/app/blobs/{}", Digest::of(&base().0));
    if let Some(last) = repository
        .paths
        .get_mut(&path)
        .and_then(|blob| blob.last_mut())
    {
        *last ^= 1;
    }
    let (place, fake) = (Place::new(), serve(repository).await);
    let error = place
        .pull(&format!("{}/app:1", fake.host()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(place.layers(), [""; 0]);
}

#[tokio::test]
async fn what_a_killed_pull_left_is_swept_unless_it_is_still_at_work() {
    let fake = serve(Repository::image("app", "1", &[base()])).await;
    let place = Place::new();
    let busy = format!("{}.1.tmp", upper().1.hex());
    for left in [
        &format!("{}.0.tmp", base().1.hex()),
        &busy,
        "not-ours",
        ".strange.tmp",
    ] {
        std::fs::create_dir_all(place.path().join("layers").join(left).join("etc")).unwrap();
    }
    let lock = place.store.try_lock(&upper().1.hex()).unwrap();
    place.pull(&format!("{}/app:1", fake.host())).await.unwrap();
    let mut expected = vec![
        base().1.hex(),
        busy,
        "not-ours".to_owned(),
        ".strange.tmp".to_owned(),
    ];
    expected.sort();
    assert_eq!(place.layers(), expected);
    drop(lock);
}

#[tokio::test]
async fn a_pull_that_is_dropped_half_way_leaves_a_store_that_works() {
    let image = Repository::image("app", "1", &[base(), upper()]);
    let (stalled, healthy) = (image.clone(), image);
    let fake = Fake::start(move |request| {
        let answer = stalled.answer(request);
        if request.path.contains("blobs") && request.before == 0 {
            answer.cut(20)
        } else {
            answer
        }
    })
    .await;
    let place = Place::new();
    let source: Source = format!("{}/app:1", fake.host()).parse().unwrap();
    let worker = place.worker();
    for polls in 0..12 {
        let mut pull = Box::pin(place.store.pull(&source, &place.settings, &worker, &|_| {}));
        // A few steps of the future, then it is gone.
        for _ in 0..polls {
            let _ = pull
                .as_mut()
                .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
            tokio::task::yield_now().await;
        }
    }
    let fake = serve(healthy).await;
    assert_eq!(
        place
            .pull(&format!("{}/app:1", fake.host()))
            .await
            .unwrap()
            .layers
            .len(),
        2
    );
}

#[tokio::test]
async fn a_layer_that_an_image_has_twice_is_stacked_once() {
    let fake = serve(Repository::image("app", "1", &[base(), upper(), base()])).await;
    let image = Place::new()
        .pull(&format!("{}/app:1", fake.host()))
        .await
        .unwrap();
    assert_eq!(image.layers, [upper().1.hex(), base().1.hex()]);
    assert_eq!(image.config.diff_ids.len(), 3);
}

#[tokio::test]
async fn an_archive_is_unpacked_again_only_when_it_has_changed() {
    let place = Place::new();
    let file = place.path().join("rootfs.tar");
    let source = format!("tar:{}", file.display());
    let first = Tar::new().file("a", "1").bytes();
    std::fs::write(&file, gzip(&first)).unwrap();
    assert_eq!(
        place.pull(&source).await.unwrap().layers,
        [Digest::of(&first).hex()]
    );
    assert_eq!(place.pull(&source).await.unwrap().pulled_bytes, 0);
    let second = Tar::new().file("a", "2").file("b", "").bytes();
    std::fs::write(&file, zstd::encode_all(&second[..], 1).unwrap()).unwrap();
    assert_eq!(
        place.pull(&source).await.unwrap().layers,
        [Digest::of(&second).hex()]
    );
    assert_eq!(place.layers().len(), 2);
}

#[tokio::test]
async fn mistakes_about_files_are_named() {
    let place = Place::new();
    let path = place.path().to_owned();
    let refused = async |source: &str| {
        let error = place
            .pull(&source.replace("DIR", &path.display().to_string()))
            .await
            .unwrap_err();
        format!("{:?}: {error}", error.kind()).replace(&path.display().to_string(), "DIR")
    };
    std::fs::write(path.join("junk.tar"), [7; 2000]).unwrap();
    std::fs::write(path.join("empty.tar"), Tar::new().bytes()).unwrap();
    insta::assert_snapshot!(refused("host").await, @"Unsupported: the image `host` is not pulled");
    insta::assert_snapshot!(refused("tar:DIR/missing.tar").await, @"NotFound: failed to load tar:DIR/missing.tar: failed to read DIR/missing.tar: No such file or directory (os error 2)");
    insta::assert_snapshot!(refused("tar:DIR/meta").await, @"NotFound: failed to load tar:DIR/meta: DIR/meta is not a regular file");
    insta::assert_snapshot!(refused("tar:DIR/junk.tar").await, @"Damaged: failed to unpack the files of tar:DIR/junk.tar: the layer's archive is malformed at entry 1: the header's checksum is wrong; it may be no tar archive");
    insta::assert_snapshot!(refused("oci:DIR/missing").await, @"NotFound: failed to load oci:DIR/missing: failed to read DIR/missing/index.json: No such file or directory (os error 2)");
    insta::assert_snapshot!(refused("oci-archive:DIR/junk.tar").await, @"Damaged: failed to load oci-archive:DIR/junk.tar: failed to read the archive DIR/junk.tar: the layer's archive is malformed at entry 1: the header's checksum is wrong; it may be no tar archive");
    insta::assert_snapshot!(refused("docker-archive:DIR/empty.tar").await, @"NotFound: failed to load docker-archive:DIR/empty.tar: DIR/empty.tar holds no `manifest.json`");
    insta::assert_snapshot!(refused("dir:DIR/meta").await, @"NotFound: failed to load dir:DIR/meta: failed to read DIR/meta/manifest.json: No such file or directory (os error 2)");
}

/// A worker on a full disk.
struct Full;

impl LayerWorker for Full {
    fn unpack<'a>(
        &'a self,
        _: std::os::fd::OwnedFd,
        _: std::os::fd::OwnedFd,
        _: &'a str,
        _: Form,
    ) -> BoxFuture<'a, Result<Unpacked, UnpackError>> {
        Box::pin(async {
            Err(UnpackError::System {
                operation: Operation::WriteFile,
                path: "app".to_owned(),
                errno: 28,
            })
        })
    }

    fn pack<'a>(
        &'a self,
        _: std::os::fd::OwnedFd,
        _: Option<std::os::fd::OwnedFd>,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Packed, UnpackError>> {
        unreachable!()
    }

    fn check<'a>(
        &'a self,
        _: std::os::fd::OwnedFd,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Checked, UnpackError>> {
        unreachable!()
    }

    fn remove<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), UnpackError>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn a_full_disk_is_said_to_be_full() {
    let fake = serve(Repository::image("app", "1", &[base()])).await;
    let place = Place::new();
    let source = format!("{}/app:1", fake.host()).parse().unwrap();
    let error = place
        .store
        .pull(&source, &place.settings, &Full, &|_| {})
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    let text = error
        .to_string()
        .replace(&fake.address.port().to_string(), "PORT")
        .replace(&base().1.hex(), "LAYER");
    insta::assert_snapshot!(text, @"failed to unpack layer sha256:LAYER of docker://127.0.0.1:PORT/app:1: failed to write the file `app` of the layer: No space left on device (os error 28)");
}
