//! An axum router on a free port of the loopback interface.

use anyhow::Result;
use axum::{Router, serve::ListenerExt as _};
use tokio::net::TcpListener;

/// Serves until the process is ended, and says where first.
pub(crate) async fn serve(router: Router, path: &str) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    eprintln!("listening on http://{}{path}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // A socket that refuses is slower, no more.
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}
