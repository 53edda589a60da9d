//! What a connector is: how a kind of system is configured, prepared and reached.

use std::{fmt, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    Call, Definitions, Diagnostics, Entry, Error, Invalidation, Node, PreparedOp, Reply, Request, Result,
    Schema, Secret, Tree, Value,
    call::CallSettings,
    introspect::Introspect,
    template::Names,
    tool::{Annotations, Icon},
};

/// A kind of system, such as `http` or `sqlite`: one folder in `connectors`, one line in its slice.
pub trait ConnectorKind: Send + Sync {
    /// The key in the config: `systems: { crm: { http: … } }`.
    fn name(&self) -> &'static str;

    /// Of what stands under that key.
    fn schema(&self, defs: &mut Definitions) -> Schema;

    /// Of one operation: what stands under `call: { SYSTEM: … }`.
    fn op_schema(&self, defs: &mut Definitions) -> Schema;

    /// Words with which a config test says what such a system answers, each with its schema: `status` and
    /// `body` of HTTP, `rows` of SQL. A value as it is (`reply`) and an error can be said of every system.
    fn answer_words(&self, _: &mut Definitions) -> Vec<(&'static str, Schema)> {
        Vec::new()
    }

    /// Reads such an answer from a mapping that has no other keys than those words.
    fn read_answer(&self, _: &Node, _: &mut Diagnostics) -> Option<Arc<dyn Answer>> {
        None
    }

    /// Reads what a config test expects of a request, into the shape of [`System::show`]: with fewer members,
    /// and short forms written out.
    fn read_request(&self, node: &Node, _: &mut Diagnostics) -> Option<Value> {
        Some(node.to_value())
    }

    /// Writes what a system answered in those words, as somebody would who writes a test: for recording one.
    /// The shortest form comes first; a longer one tells more. Nothing where only `reply` or `error` can say it.
    fn write_answer(&self, _: &Came<'_>) -> Vec<Value> {
        Vec::new()
    }

    /// Writes a request of [`System::show`] in the shortest form that [`ConnectorKind::read_request`] reads.
    fn write_request(&self, shown: &Value) -> Value {
        shown.clone()
    }

    /// Reads the system's config. No I/O.
    fn read(&self, name: &str, node: &Node, d: &mut Diagnostics) -> Option<Arc<dyn System>>;
}

/// What came of a request to a live system.
#[derive(Clone, Copy, Debug)]
pub struct Came<'a> {
    pub request: &'a Request,
    pub result: &'a Result<Reply>,
    /// What the connector told the [`Witness`](crate::call::Witness).
    pub answered: Option<&'a Value>,
}

/// What a system answers in a config test.
pub trait Answer: Send + Sync + fmt::Debug {
    /// What the connector would have made of it, as the answer to this request.
    fn answer(&self, request: &Request) -> Result<Reply>;
}

/// An answer that is the same for every request.
impl Answer for Result<Reply> {
    fn answer(&self, _: &Request) -> Result<Reply> {
        self.clone()
    }
}

/// A configured system.
#[async_trait]
pub trait System: Send + Sync + fmt::Debug {
    /// Checks an operation and takes it apart. Pure: this is what `check` runs offline.
    /// `names` says what the operation's templates may refer to.
    fn prepare(&self, op: &Node, names: &Names<'_>, d: &mut Diagnostics) -> Option<PreparedOp>;

    /// The request as data, exactly as it would be sent and in the words of the operation's config: for config
    /// tests and dry runs. Pure, and it refuses what `call` refuses before it sends. The system's own part –
    /// its address, headers and credentials – is not in it.
    ///
    /// # Errors
    /// A value that cannot go where it would have to, or an operation of another connector.
    fn show(&self, request: &Request) -> Result<Value>;

    /// Whether it lives on this machine alone, so that its tools do not reach the open world.
    fn is_local(&self) -> bool {
        false
    }

    /// Whether the system's own part of a request – headers, credentials – depends on who asks, so that one
    /// caller's reply is not another's. What the operation's own templates say of `$caller` is no matter: it is
    /// in the request's parameters.
    fn depends_on_caller(&self) -> bool {
        false
    }

    /// What in its config proves who asks – passwords, keys, tokens – wherever it was written: no recording of a test
    /// may hold it.
    fn secrets(&self) -> Vec<Secret> {
        Vec::new()
    }

    /// What the request is about, as decoded segments: those of an HTTP path, of a file's path. Nothing where
    /// there is no such thing. Patterns of `invalidates` are compared with it.
    fn address(&self, _: &Request) -> Option<Vec<String>> {
        None
    }

    /// What the names of the tools begin with that it [offers](Connection::offer) to be served as this server's own;
    /// nothing if it offers none.
    fn exposes(&self) -> Option<&str> {
        None
    }

    /// Connects, or fails without harm: the engine calls again later. Spawns nothing that
    /// outlives the connection.
    async fn connect(&self, cx: &ConnectContext) -> Result<Connection>;
}

#[derive(Clone, Debug)]
pub struct ConnectContext {
    /// Relative paths in the config start here: the folder of the config file.
    pub base_dir: PathBuf,
    /// How long it may take to open one connection: now, and later when the connection opens more.
    pub timeout: Duration,
    /// How long the system may be silent in the middle of a request, where the connector can tell; nothing for
    /// as long as the attempt may take.
    pub read_timeout: Option<Duration>,
}

impl ConnectContext {
    /// With the default timeout of five seconds.
    pub fn new(base_dir: impl Into<PathBuf>) -> Self {
        ConnectContext { base_dir: base_dir.into(), timeout: DEFAULT_CONNECT_TIMEOUT, read_timeout: None }
    }
}

/// How long opening a connection may take unless the config says otherwise.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connected system and what it can do. Absence is data: the lint can speak about it.
#[derive(Clone)]
pub struct Connection {
    pub call: Arc<dyn Call>,
    /// Says which tables are there, where it is a database.
    pub schema: Option<Arc<dyn Introspect>>,
    /// Holds the reason once the connection is known to be lost, where the connector notices that by itself: it is
    /// made anew without waiting for a call to fail.
    pub lost: Option<watch::Receiver<Option<Error>>>,
    /// What it offers to be served as this server's own, where it does: nothing until that is known, and another one
    /// when the system says so.
    pub offer: Option<watch::Receiver<Option<Arc<Offer>>>>,
}

/// Tools of another server, to be served as this server's own.
#[derive(Debug, Default)]
pub struct Offer {
    /// In the order of their server.
    pub tools: Vec<OfferedTool>,
    /// What is not as the config or the protocol wants it, a sentence each.
    pub notices: Vec<String>,
}

/// A tool of another server, under the name that it has here.
#[derive(Debug)]
pub struct OfferedTool {
    pub name: Arc<str>,
    pub title: Option<String>,
    /// Empty where its server gives none.
    pub description: String,
    /// Both schemas are passed on unchanged.
    pub input_schema: Value,
    pub output_schema: Option<Value>,
    pub annotations: Annotations,
    pub icons: Vec<Icon>,
    /// The call that it is. Its input are the arguments; what it gives is a whole result as the protocol has it:
    /// `{ content, structuredContent?, isError? }`.
    pub op: Arc<PreparedOp>,
}

impl Connection {
    /// One that takes calls and nothing else.
    pub fn new(call: Arc<dyn Call>) -> Self {
        Connection { call, schema: None, lost: None, offer: None }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// What may stand beside the operation of a `call`, for its layers.
pub const CALL_WORDS: [&str; 3] = ["timeout", "retry", "cache"];

/// The definition of one of the [`CALL_WORDS`] in JSON Schemas: `{ "$ref": "#/$defs/call.timeout" }`.
pub fn call_definition(word: &str) -> String {
    format!("call.{word}")
}

/// The layers' part of a system's config (`timeout`, `retry`, …), as one kind.
pub trait LayersKind: Send + Sync {
    /// The properties that it adds to every system, each with its schema.
    fn properties(&self, defs: &mut Definitions) -> Vec<(&'static str, Schema)>;

    /// The schema of each of the [`CALL_WORDS`].
    fn call_properties(&self, defs: &mut Definitions) -> Vec<(&'static str, Schema)>;

    /// Reads them from the system's mapping `node`; other keys there are not its business.
    fn read(&self, node: &Node, d: &mut Diagnostics) -> Arc<dyn Layers>;
}

/// A call as it stands in the config.
#[derive(Clone, Copy, Debug)]
pub struct CallNode<'a> {
    pub op: &'a Node,
    pub prepared: &'a PreparedOp,
    /// What stands beside the operation: [`CALL_WORDS`] only.
    pub settings: &'a [Entry],
}

/// The configured layers of one system, without a state.
pub trait Layers: Send + Sync + fmt::Debug {
    /// Begins them for a system. Their state – breakers, budgets, cached replies – is that of what is returned.
    fn start(&self, plan: &SystemPlan, background: Arc<dyn Background>) -> Arc<dyn LayerStack>;

    /// Reads what a call says beside its operation. Nothing, with diagnostics, if something is wrong.
    fn read_call(&self, call: &CallNode<'_>, d: &mut Diagnostics) -> Option<CallSettings>;

    /// `timeout.connect`: goes into the [`ConnectContext`], since only the connector opens connections.
    fn connect_timeout(&self) -> Duration {
        DEFAULT_CONNECT_TIMEOUT
    }

    /// `timeout.read`: goes there, too.
    fn read_timeout(&self) -> Option<Duration> {
        None
    }

    /// The name of the cache of the whole system, beside the system's own; see [`Layers::cache_name`].
    fn own_cache_name(&self) -> Option<Arc<str>> {
        None
    }

    /// The name under which the replies of a call with these settings are kept, where it has one.
    fn cache_name(&self, _: &CallSettings) -> Option<Arc<str>> {
        None
    }
}

/// The layers of one system at work.
pub trait LayerStack: Send + Sync {
    /// Puts them around a call, in the one right order. All that it gives share what the layers know.
    fn around(&self, inner: Arc<dyn Call>) -> Arc<dyn Call>;

    /// Forgets cached replies. Calls under way that may have read what is no longer true are not kept, either.
    fn invalidate(&self, what: &Invalidation);

    /// Calls come to it from now on: what its gauges show begins here.
    fn begin(&self);

    /// Its system is gone from the config, or another one has its name. Calls under way end as they began, and
    /// its gauges show nothing any more.
    fn retire(&self);
}

/// Takes work that goes on when whoever asked has an answer already. The owner awaits it, and ends it when the
/// server stops.
pub trait Background: Send + Sync {
    fn run(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>);
}

/// A system of the config: its kind's part, and the layers around it.
#[derive(Clone, Debug)]
pub struct SystemPlan {
    pub name: Arc<str>,
    pub kind: &'static str,
    pub system: Arc<dyn System>,
    pub layers: Arc<dyn Layers>,
    /// Of everything that the config says of it, rendered. Two plans with the same one reach the same system in the
    /// same way, so that a connection of the one serves the other's operations.
    pub fingerprint: u64,
}

/// Shorthand for connectors: adds a slot and gives its index.
pub fn add_slot(slots: &mut Vec<Tree>, tree: Tree) -> usize {
    slots.push(tree);
    slots.len() - 1
}
