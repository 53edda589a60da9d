//! The servers of one config: everything at one place, and each group at its own.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;

use super::Server;

/// The servers of one config. What they hold at most, they hold together: the limits are those of the server
/// with everything.
#[derive(Debug)]
pub struct Endpoints {
    pub(super) all: Server,
    pub(super) groups: IndexMap<Arc<str>, Server>,
}

impl Endpoints {
    /// Everything, without groups.
    pub fn new(all: Server) -> Self {
        Endpoints { all, groups: IndexMap::new() }
    }

    /// The same with a group, which has a server of its own. `name` is one segment of a URL's path.
    #[must_use]
    pub fn with_group(mut self, name: Arc<str>, mut server: Server) -> Self {
        server.group = Some(name.clone());
        server.limits = self.all.limits.clone();
        server.calls = self.all.calls.clone();
        server.asks = self.all.asks.clone();
        self.groups.insert(name, server);
        self
    }

    /// The same under the limit on calls of the endpoints before: calls under way count.
    pub(super) fn following(mut self, old: &Server) -> Self {
        let same_calls = self.all.limits.calls == old.limits.calls;
        let same_asks = self.all.limits.asks == old.limits.asks;
        for server in self.groups.values_mut().chain([&mut self.all]) {
            if same_calls {
                server.calls = old.calls.clone();
            }
            if same_asks {
                server.asks = old.asks.clone();
            }
        }
        self
    }

    /// The longest that a request may take anywhere.
    pub(super) fn longest_call(&self) -> Duration {
        self.groups.values().chain([&self.all]).map(Server::longest_call).max().unwrap_or_default()
    }
}
