//! Between a client and a server: all bytes go through, until a connection is to be lost at a certain moment.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Result},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

use super::{PASSWORD, ROLE};

/// When a connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The server has all statements of the transaction, and never hears the `commit`.
    BeforeCommit,
    /// The server has committed, and nobody hears of it.
    AfterCommit,
}

/// A relay on a free port, for connections without TLS. It ends with the value.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    next: Next,
    /// Aborted with the value.
    _task: JoinSet<()>,
}

/// The loss that is to come.
type Next = Arc<Mutex<Option<Loss>>>;

impl Relay {
    /// In front of the server on this port.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn to(server: u16) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let next = Next::default();
        let mut task = JoinSet::new();
        task.spawn(serve(listener, server, next.clone()));
        Relay { port, next, _task: task }
    }

    /// How to connect to a database through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// The connection that commits next is lost.
    pub fn lose(&self, loss: Loss) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(loss);
    }

    /// Whether the loss that was asked for has come.
    pub fn has_lost(&self) -> bool {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

async fn serve(listener: TcpListener, server: u16, next: Next) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let next = next.clone();
        connections.spawn(async move {
            // Either end may go away at any moment.
            let _ = relay(client, server, &next).await;
        });
    }
}

/// Until one end goes away or the loss comes; then both are closed.
async fn relay(client: TcpStream, server: u16, next: &Next) -> Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let asked = |frame: &Frame| frame.is(b'Q', b"commit\0") && comes(next, Loss::BeforeCommit);
    let told = |frame: &Frame| frame.is(b'C', b"COMMIT\0") && comes(next, Loss::AfterCommit);
    tokio::select! {
        ended = pass(Frames::new(from_client, true), to_server, asked) => ended,
        ended = pass(Frames::new(from_server, false), to_client, told) => ended,
    }
}

/// Whether it is this loss that is to come; it has then.
fn comes(next: &Next, loss: Loss) -> bool {
    next.lock().unwrap_or_else(PoisonError::into_inner).take_if(|next| *next == loss).is_some()
}

async fn pass(mut from: Frames, mut to: OwnedWriteHalf, lost: impl Fn(&Frame) -> bool) -> Result<()> {
    while let Some(frame) = from.next().await? {
        if lost(&frame) {
            break;
        }
        to.write_all(&frame.0).await?;
    }
    Ok(())
}

/// A message of the protocol: its letter, its length, its body.
struct Frame(Bytes);

impl Frame {
    fn is(&self, letter: u8, body: &[u8]) -> bool {
        self.0.first() == Some(&letter) && self.0.get(5..) == Some(body)
    }
}

struct Frames {
    from: OwnedReadHalf,
    buffer: BytesMut,
    /// A client's first message has no letter.
    first: bool,
}

impl Frames {
    fn new(from: OwnedReadHalf, first: bool) -> Self {
        Frames { from, buffer: BytesMut::new(), first }
    }

    async fn next(&mut self) -> Result<Option<Frame>> {
        let head = if self.first { 0 } else { 1 };
        loop {
            if let Some(length) = self.buffer.get(head..head + 4) {
                let length = length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
                if self.buffer.len() >= head + length {
                    self.first = false;
                    return Ok(Some(Frame(self.buffer.split_to(head + length).freeze())));
                }
            }
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}
