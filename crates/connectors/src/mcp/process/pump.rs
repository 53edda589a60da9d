//! The task of a program: writes what is to be sent, reads what comes, watches, and ends it.

use std::{
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::FusedFuture as _};
use renkei_core::{Error, Value};
use tokio::{
    io::{AsyncRead, AsyncWriteExt as _},
    process::{Child, ChildStdin},
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    group::Group,
    lines::{Line, Lines, id_of},
    noise::Noise,
    waiting::Outcome,
};
use crate::mcp::message::{self, Incoming};

/// How long a program may take to end by itself once its input is closed, and again when it is asked to.
const GRACE: Duration = Duration::from_secs(2);
/// After the program's end: how long its last words may take.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// A program that says nothing for so long after a call was given up, not even to a ping, hangs.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) struct Pump {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: mpsc::Receiver<Bytes>,
    /// For answers to what the program asks.
    pub(super) answers: mpsc::WeakSender<Bytes>,
    pub(super) told: watch::Sender<Option<Error>>,
    pub(super) stop: CancellationToken,
}

/// Why a program is ended.
enum End {
    /// Nobody needs it any more.
    Stopped,
    /// It has ended by itself.
    Exited(Option<ExitStatus>),
    /// It closed its output: most likely it is about to end.
    Closed,
    /// What it did instead of what it should.
    Failed(String),
}

impl Pump {
    pub(super) async fn run(self, mut child: Child) {
        let Pump { shared, queue, answers, told, stop } = self;
        // Ends the group even when this task is dropped in the middle.
        let group = Group::of(child.id());
        let noise = Noise::new(&shared.system, &shared.secrets);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let heard = AtomicU64::new(0);
        let listening = async {
            if let Some(stderr) = stderr {
                noise.hear(stderr).await;
            }
        }
        .fuse();
        tokio::pin!(listening);
        let end = {
            let writing = write(stdin, queue);
            let reading = read(&shared, &noise, stdout, &answers, &heard);
            let watching = watch_silence(&shared, &answers, &heard);
            tokio::pin!(writing, reading, watching);
            let end = loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break End::Stopped,
                    end = &mut reading => break end,
                    end = &mut writing => break end,
                    status = child.wait() => break End::Exited(status.ok()),
                    () = &mut watching => break End::Failed(format!(
                        "it said nothing for {} s, not even to a ping", SILENCE.as_secs()
                    )),
                    () = &mut listening => {}
                }
            };
            // What it said before it ended counts.
            if matches!(end, End::Exited(_)) {
                let _ = timeout(LAST_WORDS, &mut reading).await;
            }
            end
        };
        // Its input is closed by now: the writer had it.
        let status = finish(&mut child, &group, &end).await;
        drop(group);
        if !listening.is_terminated() {
            let _ = timeout(LAST_WORDS, &mut listening).await;
        }
        let error = reason(&shared, &end, status, &noise.last());
        told.send_replace(Some(error));
        shared.waiting.end();
    }
}

/// Waits until nothing of the program is left. How it ended, if it did so by itself.
async fn finish(child: &mut Child, group: &Group, end: &End) -> Option<ExitStatus> {
    let patience = match end {
        End::Exited(status) => return *status,
        // It may have something to write down.
        End::Stopped => GRACE,
        End::Closed | End::Failed(_) => LAST_WORDS,
    };
    if let Ok(status) = timeout(patience, child.wait()).await {
        return status.ok();
    }
    group.ask_to_end();
    if timeout(GRACE, child.wait()).await.is_err() {
        group.kill();
        let _ = child.wait().await;
    }
    None
}

fn reason(shared: &Shared, end: &End, status: Option<ExitStatus>, last: &str) -> Error {
    let system = &shared.system;
    let what = match (end, status) {
        (End::Stopped, _) => {
            return Error::unavailable(format!("the server of system `{system}` was ended"));
        }
        (End::Failed(what), _) => format!("was ended: {what}"),
        (End::Exited(_) | End::Closed, Some(status)) => format!("has ended ({status})"),
        (End::Closed, None) => "was ended: it closed its output".to_owned(),
        (End::Exited(_), None) => "has ended".to_owned(),
    };
    let error = Error::unavailable(format!("the server of system `{system}` {what}"));
    if last.is_empty() { error } else { error.detail(format!("it last wrote: {last}")) }
}

async fn write(stdin: Option<ChildStdin>, mut queue: mpsc::Receiver<Bytes>) -> End {
    let Some(mut stdin) = stdin else { return End::Failed("it has no input".into()) };
    while let Some(line) = queue.recv().await {
        if let Err(why) = stdin.write_all(&line).await {
            // The reader, or the process itself, says more of it: it has ended, or closed its input.
            let _ = sleep(LAST_WORDS).await;
            return End::Failed(format!("it takes no input any more ({why})"));
        }
    }
    // All senders are gone: so is whoever needs it.
    End::Stopped
}

async fn read(
    shared: &Shared,
    noise: &Noise<'_>,
    stdout: Option<impl AsyncRead + Unpin>,
    answers: &mpsc::WeakSender<Bytes>,
    heard: &AtomicU64,
) -> End {
    let Some(stdout) = stdout else { return End::Failed("it has no output".into()) };
    let mut lines = Lines::new(stdout, shared.max_message.as_usize());
    loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => return End::Closed,
            Err(why) => return End::Failed(format!("its output cannot be read ({why})")),
        };
        heard.fetch_add(1, Ordering::Relaxed);
        match line {
            Line::Whole(line) => match Value::from_json(&line) {
                Ok(Value::Array(messages)) => {
                    for message in messages.iter() {
                        take(shared, noise, message, &line, answers);
                    }
                }
                Ok(message) => take(shared, noise, &message, &line, answers),
                Err(_) => noise.garbage(&line),
            },
            // Whose answer it is can be read from its ends; else somebody would wait for it in vain.
            Line::Long { head, tail } => match id_of(&head, &tail) {
                Some(id) => drop(shared.waiting.answer(id, Outcome::TooLong)),
                None => {
                    let limit = shared.max_message;
                    return End::Failed(format!("it sent a message of more than {limit} (`max_message`)"));
                }
            },
        }
    }
}

fn take(shared: &Shared, noise: &Noise<'_>, message: &Value, line: &[u8], answers: &mpsc::WeakSender<Bytes>) {
    match message::read(message) {
        None => noise.garbage(line),
        Some(Incoming::Reply { id, answer }) => drop(shared.waiting.answer(id, Outcome::Answer(answer))),
        Some(Incoming::Request { id, method }) => {
            // A program that asks and does not read its answers does without them.
            if let Some(answers) = answers.upgrade() {
                let _ = answers.try_send((message::reply_to(&id, &method) + "\n").into());
            }
        }
        Some(Incoming::Progress { token, share, note }) => {
            if let Some(listener) = shared.waiting.listener(token) {
                match share {
                    Some(share) => listener.share(share, &note),
                    None => listener.note(&note),
                }
            }
        }
        Some(Incoming::Line { level, text }) => {
            tracing::debug!(system = &*shared.system, level, "the server logs: {text}");
        }
        Some(Incoming::Changed(kind)) => {
            tracing::debug!(system = &*shared.system, "the server has other {kind} now");
            if &*kind == "tools" {
                shared.changes.send_modify(|count| *count += 1);
            }
        }
        Some(Incoming::Other) => {}
    }
}

/// Ends when the program hangs: a call was given up, and since then it has said nothing, not even to a ping.
async fn watch_silence(shared: &Shared, outgoing: &mpsc::WeakSender<Bytes>, heard: &AtomicU64) {
    loop {
        shared.waiting.suspect.notified().await;
        let (before, since) = (heard.load(Ordering::Relaxed), Instant::now());
        // Any answer will do, an error as well; its id is nobody's. In the modern era a ping is an unknown method.
        if let Some(outgoing) = outgoing.upgrade() {
            let _ = outgoing.try_send((message::request(0, "ping", Value::object()) + "\n").into());
        }
        while heard.load(Ordering::Relaxed) == before {
            if since.elapsed() >= SILENCE {
                return;
            }
            sleep(SILENCE / 30).await;
        }
    }
}
