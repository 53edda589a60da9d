//! Stores of files on loopback: other people's S3 and WebDAV servers, in this process.
//!
//! A server has a thread of its own: when it is taken down, so are all its connections, and its files stay.
//! A request for a file whose name begins with `slow` is never answered; one for a name that begins with `echo`
//! fails, and says back what it was sent, and the secret.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use axum::{Router, body::Body, extract::State};
use base64::Engine as _;
use dav_server::{DavHandler, fakels::FakeLs, memfs::MemFs};
use http::{HeaderMap, Request, Response, StatusCode, header};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use tower::Service as _;

/// How long a test waits for something that must happen before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of files.
#[derive(Debug)]
pub struct StoreServer {
    address: SocketAddr,
    store: Arc<Store>,
    running: Mutex<Option<Running>>,
}

struct Store {
    kind: Kind,
    secret: String,
    counts: watch::Sender<Counts>,
    /// The files of S3; they go away with it.
    folder: Option<TempDir>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

enum Kind {
    S3(Box<S3Service>),
    Webdav { handler: DavHandler, authorization: String },
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: usize,
    slow_started: usize,
    slow_ended: usize,
}

impl StoreServer {
    /// An S3 server with an empty bucket and one access key.
    ///
    /// # Panics
    /// When no port or no temporary folder can be had.
    pub fn s3(bucket: &str, access_key_id: &str, secret: &str) -> StoreServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(bucket)).expect("an empty folder takes a bucket");
        let files = FileSystem::new(folder.path()).expect("the folder is there");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(access_key_id, secret));
        Self::new(Kind::S3(Box::new(builder.build())), secret, Some(folder))
    }

    /// A WebDAV server with an empty folder and one user.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn webdav(user: &str, password: &str) -> StoreServer {
        let handler =
            DavHandler::builder().filesystem(MemFs::new()).locksystem(FakeLs::new()).build_handler();
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Self::new(Kind::Webdav { handler, authorization: format!("Basic {pair}") }, password, None)
    }

    fn new(kind: Kind, secret: &str, folder: Option<TempDir>) -> StoreServer {
        let counts = watch::channel(Counts::default()).0;
        let store = Arc::new(Store { kind, secret: secret.to_owned(), counts, folder });
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let running = Running::start(free, store.clone());
        StoreServer { address: running.address, store, running: Mutex::new(Some(running)) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The folder that holds the buckets of an S3 server.
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.store.folder.as_ref().map(TempDir::path)
    }

    /// How many requests came, whatever became of them.
    pub fn requests(&self) -> usize {
        self.store.counts.borrow().requests
    }

    pub fn take_down(&self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub fn bring_back(&self) {
        let running = Running::start(self.address, self.store.clone());
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    /// Waits until a slow request has come.
    ///
    /// # Panics
    /// When none comes.
    pub async fn slow_started(&self) {
        self.wait(|counts| counts.slow_started > 0).await;
    }

    /// Waits until all slow requests have been given up.
    ///
    /// # Panics
    /// When one goes on.
    pub async fn slow_ended(&self) {
        self.wait(|counts| counts.slow_started == counts.slow_ended).await;
    }

    async fn wait(&self, until: impl Fn(&Counts) -> bool) {
        let mut counts = self.store.counts.subscribe();
        let waited = tokio::time::timeout(PATIENCE, counts.wait_for(until)).await;
        waited.expect("what must happen did not").expect("the store outlives whoever waits");
    }
}

#[derive(Debug)]
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(address: SocketAddr, store: Arc<Store>) -> Running {
        let listener = TcpListener::bind(address).expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("a socket can be asked not to block");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("it does not block");
                let router = Router::new().fallback(answer).with_state(store);
                tokio::select! {
                    served = async { axum::serve(listener, router).await } => served.expect("it goes on"),
                    _ = stopped => {}
                }
            });
        });
        Running { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // Its panic was printed; the test that saw no answer tells more.
            let _ = thread.join();
        }
    }
}

async fn answer(State(store): State<Arc<Store>>, request: Request<Body>) -> Response<Body> {
    store.counts.send_modify(|counts| counts.requests += 1);
    let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    if name.starts_with("slow") {
        return hang(store).await;
    }
    if name.starts_with("echo") {
        return plain(StatusCode::BAD_REQUEST, echo(request.headers(), &store.secret));
    }
    match &store.kind {
        Kind::S3(service) => match service.clone().call(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")),
        },
        Kind::Webdav { handler, authorization } => {
            let given = request.headers().get(header::AUTHORIZATION);
            if given.is_none_or(|given| given.as_bytes() != authorization.as_bytes()) {
                return plain(StatusCode::UNAUTHORIZED, "who are you?".to_owned());
            }
            handler.handle(request).await.map(Body::new)
        }
    }
}

async fn hang(store: Arc<Store>) -> Response<Body> {
    struct Ended(Arc<Store>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.counts.send_modify(|counts| counts.slow_ended += 1);
        }
    }
    let _ended = Ended(store.clone());
    store.counts.send_modify(|counts| counts.slow_started += 1);
    std::future::pending().await
}

fn echo(headers: &HeaderMap, secret: &str) -> String {
    format!("what you sent makes no sense: {headers:?}, and I know {secret}")
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
