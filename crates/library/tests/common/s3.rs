//! An S3 server in this process, over a folder.

#![allow(dead_code)]

use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;

pub(crate) const ACCESS_KEY: &str = "access";
pub(crate) const SECRET_KEY: &str = "secret-of-s3";
pub(crate) const BUCKET: &str = "reelroom";

/// A server that ends with its runtime; its folder goes with it.
pub(crate) struct S3Server {
    /// `http://127.0.0.1:PORT`
    pub(crate) endpoint: String,
    _folder: tempfile::TempDir,
}

impl S3Server {
    /// On a free port, with an empty [`BUCKET`].
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let endpoint = serve(folder.path()).await;
        Self { endpoint, _folder: folder }
    }
}

/// Serves `root`, a folder with one folder per bucket, on a free port; gives the URL.
pub(crate) async fn serve(root: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
    std::fs::create_dir_all(root.join(BUCKET)).expect("the folder can be written");
    let files = s3s_fs::FileSystem::new(root).expect("the folder is there");
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = service.build();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let _ =
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    endpoint
}
