//! MCP over stdio: one client, who is this process's parent.

use std::{io, sync::Arc};

use rmcp::{
    RoleServer,
    model::{ClientJsonRpcMessage, ClientRequest},
    service::{RxJsonRpcMessage, ServerInitializeError, TxJsonRpcMessage, serve_server_with_ct},
    transport::{Transport, async_rw::AsyncRwTransport, io::stdio_pipes},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{Server, handler::Handler};

/// Serves one client on standard input and output until either side ends.
///
/// Nothing else may write to standard output. Where standard input is not a pipe, a read of it may hang in
/// a thread that cannot be stopped: end the runtime without waiting for such threads.
pub async fn serve_stdio(server: Arc<Server>, shutdown: CancellationToken) -> io::Result<()> {
    let (reader, writer) = stdio_pipes();
    serve_streams(server, reader, writer, shutdown).await
}

/// Serves one client on a pair of streams, one message a line. Calls under way have a few seconds to end
/// when the reader does or `shutdown` is cancelled.
pub async fn serve_streams<R, W>(
    server: Arc<Server>,
    reader: R,
    writer: W,
    shutdown: CancellationToken,
) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let lines =
        AsyncRwTransport::new_server(reader, writer).with_max_line_length(server.limits.message_bytes);
    let transport = Patient { inner: lines, started: false };
    match serve_server_with_ct(Handler(server), transport, shutdown).await {
        Ok(running) => {
            running.waiting().await.map_err(io::Error::other)?;
            Ok(())
        }
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Drops notifications and responses that come before the first request which opens the conversation:
/// rmcp would end it, though a modern client may well cancel its `server/discover`.
struct Patient<T> {
    inner: T,
    started: bool,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Patient<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), T::Error>> + Send + 'static {
        self.inner.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let message = self.inner.receive().await?;
            match &message {
                ClientJsonRpcMessage::Request(request) => {
                    let opens = !matches!(
                        request.request,
                        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_)
                    );
                    self.started |= opens;
                    return Some(message);
                }
                _ if self.started => return Some(message),
                _ => tracing::debug!("dropped a message that came before the first request"),
            }
        }
    }

    async fn close(&mut self) -> Result<(), T::Error> {
        self.inner.close().await
    }
}
