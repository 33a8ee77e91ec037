//! Layouts and archives as tools write them, made by hand.

use std::path::Path;

use super::*;
use crate::image::Digest;
use crate::layer::testing::{Tar, gzip};
use crate::registry::fake::{Repository, settings};

fn layer() -> (Vec<u8>, Digest) {
    let bytes = Tar::new().file("a", "b").bytes();
    (gzip(&bytes), Digest::of(&bytes))
}

/// The files of an OCI layout with two tagged images.
fn layout() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut entries = Vec::new();
    for (tag, layers) in [("one", vec![layer()]), ("two", vec![layer(), layer()])] {
        for (path, bytes) in Repository::image("x", tag, &layers).paths {
            files.push((
                format!("blobs/sha256/{}", Digest::of(&bytes).hex()),
                bytes.clone(),
            ));
            if path.ends_with(tag) {
                entries.push(format!(
                    r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"{tag}"}}}}"#,
                    Digest::of(&bytes),
                    bytes.len()
                ));
            }
        }
    }
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        entries.join(",")
    );
    files.push(("index.json".to_owned(), index.into_bytes()));
    files
}

fn write(directory: &Path, files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn archive(files: &[(String, Vec<u8>)]) -> Tar {
    files.iter().fold(Tar::new(), |tar, (name, bytes)| {
        tar.blob(&format!("./{name}"), bytes)
    })
}

/// How many layers the image has, and what their contents are together; or the error.
async fn resolved(directory: &Path, source: &str) -> String {
    let source: Source = source
        .replace("DIR", &directory.display().to_string())
        .parse()
        .unwrap();
    let load = async || {
        let transport = Transport::open(&source, &settings(), directory)
            .await?
            .unwrap();
        let resolved = transport.resolve(&Platform::host()).await?;
        let mut bytes = Vec::new();
        for layer in &resolved.layers {
            let mut content = transport.content(layer).await?;
            while let Some(chunk) = content.chunk().await? {
                bytes.extend_from_slice(&chunk);
            }
        }
        let is_right = bytes == layer().0.repeat(resolved.layers.len());
        Ok::<_, TransportError>(format!(
            "{} layers, content right: {is_right}",
            resolved.layers.len()
        ))
    };
    let text = load().await.unwrap_or_else(|error| error.to_string());
    text.replace(&directory.display().to_string(), "DIR")
}

#[tokio::test]
async fn a_layout_is_read_from_a_directory_and_from_an_archive_in_any_compression() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(&path.join("layout"), &layout());
    std::fs::write(path.join("layout.tar"), archive(&layout()).bytes()).unwrap();
    std::fs::write(
        path.join("layout.tar.gz"),
        gzip(&archive(&layout()).bytes()),
    )
    .unwrap();
    for source in [
        "oci:DIR/layout",
        "oci-archive:DIR/layout.tar",
        "oci-archive:DIR/layout.tar.gz",
    ] {
        assert_eq!(
            resolved(path, &format!("{source}:one")).await,
            "1 layers, content right: true"
        );
        assert_eq!(
            resolved(path, &format!("{source}:two")).await,
            "2 layers, content right: true"
        );
    }
    insta::assert_snapshot!(resolved(path, "oci:DIR/layout").await, @"DIR/layout holds several images; name one of `one`, `two`");
    insta::assert_snapshot!(resolved(path, "oci-archive:DIR/layout.tar:three").await, @"DIR/layout.tar holds no image `three`; it holds `one`, `two`");
}

#[tokio::test]
async fn a_damaged_layout_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, &layout());
    let blob = path.join(format!("blobs/sha256/{}", Digest::of(&layer().0).hex()));
    let hide = |text: String| text.replace(&Digest::of(&layer().0).hex(), "BLOB");
    let mut bytes = layer().0;
    bytes[5] ^= 1;
    std::fs::write(&blob, &bytes).unwrap();
    let text = hide(resolved(path, "oci:DIR:one").await);
    assert!(
        text.starts_with("DIR/blobs/sha256/BLOB has the digest sha256:"),
        "{text}"
    );
    std::fs::write(&blob, &bytes[1..]).unwrap();
    let text = hide(resolved(path, "oci:DIR:one").await);
    assert_eq!(
        text,
        format!(
            "DIR/blobs/sha256/BLOB has {} bytes, not {}",
            bytes.len() - 1,
            bytes.len()
        )
    );
    std::fs::remove_file(&blob).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &blob,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    insta::assert_snapshot!(hide(resolved(path, "oci:DIR:one").await), @"DIR/blobs/sha256/BLOB is not a regular file");
}

#[tokio::test]
async fn an_archive_of_docker_save_is_read_with_its_links() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let config = |layers: usize| {
        let ids = vec![format!("\"{}\"", layer().1); layers].join(",");
        format!(r#"{{"os":"linux","rootfs":{{"type":"layers","diff_ids":[{ids}]}}}}"#)
    };
    let manifest = r#"[{"Config":"1.json","RepoTags":["app:1"],"Layers":["a/layer.tar"]},
        {"Config":"2.json","RepoTags":["app:2","docker.io/library/app:latest"],"Layers":["a/layer.tar","b/layer.tar"]}]"#;
    let tar = Tar::new()
        .symlink("b/layer.tar", "../a/layer.tar")
        .blob("a/layer.tar", &layer().0)
        .file("1.json", &config(1))
        .file("2.json", &config(2))
        .file("manifest.json", manifest);
    std::fs::write(path.join("save.tar"), tar.bytes()).unwrap();
    insta::assert_snapshot!(resolved(path, "docker-archive:DIR/save.tar:app:1").await, @"1 layers, content right: true");
    insta::assert_snapshot!(resolved(path, "docker-archive:DIR/save.tar:app").await, @"2 layers, content right: true");
    insta::assert_snapshot!(resolved(path, "docker-archive:DIR/save.tar:app:3").await, @"DIR/save.tar holds no image `docker.io/library/app:3`; it holds `app:1`, `app:2`, `docker.io/library/app:latest`");
    insta::assert_snapshot!(resolved(path, "docker-archive:DIR/save.tar").await, @"DIR/save.tar holds several images; name one of `app:1`, `app:2`, `docker.io/library/app:latest`");
}
