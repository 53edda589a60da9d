//! Which server answers where: everything at one place, and each group at its own.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;

use super::Server;

/// The servers of one process. What they hold at most, they hold together: the limits are those of the server
/// with everything.
#[derive(Debug)]
pub struct Endpoints {
    pub(super) all: Arc<Server>,
    pub(super) groups: IndexMap<Arc<str>, Arc<Server>>,
}

impl Endpoints {
    /// Everything, without groups.
    pub fn new(all: Server) -> Self {
        Endpoints { all: Arc::new(all), groups: IndexMap::new() }
    }

    /// The same with a group, which has a server of its own. `name` is one segment of a URL's path.
    #[must_use]
    pub fn with_group(mut self, name: Arc<str>, mut server: Server) -> Self {
        server.group = Some(name.clone());
        server.limits = self.all.limits.clone();
        server.calls = self.all.calls.clone();
        self.groups.insert(name, Arc::new(server));
        self
    }

    /// The server of a group, or of everything.
    ///
    /// # Errors
    /// A sentence, if there is no such group.
    pub fn server(&self, group: Option<&str>) -> Result<&Arc<Server>, String> {
        match group {
            None => Ok(&self.all),
            Some(name) => self.groups.get(name).ok_or_else(|| self.no_such_group(name)),
        }
    }

    pub(super) fn no_such_group(&self, name: &str) -> String {
        let shown: String = name.chars().take(100).collect();
        let names: Vec<String> = self.groups.keys().map(|name| format!("`{name}`")).collect();
        match names.is_empty() {
            true => format!("there is no group `{shown}`: the config has no groups; everything is at `/mcp`"),
            false => format!(
                "there is no group `{shown}`: the groups are {}; everything is at `/mcp`",
                names.join(", ")
            ),
        }
    }

    /// The longest that a request may take anywhere.
    pub(super) fn longest_call(&self) -> Duration {
        self.groups.values().chain([&self.all]).map(|server| server.longest_call()).max().unwrap_or_default()
    }
}
