//! A client for tours and tests: connects, lists, calls, and speaks plain JSON values.
//!
//! It is for servers on loopback: it has no TLS roots to trust anybody with.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use renkei_core::run::Progress;
use rmcp::{
    ClientHandler, RoleClient,
    model::{
        CallToolRequestParams, ClientConfig, Implementation, ProgressNotificationParam, ProtocolVersion,
    },
    service::{ClientLifecycleMode, NotificationContext, RunningService, serve_client_with_lifecycle},
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::Value;
use tokio::sync::mpsc;

/// Reports that wait while the caller of [`Client::call_tool`] looks at one; more are dropped.
const WAITING_REPORTS: usize = 64;

/// Which era of the protocol to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// `initialize` and a session.
    Legacy,
    /// `server/discover` and self-contained requests.
    Modern,
}

/// A connection to one server.
pub struct Client {
    service: RunningService<RoleClient, Listener>,
}

/// What went wrong, as text: who asks for more should use an SDK.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Client {
    /// Connects to the endpoint `url`, such as `http://127.0.0.1:8383/mcp`, as `name`.
    pub async fn connect(url: &str, era: Era, name: &str) -> Result<Self, Error> {
        // The crate is built without a default provider of cryptography; name one, though plain HTTP needs none.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(text)?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http =
            reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().map_err(text)?;
        let config = StreamableHttpClientTransportConfig::with_uri(url);
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let lifecycle = match era {
            Era::Legacy => ClientLifecycleMode::Initialize,
            Era::Modern => {
                ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] }
            }
        };
        let listener = Listener { name: name.to_owned(), reports: Mutex::default() };
        let service = serve_client_with_lifecycle(listener, transport, lifecycle).await.map_err(text)?;
        Ok(Client { service })
    }

    /// The protocol version that both sides agreed on.
    pub fn version(&self) -> String {
        self.service.peer_info().map(|info| info.protocol_version.to_string()).unwrap_or_default()
    }

    /// All tools, as the server describes them.
    pub async fn list_tools(&self) -> Result<Vec<Value>, Error> {
        let tools = self.service.list_all_tools().await.map_err(text)?;
        tools.iter().map(|tool| serde_json::to_value(tool).map_err(text)).collect()
    }

    /// Calls a tool and gives its result as it came: `content`, `structuredContent`, `isError`.
    /// `on_progress` gets the reports; one that arrives together with the result may be missing.
    pub async fn call_tool(
        &mut self,
        name: &str,
        arguments: Value,
        mut on_progress: impl FnMut(Progress),
    ) -> Result<Value, Error> {
        let arguments = match arguments {
            Value::Object(map) => map,
            Value::Null => serde_json::Map::new(),
            _ => return Err(Error("arguments must be an object".to_owned())),
        };
        let (sender, mut reports) = mpsc::channel(WAITING_REPORTS);
        self.service.service().listen(Some(sender));
        let params = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let result = {
            let mut call = std::pin::pin!(self.service.call_tool(params));
            loop {
                tokio::select! {
                    biased;
                    Some(progress) = reports.recv() => on_progress(progress),
                    result = &mut call => break result,
                }
            }
        };
        self.service.service().listen(None);
        while let Some(progress) = reports.recv().await {
            on_progress(progress);
        }
        serde_json::to_value(result.map_err(text)?).map_err(text)
    }

    /// Ends the connection and, in the legacy era, its session.
    pub async fn close(self) -> Result<(), Error> {
        self.service.cancel().await.map_err(text)?;
        Ok(())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("version", &self.version()).finish_non_exhaustive()
    }
}

fn text(error: impl fmt::Display) -> Error {
    Error(error.to_string())
}

/// Takes what the server sends on its own.
struct Listener {
    name: String,
    /// Of the call under way; [`Client::call_tool`] makes one at a time.
    reports: Mutex<Option<mpsc::Sender<Progress>>>,
}

impl Listener {
    fn listen(&self, reports: Option<mpsc::Sender<Progress>>) {
        *self.reports.lock().unwrap_or_else(PoisonError::into_inner) = reports;
    }
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let about = Implementation::new(self.name.clone(), env!("CARGO_PKG_VERSION"));
        ClientConfig::new(Default::default(), about)
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let progress = Progress { done: params.progress, total: params.total, message: params.message };
        if let Some(reports) = &*self.reports.lock().unwrap_or_else(PoisonError::into_inner) {
            // A full queue means that the caller does not look; the next report says more.
            let _ = reports.try_send(progress);
        }
    }
}
