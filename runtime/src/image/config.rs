//! An image's configuration: what to run and the layers' diff IDs (OCI image specification, config.md; Docker's is the
//! same in the fields read here).

use serde::{Deserialize, Serialize};

use super::Digest;
use super::healthcheck::{Healthcheck, RawHealthcheck};
use super::manifest::MAX_LAYERS;
use super::object::Object;

/// A larger configuration is refused, in bytes.
pub(crate) const MAX_CONFIG: u64 = 8 * 1024 * 1024;

/// What an image says of how to run it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// `NAME=value` each.
    pub env: Vec<String>,
    /// The first words of the command line, before `cmd`.
    pub entrypoint: Vec<String>,
    /// The default arguments, or the whole command line when there is no entrypoint.
    pub cmd: Vec<String>,
    /// `user[:group]`, names or numbers; `None` is root.
    pub user: Option<String>,
    /// Absolute; `None` is `/`.
    pub working_dir: Option<String>,
    /// `GOARCH` of the programs inside; empty when the image does not say.
    pub architecture: String,
    /// How to see whether what runs in it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The uncompressed layers' digests, base first.
    pub diff_ids: Vec<Digest>,
}

/// Why bytes are no usable image configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not the JSON expected.
    #[error("the image configuration is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// Larger than we read.
    #[error("the image configuration has {0} bytes; at most {MAX_CONFIG} are read")]
    TooLarge(u64),
    /// Layers that are not diffs.
    #[error("the image configuration's rootfs is of type `{0}`, not `layers`")]
    Rootfs(String),
    /// More than a kernel can stack.
    #[error("the image has {0} layers; at most {MAX_LAYERS} are supported")]
    TooManyLayers(usize),
    /// An image of another operating system.
    #[error("the image is made for `{0}`, not for linux")]
    Os(String),
    /// A health check that is none.
    #[error("the image configuration's `Healthcheck` has a negative `{0}`")]
    Healthcheck(&'static str),
    /// A field with a byte that no kernel interface can carry.
    #[error("the image configuration's `{0}` holds a NUL byte")]
    Nul(&'static str),
}

/// The document as it is written; `null` and a missing field are the same to Docker.
#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    config: Option<Object<RawExecution>>,
    rootfs: Object<RawRootfs>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct RawExecution {
    #[serde(default)]
    env: Option<Vec<String>>,
    #[serde(default)]
    entrypoint: Option<Vec<String>>,
    #[serde(default)]
    cmd: Option<Vec<String>>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    working_dir: Option<String>,
    #[serde(default)]
    healthcheck: Option<Object<RawHealthcheck>>,
}

#[derive(Deserialize)]
struct RawRootfs {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

impl Config {
    /// Reads a configuration document.
    ///
    /// # Errors
    /// It is too large, not JSON of that shape, or says something that cannot be run.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() as u64 > MAX_CONFIG {
            return Err(ConfigError::TooLarge(bytes.len() as u64));
        }
        let Object::<Raw>(raw) = serde_json::from_slice(bytes)?;
        let Object(rootfs) = raw.rootfs;
        if rootfs.kind != "layers" {
            return Err(ConfigError::Rootfs(super::descriptor::printable(
                &rootfs.kind,
            )));
        }
        if let Some(os) = raw.os.filter(|os| !os.is_empty() && os != "linux") {
            return Err(ConfigError::Os(super::descriptor::printable(&os)));
        }
        let execution = raw.config.map(|Object(config)| config).unwrap_or_default();
        let config = Self {
            env: execution.env.unwrap_or_default(),
            entrypoint: execution.entrypoint.unwrap_or_default(),
            cmd: execution.cmd.unwrap_or_default(),
            user: execution.user.filter(|user| !user.is_empty()),
            working_dir: execution.working_dir.filter(|dir| !dir.is_empty()),
            architecture: raw.architecture.unwrap_or_default(),
            healthcheck: match execution.healthcheck {
                Some(Object(raw)) => raw.read()?,
                None => None,
            },
            diff_ids: rootfs.diff_ids.unwrap_or_default(),
        };
        if config.diff_ids.len() > MAX_LAYERS {
            return Err(ConfigError::TooManyLayers(config.diff_ids.len()));
        }
        config.refuse_nul()?;
        Ok(config)
    }

    fn refuse_nul(&self) -> Result<(), ConfigError> {
        let lists = [
            ("Env", &self.env),
            ("Entrypoint", &self.entrypoint),
            ("Cmd", &self.cmd),
        ];
        for (name, list) in lists {
            if list.iter().any(|text| text.contains('\0')) {
                return Err(ConfigError::Nul(name));
            }
        }
        if self.healthcheck.as_ref().is_some_and(Healthcheck::has_nul) {
            return Err(ConfigError::Nul("Healthcheck"));
        }
        for (name, text) in [("User", &self.user), ("WorkingDir", &self.working_dir)] {
            if text.as_ref().is_some_and(|text| text.contains('\0')) {
                return Err(ConfigError::Nul(name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_writes_is_read() {
        let text = r#"{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z",
            "config":{"Env":["PATH=/usr/bin"],"Entrypoint":null,"Cmd":["bash"],"User":"","WorkingDir":"/srv"},
            "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
            "history":[{"empty_layer":true}]}"#;
        insta::assert_debug_snapshot!(Config::parse(text.as_bytes()).unwrap(), @r#"
        Config {
            env: [
                "PATH=/usr/bin",
            ],
            entrypoint: [],
            cmd: [
                "bash",
            ],
            user: None,
            working_dir: Some(
                "/srv",
            ),
            architecture: "amd64",
            healthcheck: None,
            diff_ids: [
                sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855,
            ],
        }
        "#);
    }

    #[test]
    fn what_cannot_run_is_refused_by_name() {
        let refused = |text: &str| Config::parse(text.as_bytes()).unwrap_err().to_string();
        insta::assert_snapshot!(refused(r#"{"os":"windows","rootfs":{"type":"layers"}}"#), @"the image is made for `windows`, not for linux");
        insta::assert_snapshot!(refused(r#"{"rootfs":{"type":"squash"}}"#), @"the image configuration's rootfs is of type `squash`, not `layers`");
        insta::assert_snapshot!(refused(r#"{"config":{"Cmd":["a\u0000b"]},"rootfs":{"type":"layers"}}"#), @"the image configuration's `Cmd` holds a NUL byte");
        for list in [
            "[]",
            r#"["amd64","linux",null,{"type":"layers"}]"#,
            r#"{"rootfs":["layers",[]]}"#,
            r#"{"config":[["A=b"]],"rootfs":{"type":"layers"}}"#,
        ] {
            let why = refused(list);
            assert!(
                why.contains("invalid type: sequence, expected an object"),
                "{why}"
            );
        }
        insta::assert_snapshot!(refused(r#"{"config":{"Env":"PATH=/"},"rootfs":{"type":"layers"}}"#), @r#"the image configuration is not valid: invalid type: string "PATH=/", expected a sequence at line 1 column 25"#);
        let many = format!(
            r#"{{"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
            vec![Digest::of(b"").to_string(); 600].join("\",\"")
        );
        insta::assert_snapshot!(refused(&many), @"the image has 600 layers; at most 500 are supported");
    }
}
