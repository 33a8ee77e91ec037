//! A registry of a few lines for tests, on a loopback port: answers what a function says, breaks connections where it
//! says so, and remembers what it was asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::settings::{Settings, Timing};
use crate::image::Digest;

/// What arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// Names lower-case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// How often the same method and path were asked for before.
    pub(crate) before: usize,
}

/// What goes back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Bytes of the body after which the connection is cut.
    pub(crate) cut: Option<usize>,
    /// Said in place of the body's length.
    pub(crate) length: Option<u64>,
    /// Pauses between single bytes.
    pub(crate) trickle: Option<Duration>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            cut: None,
            length: None,
            trickle: None,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }

    pub(crate) fn trickle(mut self, pause: Duration) -> Self {
        self.trickle = Some(pause);
        self
    }

    pub(crate) fn length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// What Docker's registry says of what it does not have.
    pub(crate) fn not_found() -> Self {
        Self::new(
            404,
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
        )
    }
}

/// A running server; it ends with the test's runtime.
#[derive(Debug, Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    pub(crate) async fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fake = Self {
            address,
            requests: Arc::default(),
        };
        let (requests, answer) = (fake.requests.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (requests, answer) = (requests.clone(), answer.clone());
                tokio::spawn(async move { serve(stream, &requests, &*answer).await });
            }
        });
        fake
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What was asked, a line each, with the headers that tests are about; the port made constant.
    pub(crate) fn log(&self) -> String {
        let requests = self.requests.lock().unwrap();
        let line = |request: &Request| {
            let mut line = format!("{} {}", request.method, request.path);
            for name in ["authorization", "range"] {
                if let Some(value) = request.headers.get(name) {
                    line += &format!(" [{name}: {value}]");
                }
            }
            if !request.body.is_empty() {
                line += &format!(" {}", request.body);
            }
            line
        };
        requests.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.requests
            .lock()
            .unwrap()
            .iter()
            .filter(|request| request.path.contains(path))
            .count()
    }
}

async fn serve(
    stream: TcpStream,
    requests: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request) -> Answer + Sync),
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let answer = {
        let mut requests = requests.lock().unwrap();
        let before = requests
            .iter()
            .filter(|other| other.method == method && other.path == path)
            .count();
        let request = Request {
            method,
            path,
            headers,
            body: String::from_utf8(body).unwrap(),
            before,
        };
        requests.push(request.clone());
        let is_head = request.method == "HEAD";
        (answer(&request), is_head)
    };
    let (answer, is_head) = answer;
    let length = answer.length.unwrap_or(answer.body.len() as u64);
    let mut head = format!(
        "HTTP/1.1 {} Status\r\nContent-Length: {length}\r\nConnection: close\r\n",
        answer.status
    );
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream
        .write_all(format!("{head}\r\n").as_bytes())
        .await
        .ok()?;
    if !is_head {
        let end = answer
            .cut
            .unwrap_or(answer.body.len())
            .min(answer.body.len());
        match answer.trickle {
            None => stream.write_all(&answer.body[..end]).await.ok()?,
            Some(pause) => {
                for byte in &answer.body[..end] {
                    stream.write_all(&[*byte]).await.ok()?;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
    stream.shutdown().await.ok()
}

/// An image's documents and layers under the paths of `/v2/NAME/`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repository {
    pub(crate) paths: BTreeMap<String, Vec<u8>>,
}

impl Repository {
    /// An image with these layers, as stored and with their diff IDs, under a tag.
    pub(crate) fn image(name: &str, tag: &str, layers: &[(Vec<u8>, Digest)]) -> Self {
        let mut repository = Self::default();
        let diff_ids: Vec<_> = layers.iter().map(|(_, id)| format!("\"{id}\"")).collect();
        let config = format!(
            r#"{{"os":"linux","architecture":"{}","config":{{"Env":["A=b"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            crate::image::Platform::host().architecture,
            diff_ids.join(",")
        );
        let config = repository.blob(
            name,
            config.as_bytes(),
            "application/vnd.oci.image.config.v1+json",
        );
        let layers: Vec<_> = layers
            .iter()
            .map(|(bytes, _)| {
                repository.blob(name, bytes, "application/vnd.oci.image.layer.v1.tar+gzip")
            })
            .collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#,
            layers.join(",")
        )
        .into_bytes();
        let digest = Digest::of(&manifest);
        repository
            .paths
            .insert(format!("/v2/{name}/manifests/{tag}"), manifest.clone());
        repository
            .paths
            .insert(format!("/v2/{name}/manifests/{digest}"), manifest);
        repository
    }

    fn blob(&mut self, name: &str, bytes: &[u8], media_type: &str) -> String {
        let digest = Digest::of(bytes);
        self.paths
            .insert(format!("/v2/{name}/blobs/{digest}"), bytes.to_vec());
        format!(
            r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{}}}"#,
            bytes.len()
        )
    }

    pub(crate) fn answer(&self, request: &Request) -> Answer {
        match self.paths.get(&request.path) {
            Some(body) if request.path.contains("/manifests/") => Answer::new(200, body.clone())
                .header("Docker-Content-Digest", Digest::of(body).to_string()),
            Some(body) => Answer::new(200, body.clone()),
            None => Answer::not_found(),
        }
    }
}

/// Settings with which nothing waits, and a `config.json` of their own, gone with them.
pub(crate) struct TestSettings {
    settings: Settings,
    _directory: tempfile::TempDir,
}

impl std::ops::Deref for TestSettings {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl std::ops::DerefMut for TestSettings {
    fn deref_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }
}

/// Without any log-ins, the machine's included.
pub(crate) fn settings() -> TestSettings {
    settings_with("{}")
}

/// With these log-ins.
pub(crate) fn settings_with(config: &str) -> TestSettings {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    std::fs::write(&path, config).unwrap();
    let timing = Timing {
        connect: Duration::from_secs(5),
        idle: Duration::from_secs(5),
        document: Duration::from_secs(5),
        window: Duration::from_secs(5),
        attempts: 3,
        first_pause: Duration::ZERO,
        longest_pause: Duration::from_secs(1),
    };
    let settings = Settings {
        docker_config: Some(path),
        timing,
        ..Settings::default()
    };
    TestSettings {
        settings,
        _directory: directory,
    }
}
