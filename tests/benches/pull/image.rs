//! The image that is pulled: files of this machine, in five layers.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::Registry;

const LAYERS: usize = 5;
const BYTES: u64 = 620 << 20;
const FILES: usize = 31_000;
/// What is larger than this would be most of a layer by itself.
const LARGEST: u64 = 24 << 20;

/// How layers are compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
    None,
}

impl Compression {
    const fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
            Self::None => "tar",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
            Self::None => "application/vnd.oci.image.layer.v1.tar",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::None => "uncompressed",
        })
    }
}

/// Layers as files, in every compression.
pub(crate) struct Image {
    directory: PathBuf,
    files: usize,
    bytes: u64,
}

impl Image {
    /// Packs files of `/usr`, until they are enough.
    pub(crate) fn make(directory: &Path) -> Result<Self, Box<dyn Error>> {
        fs::create_dir_all(directory)?;
        let (mut lists, mut files, mut bytes) = (vec![Vec::new(); LAYERS], 0, 0);
        for path in regular_files(Path::new("/usr"))? {
            let size = fs::metadata(&path).map_or(0, |meta| meta.len());
            // Many small files or large ones, whatever is still missing; a directory's files go to one layer mostly.
            let wanted = size <= LARGEST && (bytes < BYTES || size < 16 << 10);
            if !wanted || (files >= FILES && bytes >= BYTES) {
                continue;
            }
            let smallest = (0..LAYERS)
                .min_by_key(|layer| sum(&lists[*layer]))
                .unwrap_or(0);
            let layer = if files % 200 == 0 {
                smallest
            } else {
                last_used(&lists, files)
            };
            lists[layer].push((path, size, files));
            files += 1;
            bytes += size;
        }
        for (number, list) in lists.iter().enumerate() {
            pack(directory, number, list)?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            files,
            bytes,
        })
    }

    /// The layers' blobs.
    pub(crate) fn blobs(&self, compression: Compression) -> Vec<PathBuf> {
        (0..LAYERS)
            .map(|number| {
                self.directory
                    .join(format!("{number}.{}", compression.extension()))
            })
            .collect()
    }

    /// Writes an OCI layout of it and pushes that; returns the reference.
    pub(crate) fn push(
        &self,
        registry: &Registry,
        compression: Compression,
    ) -> Result<String, Box<dyn Error>> {
        let layout = self
            .directory
            .join(format!("layout-{}", compression.extension()));
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        fs::write(
            layout.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        let mut layers = Vec::new();
        for path in self.blobs(compression) {
            let (digest, size) = (digest(&path)?, fs::metadata(&path)?.len());
            fs::hard_link(&path, blobs.join(&digest))?;
            layers.push(serde_json::json!({
                "mediaType": compression.media_type(), "digest": format!("sha256:{digest}"), "size": size
            }));
        }
        let diff_ids: Vec<String> = self
            .blobs(Compression::None)
            .iter()
            .map(|path| Ok(format!("sha256:{}", digest(path)?)))
            .collect::<Result<_, Box<dyn Error>>>()?;
        let config = document(
            &blobs,
            &serde_json::json!({
                "architecture": architecture(), "os": "linux", "config": {},
                "rootfs": { "type": "layers", "diff_ids": diff_ids }
            }),
        )?;
        let manifest = document(
            &blobs,
            &serde_json::json!({
                "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": { "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": format!("sha256:{}", config.0), "size": config.1 },
                "layers": layers
            }),
        )?;
        fs::write(
            layout.join("index.json"),
            serde_json::json!({ "schemaVersion": 2, "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": format!("sha256:{}", manifest.0), "size": manifest.1,
                "annotations": { "org.opencontainers.image.ref.name": "latest" }
            }] })
            .to_string(),
        )?;
        let from = format!("oci:{}:latest", layout.display());
        Ok(registry.push(&from, &format!("bench-{}", compression.extension())))
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.bytes >> 20;
        writeln!(f, "{LAYERS} layers, {} files, {mib} MiB", self.files)?;
        for compression in [Compression::Gzip, Compression::Zstd] {
            let sizes = self.blobs(compression).into_iter();
            let size: u64 = sizes
                .map(|blob| fs::metadata(blob).map_or(0, |meta| meta.len()))
                .sum();
            writeln!(f, "{compression}: {} MiB", size >> 20)?;
        }
        Ok(())
    }
}

type Listed = (PathBuf, u64, usize);

fn sum(list: &[Listed]) -> u64 {
    list.iter().map(|(_, size, _)| size).sum()
}

fn last_used(lists: &[Vec<Listed>], files: usize) -> usize {
    lists
        .iter()
        .position(|list| {
            list.last()
                .is_some_and(|(_, _, number)| number + 1 == files)
        })
        .unwrap_or(0)
}

fn regular_files(top: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let listed = Command::new("find")
        .arg(top)
        .args(["-xdev", "-type", "f", "-print0"])
        .output()?;
    let mut paths: Vec<PathBuf> = String::from_utf8_lossy(&listed.stdout)
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect();
    paths.sort();
    Ok(paths)
}

fn pack(directory: &Path, number: usize, list: &[Listed]) -> Result<(), Box<dyn Error>> {
    let tar = directory.join(format!("{number}.tar"));
    let mut packing = Command::new("tar")
        .args(["-C", "/", "--null", "-T", "-", "-cf"])
        .arg(&tar)
        .stdin(Stdio::piped())
        .spawn()?;
    let mut input = packing.stdin.take().ok_or("tar has no input")?;
    for (path, ..) in list {
        input.write_all(path.strip_prefix("/")?.as_os_str().as_encoded_bytes())?;
        input.write_all(&[0])?;
    }
    drop(input);
    if !packing.wait()?.success() {
        return Err("tar cannot pack a layer".into());
    }
    for script in [
        "pigz -6 -c \"$0.tar\" >\"$0.gz\"",
        "zstd -q -3 -f \"$0.tar\" -o \"$0.zst\"",
    ] {
        let stem = directory.join(number.to_string());
        let status = Command::new("sh").args(["-c", script]).arg(stem).status()?;
        if !status.success() {
            return Err(format!("`{script}` ended with {status}").into());
        }
    }
    Ok(())
}

/// Writes a document as a blob; returns its digest and size.
fn document(blobs: &Path, document: &serde_json::Value) -> Result<(String, usize), Box<dyn Error>> {
    let text = document.to_string();
    let path = blobs.join("document");
    fs::write(&path, &text)?;
    let digest = digest(&path)?;
    fs::rename(&path, blobs.join(&digest))?;
    Ok((digest, text.len()))
}

fn digest(path: &Path) -> Result<String, Box<dyn Error>> {
    let done = Command::new("sha256sum").arg(path).output()?;
    let text = String::from_utf8(done.stdout)?;
    Ok(text
        .split_whitespace()
        .next()
        .ok_or("no digest")?
        .to_owned())
}

/// As images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
