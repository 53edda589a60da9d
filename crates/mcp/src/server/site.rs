//! Where clients reach what: the endpoints, which stay while what they serve is replaced.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use futures_util::future::join_all;
use indexmap::IndexMap;
use rmcp::{RoleServer, service::Peer};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{Endpoints, Limits, Server};

/// How long one client of the legacy era may take to be told of a change.
const TELLING: Duration = Duration::from_secs(5);

/// The endpoints of a process. Clients stay with an endpoint, while [`Site::replace`] gives it another server.
#[derive(Debug)]
pub struct Site {
    pub(super) all: Arc<Endpoint>,
    /// Every group that ever was: its clients may still be there, and it may come again.
    groups: RwLock<IndexMap<Arc<str>, Arc<Endpoint>>>,
    /// As they were at the start.
    pub(super) limits: Limits,
    pub(super) longest_call: Duration,
    pub(super) shutdown: CancellationToken,
}

impl Site {
    /// Streams without an end of their own end when `shutdown` is cancelled.
    pub fn new(endpoints: Endpoints, shutdown: CancellationToken) -> Arc<Self> {
        let (limits, longest_call) = (endpoints.all.limits.clone(), endpoints.longest_call());
        let endpoint = |server| Endpoint::new(server, shutdown.clone());
        let groups = endpoints.groups.into_iter().map(|(name, server)| (name, endpoint(server))).collect();
        Arc::new(Site {
            all: endpoint(endpoints.all),
            groups: RwLock::new(groups),
            limits,
            longest_call,
            shutdown,
        })
    }

    /// Serves something else from now on. Requests under way end where they began. Whoever wants to know of
    /// changes is told which lists are others now; that may take a few seconds.
    pub async fn replace(&self, endpoints: Endpoints) {
        let endpoints = endpoints.following(&self.all.current());
        let told = {
            let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
            let mut changed = Vec::new();
            for (name, endpoint) in groups.iter() {
                if !endpoints.groups.contains_key(name) {
                    let emptied = endpoint.current().emptied();
                    changed.push((endpoint.clone(), endpoint.set(emptied, false)));
                }
            }
            for (name, server) in endpoints.groups {
                if let Some(endpoint) = groups.get(&name) {
                    changed.push((endpoint.clone(), endpoint.set(server, true)));
                } else {
                    groups.insert(name, Endpoint::new(server, self.shutdown.clone()));
                }
            }
            changed.push((self.all.clone(), self.all.set(endpoints.all, true)));
            changed
        };
        join_all(told.iter().map(|(endpoint, changed)| endpoint.tell(*changed))).await;
    }

    /// The endpoint of a group, or of everything.
    ///
    /// # Errors
    /// A sentence, if there is no such group.
    pub(super) fn endpoint(&self, group: Option<&str>) -> Result<Arc<Endpoint>, String> {
        let Some(name) = group else { return Ok(self.all.clone()) };
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        let found = groups.get(name).filter(|endpoint| endpoint.is_there());
        found.cloned().ok_or_else(|| {
            let shown: String = name.chars().take(100).collect();
            let there = groups.iter().filter(|(_, endpoint)| endpoint.is_there());
            let names: Vec<String> = there.map(|(name, _)| format!("`{name}`")).collect();
            let what = match names.is_empty() {
                true => "the config has no groups".to_owned(),
                false => format!("the groups are {}", names.join(", ")),
            };
            format!("there is no group `{shown}`: {what}; everything is at `/mcp`")
        })
    }
}

/// One place where clients reach a server.
pub(super) struct Endpoint {
    served: watch::Sender<Served>,
    /// Clients of the legacy era that are told of changes.
    audience: Mutex<Vec<Listener>>,
    pub(super) shutdown: CancellationToken,
}

struct Served {
    server: Arc<Server>,
    versions: Versions,
    is_there: bool,
}

/// How often each list became another one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Versions {
    tools: u64,
    resources: u64,
    prompts: u64,
}

/// Some of the lists.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lists {
    pub(super) tools: bool,
    pub(super) resources: bool,
    pub(super) prompts: bool,
}

impl Lists {
    pub(super) const fn and(self, other: Lists) -> Lists {
        Lists {
            tools: self.tools && other.tools,
            resources: self.resources && other.resources,
            prompts: self.prompts && other.prompts,
        }
    }
}

impl Versions {
    fn next(self, changed: Lists) -> Self {
        Versions {
            tools: self.tools + u64::from(changed.tools),
            resources: self.resources + u64::from(changed.resources),
            prompts: self.prompts + u64::from(changed.prompts),
        }
    }

    /// What changed since.
    pub(super) fn since(self, earlier: Versions) -> Lists {
        Lists {
            tools: self.tools != earlier.tools,
            resources: self.resources != earlier.resources,
            prompts: self.prompts != earlier.prompts,
        }
    }
}

struct Listener {
    peer: Peer<RoleServer>,
    /// What it was told that there is.
    offered: Lists,
}

impl Endpoint {
    fn new(server: Server, shutdown: CancellationToken) -> Arc<Self> {
        let served = Served { server: Arc::new(server), versions: Versions::default(), is_there: true };
        Arc::new(Endpoint { served: watch::Sender::new(served), audience: Mutex::default(), shutdown })
    }

    /// What is served now. Whoever holds it keeps its whole plan: for one request, no longer.
    pub(super) fn current(&self) -> Arc<Server> {
        self.served.borrow().server.clone()
    }

    fn is_there(&self) -> bool {
        self.served.borrow().is_there
    }

    pub(super) fn versions(&self) -> Versions {
        self.served.borrow().versions
    }

    /// Waits until a list is another one than in `seen`.
    pub(super) async fn changed_since(&self, seen: Versions) -> Versions {
        let mut served = self.served.subscribe();
        let changed = served.wait_for(|served| served.versions != seen).await.ok();
        // The sender is this endpoint's own: it lives as long as the wait.
        changed.map_or(seen, |served| served.versions)
    }

    /// Waits until something else than `server` is served.
    pub(super) async fn replaced(&self, server: &Arc<Server>) {
        let mut served = self.served.subscribe();
        // The sender is this endpoint's own: it lives as long as the wait.
        let _ = served.wait_for(|served| !Arc::ptr_eq(&served.server, server)).await;
    }

    fn set(&self, server: Server, is_there: bool) -> Lists {
        let mut changed = Lists::default();
        self.served.send_modify(|served| {
            changed = server.differs_from(&served.server);
            *served = Served { server: Arc::new(server), versions: served.versions.next(changed), is_there };
        });
        changed
    }

    /// From now on this client is told of changes.
    pub(super) fn listen(&self, peer: Peer<RoleServer>) {
        let offered = self.current().offers();
        let mut audience = self.audience.lock().unwrap_or_else(PoisonError::into_inner);
        // There are never more of them than sessions.
        audience.retain(|listener| !listener.peer.is_transport_closed());
        audience.push(Listener { peer, offered });
    }

    async fn tell(&self, changed: Lists) {
        let listeners: Vec<_> = {
            let mut audience = self.audience.lock().unwrap_or_else(PoisonError::into_inner);
            audience.retain(|listener| !listener.peer.is_transport_closed());
            audience.iter().map(|listener| (listener.peer.clone(), listener.offered.and(changed))).collect()
        };
        let tell = async |(peer, lists): (Peer<RoleServer>, Lists)| {
            if lists.tools {
                peer.notify_tool_list_changed().await?;
            }
            if lists.resources {
                peer.notify_resource_list_changed().await?;
            }
            if lists.prompts {
                peer.notify_prompt_list_changed().await?;
            }
            Ok::<_, rmcp::ServiceError>(())
        };
        // Whoever does not take it in time, or is gone, gets the new lists when it asks for them.
        join_all(listeners.into_iter().map(|listener| timeout(TELLING, tell(listener)))).await;
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("server", &self.current()).finish_non_exhaustive()
    }
}
