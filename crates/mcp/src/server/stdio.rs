//! MCP over stdio: one client, who is this process's parent.

use std::{io, sync::Arc};

use rmcp::service::{ServerInitializeError, serve_server_with_ct};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{Server, handler::Handler, lines::Lines};

/// Serves one client on standard input and output until either side ends.
///
/// Nothing else may write to standard output. Where standard input is not a pipe, a read of it may hang in
/// a thread that cannot be stopped: end the runtime without waiting for such threads.
pub async fn serve_stdio(server: Arc<Server>, shutdown: CancellationToken) -> io::Result<()> {
    let (reader, writer) = rmcp::transport::io::stdio_pipes();
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
    let lines = Lines::new(server.clone(), reader, writer);
    match serve_server_with_ct(Handler::new(server), lines, shutdown).await {
        Ok(running) => {
            running.waiting().await.map_err(io::Error::other)?;
            Ok(())
        }
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    }
}
