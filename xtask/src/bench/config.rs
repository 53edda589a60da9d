//! The configs that Renkei is measured with: tools as people write them.

use std::{fmt::Write as _, path::Path};

/// So many connections of each database, on both sides.
pub(super) const CONNECTIONS: usize = 10;
/// The slowest branch of the aggregate.
pub(super) const SLOWEST_MS: u64 = 50;

/// A config that begins with its systems.
#[derive(Debug)]
pub(super) struct Config(String);

impl Config {
    pub(super) fn new() -> Config {
        Config("server: { name: bench }\nsystems:\n".to_owned())
    }

    /// The REST backend, with `more` keys of the system.
    pub(super) fn http(mut self, name: &str, upstream: &str, more: &str) -> Config {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "  {name}:\n    http: {{ base_url: '{upstream}', private: true }}\n{more}");
        self
    }

    pub(super) fn sqlite(mut self, name: &str, file: &Path) -> Config {
        let _ = writeln!(self.0, "  {name}:\n    sqlite: {{ path: '{}' }}", file.display());
        self
    }

    /// `kind` is the connector's name.
    pub(super) fn database(mut self, name: &str, kind: &str, url: &str) -> Config {
        let _ = writeln!(self.0, "  {name}:\n    {kind}: {{ url: '{url}', max_connections: {CONNECTIONS} }}");
        self
    }

    /// From here on, tools.
    pub(super) fn tools(mut self) -> Config {
        self.0.push_str("tools:\n");
        self
    }

    /// A tool that hands over what its call gives.
    pub(super) fn item(self, name: &str, system: &str) -> Config {
        self.tool(name, &format!("{{ {system}: 'GET /stock/${{.id}}' }}"), "")
    }

    /// The same with a result that is put together.
    pub(super) fn shaped_item(self, name: &str, system: &str) -> Config {
        let output = "    output: { id: '${$result.id}', name: '${$result.name}', \
                      cents: '${$result.price * 100}' }\n";
        self.tool(name, &format!("{{ {system}: 'GET /stock/${{.id}}' }}"), output)
    }

    /// A tool that asks a database for one row.
    pub(super) fn row(self, name: &str, system: &str) -> Config {
        let sql = "select id, name, price from items where id = ${.id}";
        self.tool(name, &format!("{{ {system}: {{ sql: '{sql}', one: true }} }}"), "")
    }

    fn tool(mut self, name: &str, call: &str, output: &str) -> Config {
        let _ = write!(
            self.0,
            "  {name}:\n    description: One item, by its id, with name and price; the tool {name}.\n    \
             input: {{ id: {{ type: integer, minimum: 1, description: The item's number }} }}\n    \
             call: {call}\n{output}"
        );
        self
    }

    /// Eight branches that take up to [`SLOWEST_MS`]; the last two wait for others, within that time.
    pub(super) fn aggregate(mut self, name: &str, system: &str) -> Config {
        let _ = write!(self.0, "  {name}:\n    description: Everything at once.\n    aggregate:\n");
        for (branch, ms) in [("a", SLOWEST_MS), ("b", 40), ("c", 30), ("d", 30), ("e", 20), ("f", 10)] {
            let _ = writeln!(self.0, "      {branch}: {{ call: {{ {system}: GET /slow/{ms} }} }}");
        }
        for (branch, after) in [("g", "e"), ("h", "f")] {
            let call = format!("GET /slow/${{${after}.ms}}");
            let _ = writeln!(self.0, "      {branch}: {{ call: {{ {system}: '{call}' }} }}");
        }
        self
    }

    /// A server with a store, a tool that enqueues, one that counts, and a worker that does next to nothing.
    pub(super) fn queue(store: &str) -> Config {
        Config(format!(
            "server: {{ name: bench, store: '{store}' }}\n\
             tools:\n  hand_over:\n    description: Hands work over.\n    input: {{ id: integer }}\n    \
             enqueue: {{ work: {{ id: '${{.id}}' }} }}\n  \
             count:\n    description: How much is left.\n    queue_status: work\n\
             queues:\n  work:\n    concurrency: 64\n    max_length: 1000000\n    worker: {{ transform: '${{.id}}' }}\n"
        ))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// Many tools, each with a schema, a call with a template, and a shaped result.
pub(super) fn many_tools(tools: usize, upstream: &str) -> Config {
    let start = Config::new().http("upstream", upstream, "").tools();
    (0..tools).fold(start, |config, number| config.shaped_item(&format!("get_item_{number}"), "upstream"))
}
