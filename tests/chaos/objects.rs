//! An S3 server with one bucket, on a port of the loopback interface. Dropped, it ends.

use std::path::Path;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::runtime::Runtime;

#[derive(Debug)]
pub(crate) struct Objects {
    pub(crate) endpoint: String,
    _runtime: Runtime,
    directory: TempDir,
}

/// Who may.
pub(crate) const KEY: (&str, &str) = ("key", "secret");
/// Where servers keep their logs.
pub(crate) const STORAGE: &str = "s3://bucket/ci";

impl Objects {
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().expect("make the bucket's directory");
        std::fs::create_dir(directory.path().join("bucket")).expect("make the bucket");
        let files = s3s_fs::FileSystem::new(directory.path()).expect("serve the directory");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY.0, KEY.1));
        let service = service.build().into_shared();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("start a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("listen");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let socket = hyper_util::rt::TokioIo::new(socket);
                    let executor = hyper_util::rt::TokioExecutor::new();
                    let builder = hyper_util::server::conn::auto::Builder::new(executor);
                    // A client that goes away is no concern of others.
                    let _ = builder.serve_connection(socket, service).await;
                });
            }
        });
        Self {
            endpoint,
            _runtime: runtime,
            directory,
        }
    }

    /// Where the bucket is.
    pub(crate) fn place(&self) -> &Path {
        self.directory.path()
    }
}
