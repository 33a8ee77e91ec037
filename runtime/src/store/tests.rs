//! Pulls from a fake registry and from files, into real directories.

mod collecting;
mod failing;
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
