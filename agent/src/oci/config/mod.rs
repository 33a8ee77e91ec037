//! `config.json`, in the words of the specification (config.md, config-linux.md). What it says and this runtime does not
//! offer is refused by name (`refused`); properties that nobody knows are passed over, as the specification wants it.

mod hooks;
mod linux;
mod process;
mod refused;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Deserializer};

pub(super) use hooks::{Hook, Hooks};
pub(super) use linux::{
    IdMapping, Linux, LinuxDevice, LinuxResources, NamespaceType, Seccomp, SeccompArg,
};
pub(super) use process::{Capabilities, Process};
pub use refused::REFUSED;

use super::OciError;

/// The file's name in a bundle.
pub(super) const CONFIG: &str = "config.json";
/// Largest file that is read, bytes.
const LARGEST: u64 = 4 << 20;

/// A bundle's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) oci_version: String,
    #[serde(default)]
    pub(super) process: Option<Process>,
    #[serde(default)]
    pub(super) root: Option<Root>,
    #[serde(default)]
    pub(super) hostname: String,
    #[serde(default)]
    pub(super) domainname: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) mounts: Vec<Mount>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) hooks: Hooks,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) linux: Linux,
}

/// The root file system.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Root {
    /// Absolute, or relative to the bundle.
    pub(super) path: String,
    #[serde(default)]
    pub(super) readonly: bool,
}

/// Something mounted on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Mount {
    pub(super) destination: String,
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) source: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) options: Vec<String>,
}

impl Spec {
    /// Reads a bundle's.
    pub(super) fn read(bundle: &Path) -> Result<Self, OciError> {
        let path = bundle.join(CONFIG);
        let failed = |source| OciError::Read {
            path: path.clone(),
            source,
        };
        Self::parse(&read(&path).map_err(failed)?)
    }

    pub(super) fn parse(text: &[u8]) -> Result<Self, OciError> {
        let value: serde_json::Value = serde_json::from_slice(text).map_err(OciError::Syntax)?;
        let spec: Self =
            serde_path_to_error::deserialize(&value).map_err(|error| OciError::Field {
                field: error.path().to_string(),
                problem: error.inner().to_string(),
            })?;
        let mut version = spec.oci_version.split('.');
        let numbers = [version.next(), version.next(), version.next()];
        let is_number = |part: Option<&str>| {
            let digits = part.map(|part| part.split(['-', '+']).next().unwrap_or_default());
            digits.is_some_and(|digits| digits.parse::<u32>().is_ok())
        };
        if numbers[0] != Some("1") || !numbers.into_iter().all(is_number) {
            return Err(OciError::field(
                "ociVersion",
                format!(
                    "{:?} is no version 1 of the specification",
                    spec.oci_version
                ),
            ));
        }
        refused::check(&value)?;
        Ok(spec)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe would wait for somebody to write to it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::other("it has more than 4 MiB"));
    }
    Ok(text)
}

/// `null`, as Go writes a list that nobody has made, is the default.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Spec::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_is_named_by_its_place() {
        insta::assert_snapshot!(refused("{"), @"config.json is no JSON: EOF while parsing an object at line 1 column 1");
        insta::assert_snapshot!(refused("{}"), @"config.json: .: missing field `ociVersion`");
        insta::assert_snapshot!(refused(r#"{"ociVersion":"invalid"}"#), @r#"config.json: ociVersion: "invalid" is no version 1 of the specification"#);
        insta::assert_snapshot!(refused(r#"{"ociVersion":"1.0.0","process":{"cwd":"/","user":{"uid":-1,"gid":0}}}"#), @"config.json: process.user.uid: invalid value: integer `-1`, expected u32");
        insta::assert_snapshot!(refused(r#"{"ociVersion":"1.0.0","mounts":[{"destination":"/a"},{"type":"proc"}]}"#), @"config.json: mounts[1]: missing field `destination`");
    }

    #[test]
    fn nobodys_lists_and_properties_are_nothing() {
        let text = r#"{"ociVersion":"1.0.2-dev","mounts":null,"hooks":null,"unknown":{"a":1},"linux":{"namespaces":null,"resources":{}},"annotations":null}"#;
        let spec = Spec::parse(text.as_bytes()).unwrap();
        assert!(spec.mounts.is_empty() && spec.linux.namespaces.is_empty());
    }
}
