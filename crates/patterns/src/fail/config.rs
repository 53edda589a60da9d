//! Reads `fail`.

use std::sync::Arc;

use renkei_core::{
    ActionContext, ActionNode, Definitions, Diagnostic, Diagnostics, FromNode, Kind as ErrorKind, Node,
    NodeKind, Pattern, PatternKind, Schema, Tree, Value, read::wrong,
};
use renkei_derive::FromNode;

use super::run::FailAction;

/// JSON-RPC's codes for parameters that do not fit, and for a fault of the server.
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;
/// JSON-RPC keeps these for itself, and MCP gives meanings to some of them.
const TAKEN: std::ops::RangeInclusive<i32> = -32768..=-32000;

/// Fails on purpose: the call ends with this error.
#[derive(Debug, FromNode)]
#[expect(dead_code, reason = "the message is read from the tree; its field is the manual")]
struct FailConfig {
    /// What kind of failure it is; `rejected` if left out.
    kind: Option<Word>,
    /// What whoever called reads: a text, which may have templates.
    message: Node,
    /// Answers with an error of the protocol instead of the result of a tool: `true`, or its code. The codes of
    /// JSON-RPC and MCP are taken, apart from -32602 and -32603.
    protocol: Option<Protocol>,
}

/// The kinds of errors that a config may give.
#[derive(Clone, Copy, Debug, FromNode)]
enum Word {
    /// The caller's input is wrong.
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    /// A no, for a business reason.
    Rejected,
    RateLimited,
    Unavailable,
    Timeout,
    /// A fault of this server or its config.
    Internal,
}

impl Word {
    fn kind(self) -> ErrorKind {
        match self {
            Word::Invalid => ErrorKind::Invalid,
            Word::Unauthenticated => ErrorKind::Unauthenticated,
            Word::Forbidden => ErrorKind::Forbidden,
            Word::NotFound => ErrorKind::NotFound,
            Word::Conflict => ErrorKind::Conflict,
            Word::Rejected => ErrorKind::Rejected,
            Word::RateLimited => ErrorKind::RateLimited,
            Word::Unavailable => ErrorKind::Unavailable,
            Word::Timeout => ErrorKind::Timeout,
            Word::Internal => ErrorKind::Internal,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    No,
    Yes,
    Code(i32),
}

impl FromNode for Protocol {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        match &node.kind {
            NodeKind::Bool(flag) => Some(if *flag { Protocol::Yes } else { Protocol::No }),
            NodeKind::Number(number) => {
                let code = number.as_i64().and_then(|code| i32::try_from(code).ok());
                match code {
                    Some(code)
                        if !TAKEN.contains(&code) || [INVALID_PARAMS, INTERNAL_ERROR].contains(&code) =>
                    {
                        Some(Protocol::Code(code))
                    }
                    Some(code) => {
                        let message = format!("the code {code} has a meaning of its own in JSON-RPC or MCP");
                        d.push(Diagnostic::error(node.span, message).hint(
                            "take -32602 (wrong parameters), -32603 (a fault inside), or one that is not between -32768 and -32000",
                        ));
                        None
                    }
                    None => wrong(node, "a code of at most 32 bits", d),
                }
            }
            _ => wrong(node, "`true` or a code such as `-32602`", d),
        }
    }

    fn schema(_: &mut Definitions) -> Schema {
        let forms = vec![Value::from([("type", "boolean")]), Value::from([("type", "integer")])];
        Value::from([("oneOf", Value::from(forms))])
    }
}

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "fail"
    }

    fn schema(&self, _: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        FailConfig::schema(defs)
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let config = FailConfig::from_node(action.value, cx.diagnostics);
        let message = action.value.get("message").and_then(|node| match node.kind {
            NodeKind::String(_) => Tree::read(node, &cx.names, cx.diagnostics),
            _ => wrong(node, "a text", cx.diagnostics),
        });
        let (config, message) = config.zip(message)?;
        let kind = config.kind.unwrap_or(Word::Rejected).kind();
        let protocol = match config.protocol {
            None | Some(Protocol::No) => None,
            Some(Protocol::Code(code)) => Some(code),
            Some(Protocol::Yes) if kind == ErrorKind::Invalid => Some(INVALID_PARAMS),
            Some(Protocol::Yes) => Some(INTERNAL_ERROR),
        };
        Some(Arc::new(FailAction { kind, message, protocol }))
    }
}
