//! MCP over stdio: one client, who is this process's parent.

use std::{io, sync::Arc};

use rmcp::service::{ServerInitializeError, serve_server_with_ct};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Site, handler::Handler, lines::Lines};

/// Serves one client on standard input and output until either side ends: everything, or one group.
///
/// Nothing else may write to standard output. Where standard input is not a pipe, a read of it may hang in
/// a thread that cannot be stopped: end the runtime without waiting for such threads.
pub async fn serve_stdio(site: Arc<Site>, group: Option<&str>) -> io::Result<()> {
    let (reader, writer) = rmcp::transport::io::stdio_pipes();
    serve_streams(site, group, reader, writer).await
}

/// Serves one client on a pair of streams, one message a line. Calls under way have a few seconds to end
/// when the reader does or the site is shut down.
pub async fn serve_streams<R, W>(site: Arc<Site>, group: Option<&str>, reader: R, writer: W) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let endpoint = site.endpoint(group).map_err(io::Error::other)?;
    let lines = Lines::new(endpoint.clone(), site.limits.message_bytes, reader, writer);
    match serve_server_with_ct(Handler::new(endpoint, None), lines, site.shutdown.clone()).await {
        Ok(running) => {
            running.waiting().await.map_err(io::Error::other)?;
            Ok(())
        }
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    }
}
