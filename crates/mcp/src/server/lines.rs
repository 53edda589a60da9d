//! Messages as lines: what stdio is made of.
//!
//! rmcp's own transport rounds numbers, says nothing to a line that is not JSON or is too long, and ends the
//! conversation when a notification comes too early. This one answers every line that is no message, and
//! goes on with the next.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_util::SinkExt;
use renkei_core::Value;
use rmcp::{
    RoleServer,
    model::{
        ClientJsonRpcMessage, ClientRequest, GetExtensions as _, ProtocolVersion, ServerJsonRpcMessage,
        ServerResult,
    },
    transport::Transport,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader},
    sync::Mutex,
};
use tokio_util::codec::{BytesCodec, FramedWrite};

use super::{
    message::{self, Incoming, Message, Unreadable},
    site::Endpoint,
};

/// The frames keep what was taken from a future that is dropped half-way: a line never leaves in part.
type Writer<W> = Arc<Mutex<Option<FramedWrite<W, BytesCodec>>>>;

/// The transport: lines in, lines out.
pub(super) struct Lines<R, W> {
    endpoint: Arc<Endpoint>,
    /// Bytes of one line.
    limit: usize,
    reader: BufReader<R>,
    /// What came of the line that is being read.
    line: Vec<u8>,
    /// The line is too long, was answered, and is skipped to its end.
    skipping: bool,
    writer: Writer<W>,
    /// The rest of a batch.
    waiting: VecDeque<Result<Message, Unreadable>>,
    answer: Option<Answer>,
    /// Whether a request came that opens the conversation.
    started: bool,
    /// Whether the version that was settled on has batches.
    batches: Arc<AtomicBool>,
}

/// An answer that is on its way. `receive` may be dropped at any point and is then called again.
enum Answer {
    Queue(Bytes),
    Flush,
}

/// How the reading of a line ended.
enum Line {
    Whole,
    TooLong,
    End,
}

impl<R, W> Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub(super) fn new(endpoint: Arc<Endpoint>, limit: usize, reader: R, writer: W) -> Self {
        Lines {
            endpoint,
            limit,
            reader: BufReader::new(reader),
            line: Vec::new(),
            skipping: false,
            writer: Arc::new(Mutex::new(Some(FramedWrite::new(writer, BytesCodec::new())))),
            waiting: VecDeque::new(),
            answer: None,
            started: false,
            batches: Arc::default(),
        }
    }

    /// Reads up to the end of a line. Nothing is lost when the future is dropped: what was read is kept.
    async fn read_line(&mut self) -> io::Result<Line> {
        let limit = self.limit;
        loop {
            let available = self.reader.fill_buf().await?;
            if available.is_empty() {
                // The last line may lack its end.
                let rest = !self.skipping && !self.line.is_empty();
                return Ok(if rest { Line::Whole } else { Line::End });
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |at| at + 1);
            let fits = self.line.len() + end.unwrap_or(taken) <= limit;
            if !self.skipping && fits {
                self.line.extend_from_slice(&available[..taken]);
            }
            self.reader.consume(taken);
            match (self.skipping, fits, end.is_some()) {
                (false, true, false) | (true, _, false) => {}
                (false, true, true) => return Ok(Line::Whole),
                (false, false, ended) => {
                    self.line.clear();
                    self.skipping = !ended;
                    return Ok(Line::TooLong);
                }
                (true, _, true) => self.skipping = false,
            }
        }
    }

    /// The next message, or what to say to a line that is none; nothing for an empty line.
    fn take_line(&mut self) -> Option<Result<Message, Unreadable>> {
        let read = match self.line.trim_ascii() {
            [] => None,
            line => Some(message::read(line)),
        };
        self.line.clear();
        match read? {
            Ok(Incoming::One(message)) => Some(Ok(message)),
            Ok(Incoming::Batch(_)) if !self.batches.load(Ordering::Relaxed) => Some(Err(Unreadable::batch())),
            Ok(Incoming::Batch(messages)) => {
                self.waiting = messages.into();
                self.waiting.pop_front()
            }
            Err(unreadable) => Some(Err(unreadable)),
        }
    }

    /// The message for rmcp; nothing for one that is dropped.
    fn admit(&mut self, message: Message) -> Result<Option<ClientJsonRpcMessage>, Unreadable> {
        let (call, responses) = (message.call(), message.responses());
        let text = message.to_json(call.is_some().then(Value::object));
        let Ok(mut admitted) = serde_json::from_str::<ClientJsonRpcMessage>(&text) else {
            return match message.is_notification() {
                // Nobody waits for an answer to it.
                true => Ok(None),
                false => Err(message.misfit()),
            };
        };
        if let ClientJsonRpcMessage::Request(request) = &mut admitted {
            let beside = request.request.extensions_mut();
            if let Some((_, arguments)) = call {
                beside.insert(arguments);
            }
            if let Some(responses) = responses {
                beside.insert(responses);
            }
        }
        match &admitted {
            ClientJsonRpcMessage::Request(request) => {
                let opens = !matches!(
                    request.request,
                    ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_)
                );
                self.started |= opens;
            }
            // rmcp would end the conversation, though a modern client may well cancel its `server/discover`.
            _ if !self.started => return Ok(None),
            _ => {}
        }
        Ok(Some(admitted))
    }

    /// Writes the answer that waits.
    async fn send_answer(&mut self) -> io::Result<()> {
        while let Some(answer) = &mut self.answer {
            let mut writer = self.writer.lock().await;
            let writer = writer.as_mut().ok_or_else(closed)?;
            match answer {
                Answer::Queue(line) => {
                    writer.feed(line.clone()).await?;
                    self.answer = Some(Answer::Flush);
                }
                Answer::Flush => {
                    SinkExt::<Bytes>::flush(writer).await?;
                    self.answer = None;
                }
            }
        }
        Ok(())
    }

    /// The next message; `None` at the end of the input.
    async fn next(&mut self) -> io::Result<Option<ClientJsonRpcMessage>> {
        loop {
            self.send_answer().await?;
            let next = match self.waiting.pop_front() {
                Some(next) => Some(next),
                None => match self.read_line().await? {
                    Line::Whole => self.take_line(),
                    Line::TooLong => Some(Err(Unreadable::too_long(self.limit))),
                    Line::End => return Ok(None),
                },
            };
            match next.map(|message| message.and_then(|message| self.admit(message))) {
                Some(Ok(Some(message))) => return Ok(Some(message)),
                Some(Ok(None)) => tracing::debug!("dropped a message that nobody waits for"),
                Some(Err(unreadable)) => {
                    tracing::debug!(reason = unreadable.text, "answered a line that is no message");
                    self.answer = Some(Answer::Queue((unreadable.to_json() + "\n").into()));
                }
                None => {}
            }
        }
    }
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        if let Some(version) = settled(&message) {
            self.batches.store(*version == ProtocolVersion::V_2025_03_26, Ordering::Relaxed);
        }
        let (writer, endpoint) = (self.writer.clone(), self.endpoint.clone());
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let line = endpoint.current().exact.restore(line.into());
            let mut writer = writer.lock().await;
            writer.as_mut().ok_or_else(closed)?.send(line).await
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        match self.next().await {
            Ok(message) => message,
            Err(error) => {
                tracing::debug!(%error, "the client is gone");
                None
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.writer.lock().await.take();
        Ok(())
    }
}

/// The version that an `initialize` was answered with.
fn settled(message: &ServerJsonRpcMessage) -> Option<&ProtocolVersion> {
    match message {
        ServerJsonRpcMessage::Response(response) => match &response.result {
            ServerResult::InitializeResult(result) => Some(&result.protocol_version),
            _ => None,
        },
        _ => None,
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the conversation has ended")
}
