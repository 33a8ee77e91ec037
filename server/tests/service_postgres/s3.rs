//! An S3 server with one bucket, which can be slow and refuse. It ends with the test's runtime.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::{Service as _, service_fn};
use hyper::{Method, StatusCode};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use server::{Config, Retention, Storage};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::harness::Server;

#[derive(Debug)]
pub(crate) struct S3 {
    pub(crate) directory: TempDir,
    pub(crate) endpoint: String,
    pub(crate) faults: Arc<Faults>,
}

/// What is wrong with it.
#[derive(Debug)]
pub(crate) struct Faults {
    /// So many requests are answered as failed.
    failing: AtomicUsize,
    /// Each answer takes so long, milliseconds.
    slowness: AtomicU64,
    /// What is written waits, or what is removed.
    holding: watch::Sender<Option<Held>>,
    held: AtomicUsize,
    /// What is written is written, and the answer is that it is not.
    deaf: AtomicBool,
    /// Nothing may be listed, and so nobody is told that something is not there.
    unlistable: AtomicBool,
    /// Nothing is allowed, as with a key that does not count any more.
    refusing: AtomicBool,
    refused: AtomicUsize,
    /// Who makes an object where there is none looks and makes it before anybody else does.
    making: tokio::sync::Mutex<()>,
    root: PathBuf,
}

/// What has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Writes,
    Removals,
}

impl Held {
    fn is(self, request: &hyper::Request<hyper::body::Incoming>) -> bool {
        match self {
            Self::Writes => request.method() == Method::PUT,
            // Of many at once.
            Self::Removals => request.uri().query() == Some("delete"),
        }
    }
}

impl Faults {
    /// Has what is written answered as failed.
    pub(crate) fn deafen(&self, is_deaf: bool) {
        self.deaf.store(is_deaf, Ordering::SeqCst);
    }

    /// Has each answer take so long.
    pub(crate) fn slow_down(&self, milliseconds: u64) {
        self.slowness.store(milliseconds, Ordering::SeqCst);
    }

    /// Has nobody list anything.
    pub(crate) fn forbid_lists(&self) {
        self.unlistable.store(true, Ordering::SeqCst);
    }

    /// Has nobody do anything.
    pub(crate) fn refuse(&self) {
        self.refusing.store(true, Ordering::SeqCst);
    }

    /// Waits until so many requests have been refused.
    pub(crate) async fn wait_for_refused(&self, count: usize) {
        for _ in 0..400 {
            if self.refused.load(Ordering::SeqCst) >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("fewer than {count} requests were refused");
    }

    /// What an object is kept in.
    fn file(&self, request: &hyper::Request<hyper::body::Incoming>) -> PathBuf {
        self.root.join(request.uri().path().trim_start_matches('/'))
    }

    /// Whether a request is not allowed.
    fn is_refused(&self, request: &hyper::Request<hyper::body::Incoming>) -> bool {
        let is_unlistable = self.unlistable.load(Ordering::SeqCst)
            && request.method() == Method::GET
            && !self.file(request).is_file();
        let is_refused = is_unlistable || self.refusing.load(Ordering::SeqCst);
        self.refused
            .fetch_add(usize::from(is_refused), Ordering::SeqCst);
        is_refused
    }

    /// Waits until so many things that are written wait.
    pub(crate) async fn wait_for_held(&self, count: usize) {
        while self.held.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Has the next requests fail.
    pub(crate) fn fail(&self, requests: usize) {
        self.failing.store(requests, Ordering::SeqCst);
    }

    /// How many of them have not come yet.
    pub(crate) fn left(&self) -> usize {
        self.failing.load(Ordering::SeqCst)
    }

    /// Has what is written from now on wait.
    pub(crate) fn hold(&self) {
        self.holding.send_replace(Some(Held::Writes));
    }

    /// Has what is removed from now on wait.
    pub(crate) fn hold_removals(&self) {
        self.holding.send_replace(Some(Held::Removals));
    }

    /// Waits until something waits.
    pub(crate) async fn come(&self) {
        self.wait_for_held(1).await;
    }

    /// Lets it go.
    pub(crate) fn release(&self) {
        self.holding.send_replace(None);
    }

    /// Whether a request fails.
    async fn strike(&self, request: &hyper::Request<hyper::body::Incoming>) -> bool {
        let slowness = self.slowness.load(Ordering::SeqCst);
        if slowness > 0 {
            tokio::time::sleep(Duration::from_millis(slowness)).await;
        }
        let held = *self.holding.borrow();
        if held.is_some_and(|held| held.is(request)) {
            self.held.fetch_add(1, Ordering::SeqCst);
            let mut holding = self.holding.subscribe();
            let _ = holding.wait_for(|holding| holding.is_none()).await;
        }
        let fewer = |left: usize| left.checked_sub(1);
        let counted = self
            .failing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer);
        counted.is_ok()
    }
}

impl S3 {
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::create_dir(directory.path().join("bucket")).unwrap();
        let files = s3s_fs::FileSystem::new(directory.path()).unwrap();
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = service.build().into_shared();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let faults = Arc::new(Faults {
            failing: AtomicUsize::new(0),
            slowness: AtomicU64::new(0),
            holding: watch::Sender::new(None),
            held: AtomicUsize::new(0),
            deaf: AtomicBool::new(false),
            unlistable: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
            making: tokio::sync::Mutex::new(()),
            root: directory.path().to_owned(),
        });
        let wrong = Arc::clone(&faults);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, wrong) = (service.clone(), Arc::clone(&wrong));
                tokio::spawn(async move {
                    let socket = hyper_util::rt::TokioIo::new(socket);
                    let executor = hyper_util::rt::TokioExecutor::new();
                    let builder = hyper_util::server::conn::auto::Builder::new(executor);
                    let answer =
                        service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                            let (service, wrong) = (service.clone(), Arc::clone(&wrong));
                            async move {
                                let failed = |status| {
                                    let mut failed = hyper::Response::new(s3s::Body::empty());
                                    *failed.status_mut() = status;
                                    Ok(failed)
                                };
                                if wrong.is_refused(&request) {
                                    return failed(StatusCode::FORBIDDEN);
                                }
                                if wrong.strike(&request).await {
                                    return failed(StatusCode::SERVICE_UNAVAILABLE);
                                }
                                let is_put = request.method() == Method::PUT;
                                let _making = wrong.making.lock().await;
                                if request.headers().contains_key("if-none-match")
                                    && wrong.file(&request).exists()
                                {
                                    return failed(StatusCode::PRECONDITION_FAILED);
                                }
                                let answer = service.call(request).await;
                                match is_put && wrong.deaf.load(Ordering::SeqCst) {
                                    true => failed(StatusCode::BAD_REQUEST),
                                    false => answer,
                                }
                            }
                        });
                    let _ = builder.serve_connection(socket, answer).await;
                });
            }
        });
        Self {
            directory,
            endpoint,
            faults,
        }
    }

    /// Has a server keep its logs here.
    pub(crate) fn place_in(&self, config: &mut Config) {
        config.storage = Storage::Objects("s3://bucket/ci".to_owned());
        config.storage_options = [
            ("endpoint", self.endpoint.as_str()),
            ("region", "us-east-1"),
            ("access_key_id", "key"),
            ("secret_access_key", "secret"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    }

    pub(crate) async fn server(&self, bytes: u64) -> Server {
        Server::start_with(|config| {
            self.place_in(config);
            config.retention = Retention::of(bytes);
        })
        .await
    }

    /// Waits until there are so many objects of logs.
    pub(crate) async fn wait_for_objects(&self, count: usize) {
        for _ in 0..200 {
            if self.objects() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.objects(), count);
    }

    /// Objects of logs there are.
    pub(crate) fn objects(&self) -> usize {
        count(&self.directory.path().join("bucket/ci/logs"))
    }
}

fn count(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => count(&entry.path()),
            _ => 1,
        })
        .sum()
}
