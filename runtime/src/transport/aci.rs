//! rkt's image files (appc specification, aci.md): a tar archive with the JSON document `manifest` and the directory
//! `rootfs/`.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::LocalError;

/// The document that describes the image.
pub(super) const MANIFEST: &str = "manifest";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    ac_kind: String,
    #[serde(default)]
    labels: Vec<Pair>,
    #[serde(default)]
    app: Option<App>,
    #[serde(default)]
    dependencies: Vec<Value>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct App {
    exec: Vec<String>,
    user: String,
    group: String,
    working_directory: String,
    environment: Vec<Pair>,
}

/// The image's configuration, as OCI has it, without the layer; from the manifest of the archive at `path`.
pub(super) fn configuration(path: &Path, bytes: &[u8]) -> Result<Value, LocalError> {
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(|source| LocalError::Json {
        path: path.join(MANIFEST),
        source,
    })?;
    let refused = |why| LocalError::Unfit {
        path: path.to_owned(),
        why,
    };
    if manifest.ac_kind != "ImageManifest" {
        return Err(refused("is no image of appc's"));
    }
    if !manifest.dependencies.is_empty() {
        return Err(refused(
            "depends on other images, which is not supported (render it first)",
        ));
    }
    let label = |name: &str| {
        let pair = manifest.labels.iter().find(|pair| pair.name == name);
        pair.map(|pair| pair.value.as_str()).unwrap_or_default()
    };
    let app = manifest.app.unwrap_or_default();
    let user = match (&*app.user, &*app.group) {
        (user, "") => user.to_owned(),
        (user, group) => format!("{user}:{group}"),
    };
    let environment: Vec<String> = app
        .environment
        .iter()
        .map(|pair| format!("{}={}", pair.name, pair.value))
        .collect();
    Ok(json!({
        "architecture": label("arch"),
        "os": if label("os").is_empty() { "linux" } else { label("os") },
        "config": {
            "Cmd": app.exec,
            "User": user,
            "WorkingDir": app.working_directory,
            "Env": environment,
        },
    }))
}
