//! What `$x` stands for: `ARG`s and `ENV`s, and which of them a `RUN` sees.

use std::collections::{BTreeMap, BTreeSet};

use crate::dockerfile::Arg;
use crate::image::Platform;

/// Known without being declared; they are nobody's secret, but an image does not depend on them.
const PROXIES: [&str; 10] = [
    "ALL_PROXY",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Values from outside, and what the file says above its first `FROM`.
#[derive(Debug)]
pub(super) struct Globals {
    /// `--build-arg`.
    given: BTreeMap<String, String>,
    /// Those that some `ARG` has asked for.
    asked: BTreeSet<String>,
    values: BTreeMap<String, String>,
}

impl Globals {
    pub(super) fn new(given: &BTreeMap<String, String>, platform: &Platform) -> Self {
        let mut values = BTreeMap::new();
        for whose in ["BUILD", "TARGET"] {
            for (what, value) in [
                ("PLATFORM", platform.to_string()),
                ("OS", platform.os.clone()),
                ("ARCH", platform.architecture.clone()),
                ("VARIANT", platform.variant.clone().unwrap_or_default()),
            ] {
                values.insert(format!("{whose}{what}"), value);
            }
        }
        Self {
            given: given.clone(),
            asked: PROXIES.map(str::to_owned).into(),
            values,
        }
    }

    /// Declares one above the first `FROM`; its default is expanded already.
    pub(super) fn declare(&mut self, name: &str, default: Option<String>) {
        self.asked.insert(name.to_owned());
        let value = self.given.get(name).cloned().or(default);
        self.values
            .extend(value.map(|value| (name.to_owned(), value)));
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// Those that were given and nobody has asked for.
    pub(super) fn unused(&self) -> Vec<&String> {
        let names = self.given.keys();
        names.filter(|name| !self.asked.contains(*name)).collect()
    }
}

/// Those of a stage.
#[derive(Debug, Clone, Default)]
pub(super) struct Args {
    values: BTreeMap<String, String>,
}

impl Args {
    /// Declares one; its default is expanded already.
    pub(super) fn declare(&mut self, arg: &Arg, default: Option<String>, globals: &mut Globals) {
        globals.asked.insert(arg.name.clone());
        let given = globals.given.get(&arg.name).cloned();
        let value = given.or(default).or_else(|| globals.get(&arg.name));
        if let Some(value) = value {
            self.values.insert(arg.name.clone(), value);
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    pub(super) fn all(&self) -> &BTreeMap<String, String> {
        &self.values
    }
}

impl Globals {
    /// Proxies that were given, for every `RUN`.
    pub(super) fn proxies(&self) -> impl Iterator<Item = (&str, &str)> {
        PROXIES.into_iter().filter_map(|name| {
            let value = self.given.get(name)?;
            Some((name, value.as_str()))
        })
    }
}
