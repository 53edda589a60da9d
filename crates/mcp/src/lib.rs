//! The Model Context Protocol: the only place that knows it, and the only owner of rmcp's types.
//!
//! What rmcp (the official SDK, pinned exactly) does: framing and JSON-RPC, both eras of the protocol on
//! one endpoint and on stdio, version negotiation, legacy sessions with their streams, the comparison of
//! the `Mcp-*` headers with the body, and the status codes that follow from it.
//!
//! What we do, because rmcp leaves it to the server, or does it otherwise:
//! - [`Server`] publishes any [`Tools`](renkei_core::tool::Tools): the list is made once, in its own order.
//!   Beside them any [`Resources`](renkei_core::resource::Resources) and [`Prompts`](renkei_core::prompt::Prompts), in pages
//!   with cursors that are checked.
//! - [`Site`] is where clients are while what is served is replaced: a request ends on the server that it began
//!   with, sessions stay, and who wants to know is told which lists changed.
//! - [`Endpoints`] puts several servers side by side: everything, and each group at a path of its own. A session
//!   belongs to the endpoint where it was opened; what is limited is limited over all of them.
//! - A call ends with its request: a cancellation, or a closed response, drops the run's future (rmcp only
//!   sets a flag). A panic becomes an error result (rmcp would leave the client without an answer).
//! - Progress never blocks the run, only grows, and all of it leaves before the result.
//! - Sessions are counted, bound to the principal that opened them, and make room when idle (rmcp keeps
//!   any number of them, and lets anyone use one who knows its id).
//! - Calls that run at once are limited, with an answer that says so.
//! - Numbers keep their digits both ways: messages are read before rmcp reads them, and mended after it wrote
//!   them (decision 0002).
//! - What is no message gets the JSON-RPC error for it, with the place of the mistake; parameters that do not
//!   fit a known method get "invalid params", not "method not found". Batches work where they exist.
//! - Open streams end when the server is told to stop, so that it can.
//!
//! Not here: Host, Origin, authentication, connection limits. They are the `http` crate's, which stands in
//! front; rmcp's own checks of Host and Origin are switched off so that there is one place to look at.
//! The principal comes in the request's extensions as `Arc<Principal>`; without it the caller is anonymous.

pub mod client;
pub mod server;

pub use server::{
    Endpoints, Info, Limits, Server, Site, content_json, router, serve_stdio, serve_streams, tool_json,
};
