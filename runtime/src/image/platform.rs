//! The machine an image is made for, and the choice among an index's images
//! (OCI image specification, image-index.md; the variants are those of Go's `GOARM` and `GOAMD64`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// An operating system and a processor, in Go's words: `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `GOARCH`: `amd64`, `arm64`, `riscv64`, ..
    pub architecture: String,
    /// `GOOS`; only `linux` runs here.
    pub os: String,
    /// `v7` of an ARM processor, `v2` of an x86-64 one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The machine this process runs on.
    #[must_use]
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", Some("v8")),
            "arm" => ("arm", Some("v7")),
            "powerpc64" => ("ppc64le", None),
            "loongarch64" => ("loong64", None),
            other => (other, None),
        };
        Self {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant: variant.map(str::to_owned),
        }
    }

    /// How well an image made for `self` runs on `host`: `None` not at all, else the higher the better.
    ///
    /// An image without a variant runs anywhere; one with the host's own is preferred; an older one of a numbered
    /// variant (`v6` on `v7`) runs, a newer one does not.
    pub(crate) fn suits(&self, host: &Self) -> Option<u32> {
        if self.os != host.os || self.architecture != host.architecture {
            return None;
        }
        let number = |variant: &str| {
            variant
                .strip_prefix('v')
                .and_then(|n| n.parse::<u32>().ok())
        };
        // Without a variant the plainest machine of an architecture is meant.
        let plainest = match host.architecture.as_str() {
            "amd64" => 1,
            "arm64" => 8,
            "arm" => 5,
            _ => 0,
        };
        let own = match &self.variant {
            None => return Some(plainest),
            Some(variant) => number(variant)?,
        };
        let limit = host.variant.as_deref().map_or(Some(plainest), number)?;
        (own <= limit).then_some(own)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .as_ref()
            .map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        Platform {
            os: parts.next().unwrap(),
            architecture: parts.next().unwrap(),
            variant: parts.next(),
        }
    }

    #[test]
    fn the_nearest_image_that_runs_is_preferred() {
        let best = |host: &str, offered: &[&'static str]| {
            let host = platform(host);
            offered
                .iter()
                .copied()
                .filter_map(|o| Some((platform(o).suits(&host)?, o)))
                .max_by_key(|(rank, _)| *rank)
                .map(|(_, o)| o)
        };
        assert_eq!(best("linux/amd64", &["windows/amd64", "linux/arm64"]), None);
        assert_eq!(
            best("linux/amd64", &["linux/amd64/v3", "linux/amd64"]),
            Some("linux/amd64")
        );
        assert_eq!(
            best(
                "linux/arm/v7",
                &["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"]
            ),
            Some("linux/arm/v7")
        );
        assert_eq!(best("linux/arm/v6", &["linux/arm/v7"]), None);
        assert_eq!(
            best("linux/arm64/v8", &["linux/arm64"]),
            Some("linux/arm64")
        );
        assert_eq!(
            best("linux/riscv64", &["linux/riscv64"]),
            Some("linux/riscv64")
        );
    }
}
