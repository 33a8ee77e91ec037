//! Where `tests/images/make` put the images, and which of them there are.

use std::path::PathBuf;

/// An image of every transport and of everybody who writes images: a name for messages and a reference, each with
/// busybox, user `app`, working directory `/srv/work`, `$WRITTEN_BY`, `$GREETING` and an entrypoint, save podman's, which a
/// Containerfile made.
#[must_use]
pub fn references() -> Vec<(&'static str, String)> {
    [
        ("umoci", "oci", "umoci:latest"),
        ("umoci without its tag", "oci", "umoci"),
        ("skopeo", "oci", "skopeo:latest"),
        ("skopeo with zstd", "oci", "skopeo-zstd:latest"),
        ("skopeo", "oci-archive", "skopeo.oci.tar"),
        ("skopeo", "docker-archive", "skopeo.docker.tar"),
        ("skopeo", "dir", "skopeo.dir"),
        ("skopeo with Docker's manifest", "dir", "skopeo-v2s2.dir"),
        ("buildah", "oci", "buildah:latest"),
        ("podman", "docker-archive", "podman.docker.tar"),
        ("podman", "oci-archive", "podman.oci.tar"),
        ("podman", "dir", "podman.dir"),
    ]
    .map(|(writer, transport, file)| (writer, format!("{transport}:{}", path(file).display())))
    .into()
}

/// A file or directory that `tests/images/make` made.
///
/// # Panics
/// When it is not there; `tests/run` makes it, and needs root.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let directory = std::env::var_os("SLIPWAY_TEST_CACHE")
        .map_or_else(|| PathBuf::from("/var/tmp/slipway-tests"), PathBuf::from);
    let file = name.split(':').next().unwrap_or(name);
    assert!(
        directory.join(file).exists(),
        "there is no {file} in {}: run tests/images/make {}",
        directory.display(),
        directory.display()
    );
    directory.join(name)
}

/// Whether the images have been made, so that tests that need them can be skipped where they have not.
#[must_use]
pub fn made() -> bool {
    let directory = std::env::var_os("SLIPWAY_TEST_CACHE")
        .map_or_else(|| PathBuf::from("/var/tmp/slipway-tests"), PathBuf::from);
    directory.join("version").exists()
}

/// The same without a configuration: steps are root's.
#[must_use]
pub fn plain() -> String {
    format!("tar:{}", path("busybox.tar").display())
}

/// The small image most tests run, with every applet; steps are user `app`'s, number 1000.
#[must_use]
pub fn busybox() -> String {
    format!("oci:{}", path("skopeo:latest").display())
}
