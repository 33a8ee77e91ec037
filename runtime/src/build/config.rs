//! An image's configuration while it is being made (OCI image specification, config.md, with Docker's own fields).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::image::{Config, ConfigError, Digest, Platform};

/// Of what a line of the history says, bytes.
const LONGEST: usize = 4096;
const SHELL: [&str; 2] = ["/bin/sh", "-c"];
/// For an image that says nothing, as Docker has it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image in the making.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Names and values, in order.
    pub(super) env: Vec<(String, String)>,
    /// `config` of the document, without what has a field here; kept as it is.
    pub(super) fields: Map<String, Value>,
    pub(super) user: Option<String>,
    /// Absolute.
    pub(super) directory: String,
    pub(super) shell: Vec<String>,
    /// `CMD` was said here, and not by the image below.
    pub(super) has_own_command: bool,
    /// Instructions for who builds on it.
    pub(super) triggers: Vec<String>,
    /// Base first, as in the document.
    pub(super) layers: Vec<Digest>,
    history: Vec<Value>,
    created: String,
    author: Option<String>,
    platform: Platform,
}

impl Draft {
    /// An image with nothing in it.
    pub(super) fn empty() -> Self {
        Self {
            env: vec![("PATH".to_owned(), PATH.to_owned())],
            fields: Map::new(),
            user: None,
            directory: "/".to_owned(),
            shell: SHELL.map(str::to_owned).into(),
            has_own_command: false,
            triggers: Vec::new(),
            layers: Vec::new(),
            history: Vec::new(),
            // As everything that has no time.
            created: super::written(0),
            author: None,
            platform: Platform::host(),
        }
    }

    /// What an image says.
    pub(super) fn of(document: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::parse(document)?;
        let mut whole: Map<String, Value> = serde_json::from_slice(document)?;
        let mut fields = match whole.remove("config") {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let mut texts = |name: &str| -> Vec<String> {
            let value = fields.remove(name).unwrap_or_default();
            serde_json::from_value(value).unwrap_or_default()
        };
        let (shell, triggers) = (texts("Shell"), texts("OnBuild"));
        for name in ["Env", "User", "WorkingDir"] {
            fields.remove(name);
        }
        fields.retain(|_, value| !value.is_null());
        let text = |name: &str| whole.get(name).and_then(Value::as_str).map(str::to_owned);
        let platform = Platform {
            architecture: match config.architecture {
                empty if empty.is_empty() => Platform::host().architecture,
                architecture => architecture,
            },
            os: "linux".to_owned(),
            variant: text("variant"),
        };
        let mut history = match whole.get("history") {
            Some(Value::Array(history)) => history.clone(),
            _ => Vec::new(),
        };
        let is_layer = |line: &&Value| line.get("empty_layer") != Some(&Value::Bool(true));
        if history.iter().filter(is_layer).count() != config.diff_ids.len() {
            // Readers hold a line against each layer.
            history = vec![json!({}); config.diff_ids.len()];
        }
        let env = config.env.iter().map(|line| {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            (name.to_owned(), value.to_owned())
        });
        let mut draft = Self {
            env: env.collect(),
            fields,
            user: config.user,
            directory: config.working_dir.unwrap_or_else(|| "/".to_owned()),
            has_own_command: false,
            triggers,
            layers: config.diff_ids,
            history,
            created: text("created").unwrap_or_else(|| super::written(0)),
            author: text("author"),
            platform,
            ..Self::empty()
        };
        if !shell.is_empty() {
            draft.shell = shell;
        }
        if !draft.env.iter().any(|(name, _)| name == "PATH") {
            draft.set_env("PATH", PATH);
        }
        Ok(draft)
    }

    pub(super) fn set_env(&mut self, name: &str, value: &str) {
        match self.env.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.env.push((name.to_owned(), value.to_owned())),
        }
    }

    pub(super) fn env(&self, name: &str) -> Option<String> {
        let found = self.env.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone())
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// Adds a name to a field that is an object.
    pub(super) fn add(&mut self, field: &str, name: &str, value: Value) {
        let entry = self.fields.entry(field).or_insert_with(|| json!({}));
        if !entry.is_object() {
            *entry = json!({});
        }
        if let Value::Object(all) = entry {
            all.insert(name.to_owned(), value);
        }
    }

    pub(super) fn set_author(&mut self, author: &str) {
        self.author = Some(author.to_owned());
    }

    /// Adds a line of the history, for a layer made then or, without one, for what only says something.
    pub(super) fn record(&mut self, by: &str, layer: Option<(Digest, &str)>) {
        let mut end = by.len().min(LONGEST);
        while !by.is_char_boundary(end) {
            end -= 1;
        }
        let by = &by[..end];
        match layer {
            Some((digest, created)) => {
                created.clone_into(&mut self.created);
                self.layers.push(digest);
                self.history
                    .push(json!({ "created": created, "created_by": by }));
            }
            None => {
                let created = &self.created;
                self.history
                    .push(json!({ "created": created, "created_by": by, "empty_layer": true }));
            }
        }
    }

    /// Names of layers for a root, base first: each once, where it is uppermost, as overlayfs wants them.
    pub(super) fn root(&self) -> Vec<String> {
        let is_uppermost = |at: usize| !self.layers[at + 1..].contains(&self.layers[at]);
        (0..self.layers.len())
            .filter(|at| is_uppermost(*at))
            .map(|at| format!("layers/{}", self.layers[at].hex()))
            .collect()
    }

    /// The document.
    pub(super) fn document(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut config = self.fields.clone();
        let lines = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        config.insert("Env".to_owned(), lines.collect::<Vec<_>>().into());
        if let Some(user) = &self.user {
            config.insert("User".to_owned(), user.clone().into());
        }
        config.insert("WorkingDir".to_owned(), self.directory.clone().into());
        if self.shell != SHELL {
            config.insert("Shell".to_owned(), self.shell.clone().into());
        }
        if !self.triggers.is_empty() {
            config.insert("OnBuild".to_owned(), self.triggers.clone().into());
        }
        let mut document: BTreeMap<&str, Value> = BTreeMap::from([
            ("architecture", self.platform.architecture.clone().into()),
            ("config", config.into()),
            ("created", self.created.clone().into()),
            ("history", self.history.clone().into()),
            ("os", "linux".into()),
            (
                "rootfs",
                json!({ "type": "layers", "diff_ids": self.layers }),
            ),
        ]);
        document.extend(self.author.clone().map(|author| ("author", author.into())));
        let variant = self.platform.variant.clone();
        document.extend(variant.map(|variant| ("variant", variant.into())));
        serde_json::to_vec(&document)
    }
}
