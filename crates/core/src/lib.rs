//! The vocabulary and the ports of Renkei. No I/O happens here.
//!
//! Reading order: values and errors, then the config tree and its diagnostics, then templates,
//! then what a call is, then what a system, a pattern, a tool, a resource and a prompt are, then what is durable.

pub mod value;

pub mod duration;
pub mod error;
pub mod secret;
pub mod tls;

pub mod diagnostic;
pub mod node;
pub mod read;
pub mod schema;

pub mod template;

pub mod ask;
pub mod call;
mod invalidation;
pub mod page;
pub mod principal;
pub mod run;
pub mod trace;

pub mod audit;
pub mod metric;

pub mod connector;
pub mod introspect;
pub mod pattern;
pub mod task;
pub mod tool;
pub mod trial;

pub mod complete;
pub mod group;
pub mod prompt;
pub mod queue;
pub mod resource;
pub mod uri;

pub mod clock;
pub mod store;

pub use call::{Call, CallContext, Effect, Params, Payload, PreparedOp, Reply, Request};
pub use connector::{
    Background, CallNode, ConnectContext, Connection, ConnectorKind, LayerStack, Layers, LayersKind, System,
};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use error::{Applied, Error, Kind, Result, Retry};
pub use invalidation::{AddressPattern, Invalidation, Segment};
pub use node::{Entry, Node, NodeKind, Span};
pub use page::{Cursor, Page, Paging, Position};
pub use pattern::{ActionContext, ActionNode, Outcome, Pattern, PatternKind};
pub use principal::Principal;
pub use read::FromNode;
pub use run::RunContext;
pub use schema::{Definitions, Schema};
pub use secret::Secret;
pub use template::{Scope, Template, Tree};
pub use value::{Map, Number, Value};
