//! A listener on a free port, with or without TLS, and clients for it.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes},
    routing,
};
use futures_util::Stream;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use renkei_core::call::ClientAddress;
use renkei_http::{Drained, Identity, Limits, Options, Tls, serve};
use renkei_testkit::secure::{self, Authority};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

/// More than two sockets can hold.
pub(crate) const FLOOD: usize = 64 * 1024 * 1024;

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    /// A request to `/wait` arrived.
    pub(crate) arrived: Arc<Notify>,
    /// Lets it go.
    pub(crate) release: Arc<Notify>,
    /// An answer of `/endless` is not sent any more.
    pub(crate) left: Arc<Notify>,
    pub(crate) done: JoinHandle<std::io::Result<Drained>>,
}

pub(crate) async fn start(options: Options) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let wait = {
        let (arrived, release) = (arrived.clone(), release.clone());
        move || async move {
            arrived.notify_one();
            release.notified().await;
            "released"
        }
    };
    let left = Arc::new(Notify::new());
    let endless = {
        let left = left.clone();
        move || async move { Body::from_stream(Endless(left)) }
    };
    let flood = || async { "x".repeat(FLOOD) };
    let router = Router::new()
        .route("/wait", routing::get(wait))
        .route("/endless", routing::get(endless))
        .route("/flood", routing::get(flood))
        .route("/client", routing::get(client))
        .route("/length", routing::post(|body: Bytes| async move { body.len().to_string() }))
        .route("/", routing::get(|| async { "hello" }));
    let shutdown = CancellationToken::new();
    let done = tokio::spawn(serve(listener, router, shutdown.clone(), options));
    Served { address, shutdown, arrived, release, left, done }
}

/// As a stream of events that never stops.
struct Endless(Arc<Notify>);

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Stream for Endless {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(Some(Ok(Bytes::from_static(&[b'x'; 8192]))))
    }
}

/// From where it was asked, and which of the headers of proxies came through.
async fn client(request: axum::extract::Request) -> String {
    let client = request.extensions().get::<ClientAddress>().map(|client| client.0.to_string());
    let left = request.headers().keys().filter(|name| name.as_str().contains("forwarded")).count();
    format!("{} {left}", client.unwrap_or_default())
}

impl Served {
    pub(crate) async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        // What is sent arrives before anybody looks whether something happens.
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A connection with one request sent.
    pub(crate) async fn request(&self, path: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(self.head(path).as_bytes()).await.unwrap();
        stream
    }

    pub(crate) fn head(&self, path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address)
    }

    /// The whole of a closed exchange.
    pub(crate) async fn get(&self, path: &str, host: &str) -> String {
        let mut stream = self.connect().await;
        let text = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        rest(stream).await
    }
}

/// What comes until the server closes.
pub(crate) async fn rest(mut stream: impl AsyncRead + Unpin) -> String {
    let mut out = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut out).await;
    String::from_utf8_lossy(&out).into_owned()
}

pub(crate) fn limits(limits: Limits) -> Options {
    Options { limits, ..Options::default() }
}

pub(crate) fn status(text: &str) -> Option<u16> {
    text.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()
}

/// Until all that can happen without the clock has happened.
pub(crate) async fn settle() {
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
}

/// A server with TLS, and who signed for it.
pub(crate) struct Secure {
    pub(crate) served: Served,
    pub(crate) tls: Tls,
    pub(crate) authority: Authority,
}

pub(crate) async fn start_secure(limits: Limits) -> Secure {
    let authority = Authority::new();
    let tls = Tls::new(identity(&authority.server(&["localhost"])));
    let served = start(Options { tls: Some(tls.clone()), limits, ..Options::default() }).await;
    Secure { served, tls, authority }
}

pub(crate) fn identity(pair: &secure::Identity) -> Identity {
    Identity::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes(), false).unwrap()
}

/// How a client greets.
#[derive(Clone, Copy)]
pub(crate) struct Hello {
    pub(crate) protocols: &'static [&'static str],
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
}

pub(crate) const MODERN: Hello = Hello { protocols: &["h2", "http/1.1"], versions: &[&TLS13, &TLS12] };
pub(crate) const OLD: Hello = Hello { protocols: &["http/1.1"], versions: &[&TLS12] };

impl Secure {
    pub(crate) async fn connect(&self, hello: Hello) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(hello.versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = hello.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = self.served.connect().await;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// A connection of HTTP/2.
    pub(crate) async fn http2(&self) -> Client {
        let stream = self.connect(MODERN).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(64 * 1024)
            .max_header_list_size(1024 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        Client { sender, connection: tokio::spawn(connection), port: self.served.address.port() }
    }
}

/// A client of one connection of HTTP/2.
pub(crate) struct Client {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    /// Ends with the connection.
    pub(crate) connection: JoinHandle<hyper::Result<()>>,
    port: u16,
}

impl Client {
    pub(crate) fn head(&self, method: &str, path: &str) -> http::request::Builder {
        let uri = format!("https://localhost:{}{path}", self.port);
        Request::builder().method(method).uri(uri).version(Version::HTTP_2)
    }

    pub(crate) async fn get(&mut self, path: &str) -> hyper::Result<Response<Incoming>> {
        let request = self.head("GET", path).body(Full::default()).unwrap();
        self.sender.send_request(request).await
    }
}

pub(crate) async fn text(answer: Response<Incoming>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
