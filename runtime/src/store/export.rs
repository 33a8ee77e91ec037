//! Images as archives for other engines.
//!
//! ```text
//! oci-layout, index.json, blobs/sha256/HEX     an OCI image layout (image-layout.md)
//! manifest.json                                beside it for `docker load` and its like, as Docker 25 writes both
//! ```
//!
//! Layers are uncompressed, so that each blob's digest is the layer's diff ID and the configuration stays as it is: the
//! image keeps its id. A layer without a recording is packed from its tree; it gets another diff ID, and the image another
//! id.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write};
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use super::Store;
use super::error::StoreError;
use super::images::Stored;
use crate::image::{Config, Digest};
use crate::layer::{LayerWorker, Packed, UnpackError, Writer};

const PIECE: usize = 256 * 1024;

/// For whom an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveFormat {
    /// An OCI image layout.
    Oci,
    /// The same with what `docker load` reads.
    Docker,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Of the layers, bytes.
    pub bytes: u64,
    /// Layers that have another diff ID than they were pulled with.
    pub repacked: usize,
}

/// Why an image was not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A layer or the configuration is gone or damaged.
    #[error("the image `{0}` is not whole here")]
    Incomplete(String),
    /// A layer cannot be packed.
    #[error("failed to pack layer {layer}: {source}")]
    Layer {
        /// Its diff ID's digits.
        layer: String,
        /// Why.
        source: UnpackError,
    },
    /// A layer is not what it was when it was unpacked.
    #[error("layer {layer} is damaged: its content has the diff ID {actual}")]
    Damaged {
        /// Its diff ID's digits.
        layer: String,
        /// What its files make now.
        actual: Digest,
    },
    /// The archive cannot be written.
    #[error("failed to write the archive: {0}")]
    Write(#[from] io::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A layer that is to be written.
#[derive(Debug)]
struct Planned {
    digest: Digest,
    size: u64,
    /// Packed already, where its digest had to be found out.
    spooled: Option<File>,
}

impl Store {
    /// Writes an archive with images; `names` are the references that each is to have in it.
    ///
    /// # Errors
    /// See [`SaveError`]; what was written until then is no archive.
    pub async fn save(
        &self,
        images: &[(&Stored, Vec<String>)],
        format: SaveFormat,
        worker: &dyn LayerWorker,
        out: &mut (dyn Write + Send),
    ) -> Result<Exported, SaveError> {
        let mut exported = Exported::default();
        // Sorted, so that the same images make the same archive.
        let mut layers: BTreeMap<String, Planned> = BTreeMap::new();
        let mut documents: BTreeMap<Digest, Vec<u8>> = BTreeMap::new();
        let (mut index, mut list) = (Vec::new(), Vec::new());
        for (image, names) in images {
            let whole = self.use_layers(&image.layers).await?;
            if !whole || Config::parse(&image.config).is_err() {
                return Err(SaveError::Incomplete(image.name.clone()));
            }
            for name in &image.layers {
                if !layers.contains_key(name) {
                    let planned = self.plan(name, worker).await?;
                    exported.repacked += usize::from(planned.digest.hex() != *name);
                    layers.insert(name.clone(), planned);
                }
            }
            let blobs: Vec<(Digest, u64)> = image
                .layers
                .iter()
                .filter_map(|name| layers.get(name))
                .map(|planned| (planned.digest, planned.size))
                .collect();
            let config = with_diff_ids(&image.config, &blobs)?;
            let manifest = to_bytes(&manifest(&config, &blobs))?;
            index.extend(entries(&manifest, names));
            list.push(saved(&config, &blobs, names));
            for document in [config, manifest] {
                documents.insert(Digest::of(&document), document);
            }
        }
        let mut archive = Writer::new(io::BufWriter::with_capacity(PIECE, out));
        archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": index });
        archive.file("index.json", &to_bytes(&index)?)?;
        if format == SaveFormat::Docker {
            archive.file("manifest.json", &to_bytes(&Value::Array(list))?)?;
        }
        for (digest, document) in &documents {
            archive.file(&path(digest), document)?;
        }
        let mut written = std::collections::HashSet::new();
        for (name, planned) in layers {
            if written.insert(planned.digest) {
                exported.bytes += planned.size;
                self.write_layer(&name, planned, worker, &mut archive)
                    .await?;
            }
        }
        archive.finish()?;
        Ok(exported)
    }

    /// What a layer will be in the archive.
    async fn plan(&self, name: &str, worker: &dyn LayerWorker) -> Result<Planned, SaveError> {
        let has_recording = self.recording(name)?.is_some();
        if let (true, Some(facts), Ok(digest)) = (
            has_recording,
            self.facts(name),
            format!("sha256:{name}").parse(),
        ) {
            return Ok(Planned {
                digest,
                size: facts.size,
                spooled: None,
            });
        }
        let mut spool = tempfile::tempfile_in(self.meta.join("tmp"))?;
        let packed = self.pack(name, None, worker, &mut spool).await?;
        spool.rewind()?;
        Ok(Planned {
            digest: packed.diff_id,
            size: packed.size,
            spooled: Some(spool),
        })
    }

    async fn write_layer(
        &self,
        name: &str,
        planned: Planned,
        worker: &dyn LayerWorker,
        archive: &mut Writer<impl Write + Send>,
    ) -> Result<(), SaveError> {
        let Planned {
            digest,
            size,
            spooled,
        } = planned;
        archive.begin_file(&path(&digest), size)?;
        match spooled {
            Some(spool) => {
                io::copy(&mut spool.take(size), archive.get_mut())?;
            }
            None => {
                let recording = self.recording(name)?;
                let mut bounded = Bounded {
                    out: archive.get_mut(),
                    rest: size,
                };
                let packed = self.pack(name, recording, worker, &mut bounded).await?;
                if packed.diff_id != digest || bounded.rest != 0 {
                    return Err(SaveError::Damaged {
                        layer: name.to_owned(),
                        actual: packed.diff_id,
                    });
                }
            }
        }
        Ok(archive.end_content(size)?)
    }

    /// Has a worker pack a layer into `out`.
    async fn pack(
        &self,
        name: &str,
        recording: Option<OwnedFd>,
        worker: &dyn LayerWorker,
        out: &mut (dyn Write + Send),
    ) -> Result<Packed, SaveError> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        // Smaller is only slower.
        let _ = fcntl_setpipe_size(&writer, 1 << 20);
        let reader = pipe::Receiver::from_owned_fd(reader)?;
        let (packed, copied) =
            futures_util::future::join(worker.pack(writer, recording, name), copy(reader, out))
                .await;
        copied?;
        packed.map_err(|source| SaveError::Layer {
            layer: name.to_owned(),
            source,
        })
    }
}

/// Closes the pipe on an error, so that the worker stops.
async fn copy(mut from: pipe::Receiver, out: &mut (dyn Write + Send)) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(()),
            count => out.write_all(&buffer[..count])?,
        }
    }
}

/// Takes so many bytes and no more, so that an archive's structure stays whole.
struct Bounded<'a, W> {
    out: &'a mut W,
    rest: u64,
}

impl<W: Write> Write for Bounded<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.rest {
            return Err(io::Error::other("a layer is larger than it was"));
        }
        let count = self.out.write(bytes)?;
        self.rest -= count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The configuration, for these layers.
fn with_diff_ids(config: &[u8], blobs: &[(Digest, u64)]) -> io::Result<Vec<u8>> {
    let ids: Vec<Digest> = blobs.iter().map(|(digest, _)| *digest).collect();
    if Config::parse(config).is_ok_and(|config| config.diff_ids == ids) {
        return Ok(config.to_owned());
    }
    let mut document: Map<String, Value> = serde_json::from_slice(config)?;
    let rootfs = json!({ "type": "layers", "diff_ids": ids });
    document.insert("rootfs".to_owned(), rootfs);
    to_bytes(&document)
}

fn manifest(config: &[u8], blobs: &[(Digest, u64)]) -> Value {
    let layers: Vec<Value> = blobs
        .iter()
        .map(|(digest, size)| {
            json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size })
        })
        .collect();
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Digest::of(config),
            "size": config.len(),
        },
        "layers": layers,
    })
}

/// One entry of the index a name, as podman and containerd look for them; one without a name if there is none.
fn entries(manifest: &[u8], names: &[String]) -> Vec<Value> {
    let bare = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": Digest::of(manifest),
        "size": manifest.len(),
    });
    if names.is_empty() {
        return vec![bare];
    }
    let named = |name: &String| {
        let mut entry = bare.clone();
        entry["annotations"] = json!({
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name,
        });
        entry
    };
    names.iter().map(named).collect()
}

/// An image in `manifest.json`.
fn saved(config: &[u8], blobs: &[(Digest, u64)], names: &[String]) -> Value {
    let layers: Vec<String> = blobs.iter().map(|(digest, _)| path(digest)).collect();
    json!({ "Config": path(&Digest::of(config)), "RepoTags": names, "Layers": layers })
}

fn to_bytes(value: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_for_other_layers_is_an_object() {
        let config = br#"{"os":"linux","rootfs":{"type":"layers","diff_ids":[],"x":1},"y":2}"#;
        let blobs = [(Digest::of(b""), 0)];
        let made = with_diff_ids(config, &blobs).unwrap();
        assert_eq!(Config::parse(&made).unwrap().diff_ids, [blobs[0].0]);
        // What reads as a structure may be a list of its fields.
        let list = br#"["amd64", "linux", null, ["layers", []]]"#;
        with_diff_ids(list, &blobs).unwrap_err();
        let rootfs = br#"{"os":"linux","rootfs":["layers", []]}"#;
        with_diff_ids(rootfs, &blobs).unwrap();
    }
}
