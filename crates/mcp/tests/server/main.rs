//! The server as clients of both eras see it, on the wire: raw HTTP, raw lines, and rmcp's client.

mod client;
mod fake;
mod http;
mod limits;
mod stdio;
mod wire;
