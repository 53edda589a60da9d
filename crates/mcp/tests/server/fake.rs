//! Tools that behave and misbehave on demand.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use renkei_core::{
    CallContext, Error, Kind, Value,
    ask::{Ability, Asked, Asking, Question},
    run::{Level, Line, Progress, ProgressSink},
    tool::{Content, Icon, ResourceBody, ToolInfo, ToolResult, Tools, UnknownTool},
};
use renkei_mcp::{Endpoints, Info, Limits, Server};
use tokio::sync::{Notify, mpsc};

/// How many reports `burst` makes.
pub(crate) const BURST: i32 = 20;

/// What happened to a call of `wait`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Started,
    Cancelled,
    Dropped,
}

pub(crate) struct Fake {
    tools: Vec<Arc<ToolInfo>>,
    events: mpsc::UnboundedSender<Event>,
    /// The context of the last call.
    pub(crate) last: Mutex<Option<CallContext>>,
    /// Lets `echo_when_told` go on.
    pub(crate) told: Notify,
}

impl Fake {
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Event>) {
        let names = [
            "echo",
            "media",
            "refuse",
            "panic",
            "panic_at_once",
            "progress",
            "burst",
            "wait",
            "report_and_wait",
            "report_and_echo",
            "echo_when_told",
            "refuse_by_protocol",
            "log",
        ];
        Self::of(&names)
    }

    /// With some of the tools only.
    pub(crate) fn of(names: &[&str]) -> (Arc<Self>, mpsc::UnboundedReceiver<Event>) {
        let (events, received) = mpsc::unbounded_channel();
        let tools = names.iter().map(|name| Arc::new(info(name))).collect();
        (Arc::new(Fake { tools, events, last: Mutex::default(), told: Notify::new() }), received)
    }

    pub(crate) fn server(self: &Arc<Self>, limits: Limits) -> Server {
        let info = Info {
            name: "fake".into(),
            title: Some("A fake".into()),
            version: "1.2.3".into(),
            description: None,
            instructions: Some("Call echo first.".into()),
            icons: vec![],
        };
        Server::new(self.clone(), info, limits)
    }

    pub(crate) fn endpoints(self: &Arc<Self>, limits: Limits) -> Endpoints {
        Endpoints::new(self.server(limits))
    }

    pub(crate) fn context(&self) -> CallContext {
        self.last.lock().unwrap().clone().expect("a call was made")
    }
}

fn info(name: &str) -> ToolInfo {
    let input = match name {
        "echo" => br#"{"type":"object","properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "count":{"type":"integer","x-mcp-header":"Count"},
            "account":{"type":"integer","x-mcp-header":"Account"}}}"#
            .as_slice(),
        _ => br#"{"type":"object"}"#,
    };
    ToolInfo {
        name: name.into(),
        title: (name == "echo").then(|| "Echo".into()),
        description: format!("Does {name}."),
        input_schema: Value::from_json(input).unwrap(),
        output_schema: (name == "echo").then(|| Value::from_json(br#"{"type":"object"}"#).unwrap()),
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: false,
        asks: name == "ask",
        icons: vec![Icon {
            src: "data:image/png;base64,AA==".into(),
            mime_type: Some("image/png".into()),
            sizes: vec!["48x48".into()],
        }],
    }
}

pub(crate) fn text(text: &str) -> ToolResult {
    ToolResult { content: vec![Content::Text(text.into())], structured: None, error: None }
}

/// Tells that a run's future is gone.
struct Dropped(mpsc::UnboundedSender<Event>, CallContext);

impl Drop for Dropped {
    fn drop(&mut self) {
        if self.1.cancel.is_cancelled() {
            let _ = self.0.send(Event::Cancelled);
        }
        let _ = self.0.send(Event::Dropped);
    }
}

#[async_trait]
impl Tools for Fake {
    fn list(&self) -> &[Arc<ToolInfo>] {
        &self.tools
    }

    fn find(&self, name: &str) -> Option<&Arc<ToolInfo>> {
        self.tools.iter().find(|tool| &*tool.name == name)
    }

    async fn call(
        &self,
        cx: CallContext,
        name: &str,
        arguments: Value,
        progress: Option<Arc<dyn ProgressSink>>,
    ) -> Result<ToolResult, UnknownTool> {
        *self.last.lock().unwrap() = Some(cx.clone());
        let report = |done: f64| {
            if let Some(progress) = &progress {
                let message = Some(format!("step {done}"));
                progress.report(Progress { done, total: Some(3.0), message });
            }
        };
        Ok(match name {
            "echo" | "report_and_echo" | "echo_when_told" => {
                if name == "report_and_echo" {
                    report(1.0);
                }
                if name == "echo_when_told" {
                    let _ = self.events.send(Event::Started);
                    self.told.notified().await;
                }
                ToolResult {
                    content: vec![Content::Text(arguments.to_json())],
                    structured: Some(arguments),
                    error: None,
                }
            }
            "media" => ToolResult { content: media(), structured: None, error: None },
            "refuse" => {
                let error = Error::new(Kind::Rejected, "the card was declined; use another one");
                ToolResult { content: vec![], structured: None, error: Some(error) }
            }
            "log" => {
                let said = [
                    (Level::Debug, "ready", None),
                    (Level::Info, "begun", None),
                    (Level::Error, "ended", Some(Value::from([("id", 7i64)]))),
                ];
                for (level, message, fields) in said {
                    if let Some(progress) = &progress {
                        progress.line(Line { level, message: message.into(), fields });
                    }
                    tokio::task::yield_now().await;
                }
                text("done")
            }
            "refuse_by_protocol" => {
                let error = Error::new(Kind::Rejected, "the job was refused").protocol(4001);
                ToolResult { content: vec![], structured: None, error: Some(error.context("branch `a`")) }
            }
            "ask" => {
                let error = match &cx.asking {
                    Asking::Rounds(rounds) if rounds.abilities.roots => Error::asking(Asked {
                        questions: [("where".into(), Question::Roots)].into_iter().collect(),
                        state: "sealed".into(),
                    }),
                    Asking::Rounds(_) => Error::invalid("no folders").lacking(Ability::Roots),
                    _ => Error::invalid("there is nobody to ask"),
                };
                ToolResult { content: vec![], structured: None, error: Some(error) }
            }
            "panic" => {
                tokio::task::yield_now().await;
                panic!("a fault of the tool")
            }
            "progress" => {
                for done in [1.0, 2.0, 2.0, 3.0] {
                    report(done);
                    tokio::task::yield_now().await;
                }
                text("done")
            }
            "burst" => {
                // Nobody else runs in between, and the result is ready at once.
                (1..=BURST).for_each(|done| report(f64::from(done)));
                text("done")
            }
            "wait" | "report_and_wait" => {
                let _dropped = Dropped(self.events.clone(), cx);
                if name == "report_and_wait" {
                    report(1.0);
                }
                let _ = self.events.send(Event::Started);
                pending().await
            }
            _ => panic!("a fault at once"),
        })
    }

    fn timeout(&self, _: &str) -> Duration {
        Duration::from_secs(20)
    }
}

fn media() -> Vec<Content> {
    let data = Bytes::from_static(b"\x00\xff");
    vec![
        Content::Image { data: data.clone(), mime_type: "image/png".into() },
        Content::Audio { data: data.clone(), mime_type: "audio/wav".into() },
        Content::Resource {
            uri: "test://text".into(),
            mime_type: Some("text/csv".into()),
            body: ResourceBody::Text("a,b".into()),
        },
        Content::Resource { uri: "test://blob".into(), mime_type: None, body: ResourceBody::Blob(data) },
        Content::Link {
            uri: "test://link".into(),
            name: "a link".into(),
            description: Some("where it leads".into()),
            mime_type: None,
        },
    ]
}
