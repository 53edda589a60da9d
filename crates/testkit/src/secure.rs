//! An HTTPS server for tests: HTTP/1.1 and HTTP/2, and client certificates where they are asked for.
//!
//! It answers every request with what it saw of it, as JSON: `{ "version", "method", "path", "client" }`, where
//! `client` says whether a client certificate was shown; `/hang` gets no answer. Certificates are made anew for each test.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// A certificate and its key, both PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// An authority that signs certificates for servers and clients.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

static NUMBER: AtomicUsize = AtomicUsize::new(1);

impl Authority {
    /// A new one, which nobody knows.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two authorities of one name would be taken for each other.
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        params.distinguished_name.push(DnType::CommonName, format!("authority {number} of the tests"));
        let key = key();
        let certificate = params.self_signed(&key).expect("the parameters are valid").pem();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// Its own certificate (PEM).
    pub fn pem(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a server with these names or addresses.
    pub fn server(&self, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(CertificateParams::new(names).expect("the names are valid"))
    }

    /// A certificate for a client.
    pub fn client(&self, name: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are valid");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("the random source works")
}

/// How a server speaks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its certificate; without one it speaks no TLS, and understands HTTP/2 with prior knowledge.
    pub identity: Option<Identity>,
    /// The authority (PEM) that clients must show a certificate of.
    pub clients: Option<String>,
    /// Speaks TLS 1.2 and nothing newer.
    pub old_tls: bool,
    /// Does not offer HTTP/2.
    pub http1_only: bool,
}

/// The server. It ends when it is dropped.
#[derive(Debug)]
pub struct SecureServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl SecureServer {
    /// Starts on a free port of this machine.
    pub async fn start(options: Options) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let acceptor = options
            .identity
            .as_ref()
            .map(|identity| TlsAcceptor::from(Arc::new(server_config(identity, &options))));
        let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, acceptor, connections.clone(), requests.clone()));
        SecureServer { address, connections, requests, _tasks: tasks }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many requests were read.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn server_config(identity: &Identity, options: &Options) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .expect("the certificate is PEM");
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("the key is PEM");
    let versions = if options.old_tls { vec![&TLS12] } else { vec![&TLS13, &TLS12] };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .expect("ring has these versions");
    let builder = match &options.clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let authority =
                CertificateDer::from_pem_slice(authority.as_bytes()).expect("the authority is PEM");
            roots.add(authority).expect("the authority is one");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .expect("there is an authority");
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).expect("the key is that of the certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if !options.http1_only {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    config
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
) {
    // Owned here, so that the connections end with the server.
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, requests) = (acceptor.clone(), requests.clone());
                open.spawn(async move {
                    let Some(acceptor) = acceptor else { return serve(stream, false, requests).await };
                    // A handshake that fails is the client's to tell.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let client = stream.get_ref().1.peer_certificates().is_some();
                    serve(stream, client, requests).await;
                });
            }
            Some(_) = open.join_next() => {}
        }
    }
}

async fn serve<S>(stream: S, client: bool, requests: Arc<AtomicUsize>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        requests.fetch_add(1, Ordering::SeqCst);
        answer(request, client)
    });
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, client: bool) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    body.collect().await?;
    if head.uri.path() == "/hang" {
        std::future::pending::<()>().await;
    }
    let text = format!(
        r#"{{"version":"{:?}","method":"{}","path":"{}","client":{client}}}"#,
        head.version,
        head.method,
        head.uri.path()
    );
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}
