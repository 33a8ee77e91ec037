//! The two documents a registry serves under a tag: the manifest of one image, and the index of several for different
//! machines (OCI image specification, manifest.md and image-index.md; Docker's schema 2 and manifest list are the
//! same with other media types).

use serde::Deserialize;

use super::descriptor::{Descriptor, DescriptorError, printable};
use super::object::Object;
use super::platform::Platform;

/// A larger manifest or index is refused, in bytes (the distribution specification's advice).
pub const MAX_MANIFEST: u64 = 4 * 1024 * 1024;
/// The kernel stacks at most 500 overlay layers (`OVL_MAX_STACK`).
pub const MAX_LAYERS: usize = 500;

/// One image: its configuration and its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The configuration.
    pub config: Descriptor,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
}

/// Several images, of which one suits the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Manifests, or indexes again.
    pub manifests: Vec<Descriptor>,
}

/// Whichever of the two the bytes turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// A choice.
    Index(Index),
}

/// Why bytes are no usable manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the JSON expected.
    #[error("the image manifest is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// Larger than we read.
    #[error("the image manifest has {0} bytes; at most {MAX_MANIFEST} are read")]
    TooLarge(u64),
    /// Docker's first format, which carries no digests of its layers' content.
    #[error(
        "the image manifest has schema version {0}; only version 2 is supported (push the image again with a newer tool)"
    )]
    Schema(u64),
    /// Neither manifest nor index.
    #[error("unsupported manifest media type `{0}`")]
    MediaType(String),
    /// Said to be one thing, made like the other: two readers would disagree about the content.
    #[error("the image manifest is ambiguous: it has both `layers` and `manifests`")]
    Ambiguous,
    /// More than a kernel can stack.
    #[error("the image has {0} layers; at most {MAX_LAYERS} are supported")]
    TooManyLayers(usize),
    /// No image for this machine.
    #[error("the image is not made for {wanted}; it is made for {offered}")]
    Platform {
        /// This machine.
        wanted: Platform,
        /// The index's, comma-separated.
        offered: String,
    },
    /// A layer we cannot unpack.
    #[error(transparent)]
    Layer(#[from] DescriptorError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: u64,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    config: Option<Object<Descriptor>>,
    #[serde(default)]
    layers: Option<Vec<Object<Descriptor>>>,
    #[serde(default)]
    manifests: Option<Vec<Object<Descriptor>>>,
}

impl Document {
    /// Reads a manifest or an index.
    ///
    /// # Errors
    /// The bytes are too many, not JSON of either shape, of an unknown media type, or ambiguous.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() as u64 > MAX_MANIFEST {
            return Err(ManifestError::TooLarge(bytes.len() as u64));
        }
        let Object::<Raw>(raw) = serde_json::from_slice(bytes)?;
        if raw.schema_version != 2 {
            return Err(ManifestError::Schema(raw.schema_version));
        }
        let known = |kinds: [&str; 2]| {
            raw.media_type
                .as_deref()
                .is_none_or(|kind| kinds.contains(&kind))
        };
        let unknown =
            || ManifestError::MediaType(printable(raw.media_type.as_deref().unwrap_or_default()));
        match (raw.config, raw.layers, raw.manifests) {
            (Some(Object(config)), Some(layers), None) => {
                let layers: Vec<Descriptor> = layers.into_iter().map(|layer| layer.0).collect();
                if !known([
                    "application/vnd.oci.image.manifest.v1+json",
                    "application/vnd.docker.distribution.manifest.v2+json",
                ]) {
                    return Err(unknown());
                }
                if layers.len() > MAX_LAYERS {
                    return Err(ManifestError::TooManyLayers(layers.len()));
                }
                for layer in &layers {
                    layer.check_layer()?;
                }
                Ok(Self::Manifest(Manifest { config, layers }))
            }
            (None, None, Some(manifests)) => {
                let manifests = manifests.into_iter().map(|manifest| manifest.0).collect();
                if !known([
                    "application/vnd.oci.image.index.v1+json",
                    "application/vnd.docker.distribution.manifest.list.v2+json",
                ]) {
                    return Err(unknown());
                }
                Ok(Self::Index(Index { manifests }))
            }
            (_, Some(_), Some(_)) | (Some(_), _, Some(_)) => Err(ManifestError::Ambiguous),
            _ => Err(unknown()),
        }
    }
}

impl Index {
    /// The image that suits `host` best.
    ///
    /// # Errors
    /// None does.
    pub fn choose(&self, host: &Platform) -> Result<&Descriptor, ManifestError> {
        let mut best: Option<(u32, &Descriptor)> = None;
        for descriptor in &self.manifests {
            let rank = descriptor
                .platform
                .as_ref()
                .and_then(|platform| platform.suits(host));
            // The first of equals wins, as in every other engine.
            if let Some(rank) = rank.filter(|rank| best.is_none_or(|(other, _)| *rank > other)) {
                best = Some((rank, descriptor));
            }
        }
        if let Some((_, descriptor)) = best {
            return Ok(descriptor);
        }
        if let [only] = &self.manifests[..]
            && only.platform.is_none()
        {
            return Ok(only);
        }
        let platforms = self.manifests.iter().filter_map(|d| d.platform.as_ref());
        let mut offered: Vec<String> = platforms
            .map(|p| printable(&p.to_string()))
            .take(16)
            .collect();
        offered.retain(|platform| platform != "unknown/unknown");
        Err(ManifestError::Platform {
            wanted: host.clone(),
            offered: if offered.is_empty() {
                "no platform that it names".to_owned()
            } else {
                offered.join(", ")
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn refused(text: &str) -> String {
        Document::parse(&text.replace("DIGEST", DIGEST).into_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn schema_2_and_oci_are_the_same() {
        for (manifest, layer) in [
            (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ),
            (
                "application/vnd.oci.image.manifest.v1+json",
                "application/vnd.oci.image.layer.v1.tar+zstd",
            ),
        ] {
            let text = format!(
                r#"{{"schemaVersion":2,"mediaType":"{manifest}","config":{{"mediaType":"x","digest":"{DIGEST}","size":7}},
                "layers":[{{"mediaType":"{layer}","digest":"{DIGEST}","size":9}}]}}"#
            );
            let Document::Manifest(manifest) = Document::parse(text.as_bytes()).unwrap() else {
                panic!("an index")
            };
            assert_eq!((manifest.config.size, manifest.layers[0].size), (7, 9));
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        insta::assert_snapshot!(refused(r#"{"schemaVersion":1,"name":"x","fsLayers":[]}"#), @"the image manifest has schema version 1; only version 2 is supported (push the image again with a newer tool)");
        insta::assert_snapshot!(refused(r#"{"schemaVersion":2,"mediaType":"text/html\u001b[31m","manifests":[]}"#), @"unsupported manifest media type `text/html�[31m`");
        insta::assert_snapshot!(refused(r#"{"schemaVersion":2,"layers":[],"manifests":[]}"#), @"the image manifest is ambiguous: it has both `layers` and `manifests`");
        insta::assert_snapshot!(refused(r#"{"schemaVersion":2}"#), @"unsupported manifest media type ``");
        insta::assert_snapshot!(refused(r#"<html>"#), @"the image manifest is not valid: expected value at line 1 column 1");
        insta::assert_snapshot!(refused(r#"{"schemaVersion":2,"config":{"digest":"DIGEST","size":-1},"layers":[]}"#), @"the image manifest is not valid: invalid value: integer `-1`, expected u64 at line 1 column 121");
        insta::assert_snapshot!(refused(r#"{"schemaVersion":2,"config":{"digest":"DIGEST","size":1},
            "layers":[{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"DIGEST","size":1}]}"#), @"layer sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 is a foreign layer (`application/vnd.docker.image.rootfs.foreign.diff.tar.gzip`), which registries do not serve");
        insta::assert_snapshot!(refused(r#"{"schemaVersion":2,"config":{"digest":"DIGEST","size":1},
            "layers":[{"mediaType":"application/vnd.in-toto+json","digest":"DIGEST","size":1}]}"#), @"layer sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 has the unsupported media type `application/vnd.in-toto+json`");
    }

    #[test]
    fn an_index_without_our_platform_says_what_it_has() {
        let text = r#"{"schemaVersion":2,"manifests":[
            {"digest":"DIGEST","size":1,"platform":{"os":"linux","architecture":"s390x"}},
            {"digest":"DIGEST","size":1,"platform":{"os":"unknown","architecture":"unknown"}},
            {"digest":"DIGEST","size":1,"platform":{"os":"windows","architecture":"amd64"}}]}"#
            .replace("DIGEST", DIGEST);
        let Document::Index(index) = Document::parse(text.as_bytes()).unwrap() else {
            panic!("a manifest")
        };
        let host = Platform {
            os: "linux".into(),
            architecture: "amd64".into(),
            variant: None,
        };
        insta::assert_snapshot!(index.choose(&host).unwrap_err(), @"the image is not made for linux/amd64; it is made for linux/s390x, windows/amd64");
    }
}
