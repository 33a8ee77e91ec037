//! From the document under a tag to one image: its configuration and its layers, all checked against their digests.

use serde_json::{Value, json};

use super::error::{LocalError, TransportError};
use super::files::Files;
use super::layout;

use crate::image::{
    Config, ConfigError, Descriptor, Digest, Document, MAX_CONFIG, MAX_MANIFEST, Platform,
    Reference,
};
use crate::layer::Form;
use crate::registry::Client;

/// An index of indexes of images: nobody goes further.
const MAX_DEPTH: usize = 3;

/// What an image is made of.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// Of the document under the tag; what `name@digest` would pin.
    pub(crate) digest: Option<Digest>,
    /// The documents to keep: that one, the manifest, the configuration last.
    pub(crate) documents: Vec<Vec<u8>>,
    pub(crate) config: Config,
    /// Base first.
    pub(crate) layers: Vec<Layer>,
    /// The configuration document of an image that has none, but for its layers.
    pub(crate) template: Option<Value>,
}

/// One layer.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    /// What it must unpack to; unknown for a bare archive.
    pub(crate) diff_id: Option<Digest>,
    /// As it is stored, bytes.
    pub(crate) size: u64,
    /// What its bytes are.
    pub(crate) form: Form,
    pub(super) at: At,
}

/// Where a layer's bytes are.
#[derive(Debug, Clone)]
pub(super) enum At {
    Blob(Descriptor),
    File(String),
}

impl Resolved {
    /// A root file system in a file of its own, with what is said about it in the words of a configuration.
    pub(super) fn bare(size: u64, form: Form, template: Value) -> Result<Self, TransportError> {
        let layer = Layer {
            diff_id: None,
            size,
            form,
            at: At::File(String::new()),
        };
        let config = Config::parse(&with_layers(&template, &[])?)?;
        Ok(Self {
            digest: None,
            documents: Vec::new(),
            config,
            layers: vec![layer],
            template: Some(template),
        })
    }

    /// Joins the layers with the configuration's diff IDs.
    pub(super) fn new(
        digest: Option<Digest>,
        mut documents: Vec<Vec<u8>>,
        config: Vec<u8>,
        layers: Vec<(u64, At)>,
    ) -> Result<Self, TransportError> {
        let parsed = Config::parse(&config)?;
        if parsed.diff_ids.len() != layers.len() {
            return Err(LocalError::Layers {
                layers: layers.len(),
                diff_ids: parsed.diff_ids.len(),
            }
            .into());
        }
        let join = |((size, at), diff_id): ((u64, At), &Digest)| Layer {
            diff_id: Some(*diff_id),
            size,
            form: Form::Tar,
            at,
        };
        let layers = layers.into_iter().zip(&parsed.diff_ids).map(join).collect();
        documents.push(config);
        Ok(Self {
            digest,
            documents,
            config: parsed,
            layers,
            template: None,
        })
    }
}

/// A configuration document with its layers.
pub(crate) fn with_layers(template: &Value, diff_ids: &[Digest]) -> Result<Vec<u8>, ConfigError> {
    let mut document = template.clone();
    if let Some(fields) = document.as_object_mut() {
        let rootfs = json!({ "type": "layers", "diff_ids": diff_ids });
        fields.insert("rootfs".to_owned(), rootfs);
    }
    Ok(serde_json::to_vec(&document)?)
}

/// Where the documents that others point to are.
pub(super) enum Documents<'a> {
    Registry {
        client: &'a Client,
        reference: &'a Reference,
    },
    Layout(&'a Files),
    Directory(&'a Files),
}

impl Documents<'_> {
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>, TransportError> {
        match self {
            Self::Registry { client, reference } => {
                Ok(client.manifest_of(reference, descriptor).await?.bytes)
            }
            Self::Layout(_) | Self::Directory(_) => self.local(descriptor, MAX_MANIFEST).await,
        }
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, TransportError> {
        if descriptor.size > MAX_CONFIG {
            return Err(crate::image::ConfigError::TooLarge(descriptor.size).into());
        }
        let Self::Registry { client, reference } = self else {
            return self.local(descriptor, MAX_CONFIG).await;
        };
        let mut blob = client.blob(reference, descriptor)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = blob.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn local(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, TransportError> {
        let (files, name) = match self {
            Self::Layout(files) => (files, layout::blob(&descriptor.digest)),
            Self::Directory(files) => (files, descriptor.digest.hex()),
            Self::Registry { .. } => return Err(LocalError::Nested.into()),
        };
        Ok(files
            .open(&name)
            .await?
            .checked(descriptor)?
            .read(limit)
            .await?)
    }
}

/// Follows `top` to the image for `host`.
pub(super) async fn resolve(
    documents: &Documents<'_>,
    top: Vec<u8>,
    host: &Platform,
) -> Result<Resolved, TransportError> {
    let digest = Digest::of(&top);
    let mut kept = vec![top];
    for _ in 0..MAX_DEPTH {
        let Some(last) = kept.last() else { break };
        match Document::parse(last)? {
            Document::Index(index) => {
                let document = documents.manifest(index.choose(host)?).await?;
                kept.push(document);
            }
            Document::Manifest(manifest) => {
                let config = documents.config(&manifest.config).await?;
                let layers = manifest
                    .layers
                    .into_iter()
                    .map(|layer| (layer.size, At::Blob(layer)))
                    .collect();
                return Resolved::new(Some(digest), kept, config, layers);
            }
        }
    }
    Err(LocalError::Nested.into())
}
