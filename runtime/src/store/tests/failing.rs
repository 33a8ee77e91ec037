//! Pulls that end badly, and what they leave.

use super::*;

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
}

#[tokio::test]
async fn a_blob_that_is_not_what_the_manifest_says_is_refused_in_every_form() {
    let plain = Tar::new()
        .file("a", "of a layer that is not compressed")
        .bytes();
    let plain = (plain.clone(), Digest::of(&plain));
    for layer in [base(), plain] {
        let (bytes, path) = (&layer.0, format!("/v2/app/blobs/{}", Digest::of(&layer.0)));
        // The registry keeps its length: its first bytes, some of its middle, and its end, which no archive's reader looks at.
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut repository = Repository::image("app", "1", std::slice::from_ref(&layer));
            let kept = repository.paths.get_mut(&path).unwrap();
            kept[at] ^= 1;
            let (place, fake) = (Place::new(), serve(repository).await);
            let source = format!("{}/app:1", fake.host());
            let error = place.pull(&source).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{at}: {error}");
            assert_eq!(place.layers(), [""; 0]);
        }
        let repository = Repository::image("app", "1", std::slice::from_ref(&layer));
        let (place, fake) = (Place::new(), serve(repository).await);
        let source = format!("{}/app:1", fake.host());
        let _ = place.pull(&source).await.unwrap();
    }
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
