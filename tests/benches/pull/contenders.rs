//! Everybody who can pull an image, or do the work that a pull cannot avoid.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::Docker;

use crate::image::Compression;

const DOCKER: &str = "docker pull";

/// Somebody, as a script of bash whose working directory is an empty store.
pub(crate) struct Contender {
    pub(crate) name: String,
    /// What is not measured: it has the store empty.
    before: &'static str,
    script: String,
    variables: Vec<(&'static str, String)>,
    /// The process that does the work, where that is not the script.
    pub(crate) daemon: Option<u32>,
}

impl Contender {
    pub(crate) fn prepare(&self, store: &Path) -> Result<(), Box<dyn Error>> {
        let status = self.bash(self.before, store).status()?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("`{}` ended with {status}", self.before).into()),
        }
    }

    pub(crate) fn command(&self, store: &Path) -> Command {
        self.bash(&self.script, store)
    }

    fn bash(&self, script: &str, store: &Path) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("set -euo pipefail; {script}")])
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(store);
        command
    }
}

/// Ours first; then the peers that are installed; then the floors.
pub(crate) fn all(
    agent: &Path,
    reference: &str,
    compression: Compression,
    blobs: &[PathBuf],
    place: &Path,
    docker: Option<&Docker>,
) -> Result<Vec<Contender>, Box<dyn Error>> {
    let policy = place.join("policy.json");
    std::fs::write(
        &policy,
        r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
    )?;
    let files: Vec<String> = blobs
        .iter()
        .map(|blob| blob.display().to_string())
        .collect();
    let mut variables = vec![
        ("AGENT", agent.display().to_string()),
        ("IMAGE", reference.to_owned()),
        ("POLICY", policy.display().to_string()),
        ("BLOBS", files.join(" ")),
        ("URLS", urls(reference, blobs)?),
    ];
    variables.extend(docker.map(|docker| ("DOCKER_HOST", docker.host())));
    let inflate = match compression {
        Compression::Gzip => "libdeflate-gunzip -c",
        Compression::Zstd => "zstd -dcq",
        Compression::None => "cat",
    };
    let mut scripts = vec![
        (
            "agent pull".to_owned(),
            "SLIPWAY_DATA=$PWD/data \"$AGENT\" pull \"$IMAGE\"".to_owned(),
        ),
        (
            "podman pull".to_owned(),
            "exec podman --root \"$PWD/root\" --runroot \"$PWD/run\" --storage-driver overlay pull -q \
             --signature-policy \"$POLICY\" --tls-verify=false \"$IMAGE\""
                .to_owned(),
        ),
        (
            "skopeo copy, umoci unpack".to_owned(),
            "skopeo --policy \"$POLICY\" copy -q --src-tls-verify=false \"docker://$IMAGE\" oci:layout:x
             umoci unpack --image layout:x bundle"
                .to_owned(),
        ),
    ];
    if docker.is_some() {
        let script = "exec docker pull -q \"$IMAGE\"";
        scripts.insert(2, (DOCKER.to_owned(), script.to_owned()));
    }
    if compression == Compression::Gzip {
        scripts.push((
            "curl | tee sha256sum | pigz -d | tar x".to_owned(),
            "n=0; for url in $URLS; do mkdir $((++n)); \
             curl -sf \"$url\" | tee >(sha256sum >/dev/null) | pigz -dc | tar -xf - -C $n; done"
                .to_owned(),
        ));
    }
    scripts.push((
        format!("{inflate} FILE | tar x, two at once"),
        format!(
            "printf '%s\\n' $BLOBS | xargs -P 2 -I@ sh -c 'd=$(mktemp -d -p .); {inflate} @ | tar -xf - -C $d'"
        ),
    ));
    let mut found = Vec::new();
    for (name, script) in scripts {
        let is_docker = name == DOCKER;
        let contender = Contender {
            before: match is_docker {
                true => "docker image rm -f \"$IMAGE\" >/dev/null 2>&1 || true",
                false => "true",
            },
            daemon: docker.filter(|_| is_docker).map(Docker::id),
            name,
            script,
            variables: variables.clone(),
        };
        if works(&contender, place)? {
            found.push(contender);
        } else {
            crate::left_out(&contender.name);
        }
    }
    Ok(found)
}

/// Tries it once, which also warms whatever it has to read.
fn works(contender: &Contender, place: &Path) -> Result<bool, Box<dyn Error>> {
    let store = place.join("trial");
    std::fs::create_dir_all(&store)?;
    let status = contender
        .command(&store)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    let _ = std::fs::remove_dir_all(&store);
    Ok(status.success())
}

/// Where the registry has the blobs.
fn urls(reference: &str, blobs: &[PathBuf]) -> Result<String, Box<dyn Error>> {
    let (host, name) = reference
        .trim_end_matches(":latest")
        .split_once('/')
        .ok_or("a reference names its registry")?;
    let mut all = Vec::new();
    for blob in blobs {
        let done = Command::new("sha256sum").arg(blob).output()?;
        let text = String::from_utf8(done.stdout)?;
        let digest = text.split_whitespace().next().ok_or("no digest")?;
        all.push(format!("http://{host}/v2/{name}/blobs/sha256:{digest}"));
    }
    Ok(all.join(" "))
}
