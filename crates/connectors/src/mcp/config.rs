//! What stands under `mcp:`.

use std::{path::PathBuf, sync::Arc};

use indexmap::IndexMap;
use renkei_core::{Definitions, Diagnostic, Diagnostics, FromNode, Node, Schema, Secret, read::Bytes};
use renkei_derive::FromNode;
use url::Url;

use super::expose::Expose;
use crate::http::{Address, Auth, Headers, HttpConfig, ProxyUrl, TlsConfig};

/// Another MCP server: a program that Renkei starts (`command`), or one that is reached by HTTP (`url`).
#[derive(Debug, FromNode)]
struct Fields {
    /// The program that is started and spoken with over its standard input and output, such as `npx`. Relative paths
    /// start in the folder of the config.
    command: Option<PathBuf>,
    /// The arguments of `command`, one each: no shell reads them.
    #[config(default)]
    args: Vec<String>,
    /// Variables of the environment of `command`, beside `PATH`, `HOME`, `LANG` and a few of that kind. It gets no
    /// other variable of Renkei's own. Values are not shown; one whose name speaks of a token, a key, a password or the like
    /// is masked in results, too.
    #[config(default)]
    env: IndexMap<Arc<str>, Secret>,
    /// The folder in which `command` runs; the folder of the config without it.
    cwd: Option<PathBuf>,
    /// The address of a server that speaks streamable HTTP, such as `https://mcp.example.com/mcp`.
    url: Option<Url>,
    /// Allows an address of `url` that is not public: loopback, private networks, link-local and the like.
    #[config(default = false)]
    private: bool,
    /// How Renkei proves to the server at `url` who it is. These are Renkei's own credentials: a caller's token is never
    /// handed on.
    auth: Option<Auth>,
    /// Sent with every request to `url`.
    #[config(default)]
    headers: Headers,
    /// Certificates for `url`: one to show, and whose to trust.
    tls: Option<TlsConfig>,
    /// The URL of a proxy (`http` or `https`) that requests to `url` go through.
    proxy: Option<ProxyUrl>,
    /// Hosts that are reached without the proxy.
    #[config(default)]
    no_proxy: Vec<String>,
    /// Which era of the protocol is spoken. `auto` asks the server.
    #[config(default = "auto")]
    era: EraWord,
    /// The largest message that is read from the server or sent to it.
    #[config(default = "10MB")]
    max_message: Bytes,
    /// Serves what the server has as this server's own: `{ tools: true }`.
    expose: Option<Expose>,
    /// How many calls are under way at once; one more is refused as `rate_limited`.
    #[config(default = 100)]
    max_calls: usize,
}

/// Which era of the protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromNode)]
pub(super) enum EraWord {
    /// The newest one that the server knows.
    Auto,
    /// `2026-07-28`: no session, each request says all.
    Modern,
    /// `2025-11-25` and before: `initialize`, and a session.
    Legacy,
}

/// Where the server is.
#[derive(Debug)]
pub(super) enum Place {
    Program(Arc<Program>),
    Remote(Arc<HttpConfig>),
    /// A value of the environment that is not known here (`check --no-env`) says it.
    Unknown,
}

/// A program to start.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) command: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: IndexMap<Arc<str>, Secret>,
    pub(super) cwd: Option<PathBuf>,
}

#[derive(Debug)]
pub(super) struct Config {
    pub(super) place: Place,
    pub(super) era: EraWord,
    pub(super) max_message: Bytes,
    pub(super) max_calls: usize,
    pub(super) expose: Option<Expose>,
}

/// More than this is not kept in memory for one message.
const MAX_MESSAGE: Bytes = Bytes(1 << 30);
/// Less than this holds no answer to `initialize`.
const MIN_MESSAGE: Bytes = Bytes(1000);
/// More calls than this are no calls of one server any more.
const MAX_CALLS: usize = 10_000;

const OF_PROGRAM: [&str; 3] = ["args", "env", "cwd"];
const OF_URL: [&str; 6] = ["private", "auth", "headers", "tls", "proxy", "no_proxy"];

impl FromNode for Config {
    fn from_node(node: &Node, d: &mut Diagnostics) -> Option<Self> {
        let fields = Fields::from_node(node, d)?;
        if !node.has_unknown() {
            check(&fields, node, d);
        }
        let place = match (fields.command, fields.url) {
            (Some(command), _) => {
                let Fields { args, env, cwd, .. } = fields;
                Place::Program(Arc::new(Program { command, args, env, cwd }))
            }
            (None, Some(url)) => {
                let Fields { private, auth, headers, tls, proxy, no_proxy, .. } = fields;
                let address = Address { url, private, auth, headers, tls, proxy, no_proxy };
                check_address(&address, node, d);
                Place::Remote(Arc::new(address.into()))
            }
            (None, None) => Place::Unknown,
        };
        let Fields { era, max_message, max_calls, expose, .. } = fields;
        Some(Config { place, era, max_message, max_calls, expose })
    }

    fn schema(defs: &mut Definitions) -> Schema {
        Fields::schema(defs)
    }
}

impl Config {
    /// What must not be in a result: of variables, many are ordinary words, such as the name of a region.
    pub(super) fn masked(&self) -> Vec<Secret> {
        match &self.place {
            Place::Program(program) => {
                let secret = |(name, value): &(&Arc<str>, &Secret)| is_secret(name, value.expose());
                program.env.iter().filter(secret).map(|(_, value)| value.clone()).collect()
            }
            Place::Remote(remote) => remote.constant_secrets(),
            Place::Unknown => Vec::new(),
        }
    }

    /// What must not be recorded.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        match &self.place {
            Place::Program(program) => program.env.values().cloned().collect(),
            Place::Remote(remote) => remote.constant_secrets(),
            Place::Unknown => Vec::new(),
        }
    }
}

/// Whether a variable proves who somebody is, by its name or because it is an address with a password.
fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["auth", "cookie", "credential", "key", "pass", "pwd", "secret", "token"];
    words.iter().any(|word| name.contains(word)) || value.contains("://") && value.contains('@')
}

fn check(fields: &Fields, node: &Node, d: &mut Diagnostics) {
    let mut refuse = |key: &str, message: &str, hint: &str| {
        let span = node.entry(key).map_or(node.span, |entry| entry.key_span);
        d.push(Diagnostic::error(span, message).hint(hint));
    };
    let is_given = |key: &str| node.entry(key).is_some();
    match (is_given("command"), is_given("url")) {
        (true, true) => {
            refuse("url", "a server has a `command` or a `url`, not both", "declare a system for each")
        }
        (false, false) => refuse(
            "",
            "it is not said where the server is",
            "add `command: npx` with `args: […]` for a program, or `url: https://…`",
        ),
        (true, false) => {
            for key in OF_URL.into_iter().filter(|key| is_given(key)) {
                refuse(key, &format!("`{key}` belongs to `url`"), "remove it");
            }
        }
        (false, true) => {
            for key in OF_PROGRAM.into_iter().filter(|key| is_given(key)) {
                refuse(key, &format!("`{key}` belongs to `command`"), "remove it");
            }
        }
    }
    if fields.args.iter().any(|arg| arg.contains('\0')) {
        refuse("args", "an argument holds the character U+0000", "no program can be given it: remove it");
    }
    for (name, value) in &fields.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.expose().contains('\0') {
            refuse("env", &format!("`{name}` cannot be a variable"), "a name has no `=` and is not empty");
        }
    }
    if !(MIN_MESSAGE..=MAX_MESSAGE).contains(&fields.max_message) {
        refuse("max_message", "`max_message` is between 1KB and 1GiB", "leave it out for 10MB");
    }
    if !(1..=MAX_CALLS).contains(&fields.max_calls) {
        refuse("max_calls", "`max_calls` is between 1 and 10000", "leave it out for 100");
    }
}

fn check_address(address: &Address, node: &Node, d: &mut Diagnostics) {
    if node.has_unknown() {
        return;
    }
    address.check(node, d);
    // One session serves all callers.
    for name in ["caller", "key", "run"] {
        if address.uses(name) {
            let key =
                if address.auth.as_ref().is_some_and(|auth| auth.uses(name)) { "auth" } else { "headers" };
            let span = node.get(key).map_or(node.span, |node| node.span);
            let message = format!("`{key}` uses `${name}`, but all calls share one connection to the server");
            d.push(
                Diagnostic::error(span, message)
                    .hint("give it Renkei's own credentials, from the environment: `'${env.MCP_TOKEN}'`"),
            );
        }
    }
}
