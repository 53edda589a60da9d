//! Subscriptions to resources: older clients ask for one after the other in their session, newer ones for all in
//! a request that stays open. Either is told that a resource changed, and reads it when it likes.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indexmap::IndexSet;
use renkei_core::{CallContext, Error, Kind, Principal, resource::Watch};
use rmcp::{
    ErrorData, RoleServer,
    model::{
        ResourceUpdatedNotificationParam, SubscribeRequestParams, SubscriptionFilter,
        UnsubscribeRequestParams,
    },
    service::{RequestContext, SubscriptionContext},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Server,
    call::{client, principal},
    request::failure,
    site::Endpoint,
};

/// After a reload, what cannot be watched, for its system is not connected yet, is tried again after so long.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// What one older client subscribed to, in one session. It ends with the session.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Mutex<BTreeMap<String, AbortOnDropHandle<()>>>);

impl Subscriptions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, AbortOnDropHandle<()>>> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn subscribe(
        &self,
        endpoint: &Arc<Endpoint>,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (uri, server) = (request.uri, endpoint.current());
        {
            let known = self.lock();
            if known.contains_key(&uri) {
                return Ok(());
            }
            server.check_subscriptions(known.len() + 1)?;
        }
        let mut followed = Followed::begin(endpoint, server.clone(), &uri, &context).await?;
        let peer = context.peer;
        let task = tokio::spawn(async move {
            loop {
                followed.changed().await;
                let changed = ResourceUpdatedNotificationParam::new(followed.uri.clone());
                if peer.notify_resource_updated(changed).await.is_err() {
                    return;
                }
            }
        });
        let task = AbortOnDropHandle::new(task);
        let mut known = self.lock();
        // Others may have come in meanwhile.
        server.check_subscriptions(known.len() + usize::from(!known.contains_key(&uri)))?;
        known.insert(uri, task);
        Ok(())
    }

    /// One that there is not is ended already.
    pub(super) fn unsubscribe(&self, request: &UnsubscribeRequestParams) {
        self.lock().remove(&request.uri);
    }
}

/// What a newer client waits for, in one request.
pub(super) struct Waiting(JoinSet<Followed>);

impl Waiting {
    pub(super) async fn begin(
        endpoint: &Arc<Endpoint>,
        server: &Arc<Server>,
        subscription: &SubscriptionContext,
    ) -> Result<Self, ErrorData> {
        let uris = subscription.accepted().resource_subscriptions.iter().flatten().cloned();
        let mut waiting = Waiting(JoinSet::new());
        for uri in IndexSet::<String>::from_iter(uris) {
            let context = subscription.request_context();
            waiting.push(Followed::begin(endpoint, server.clone(), &uri, context).await?);
        }
        Ok(waiting)
    }

    fn push(&mut self, mut followed: Followed) {
        self.0.spawn(async move {
            followed.changed().await;
            followed
        });
    }

    /// The next resource that changed. Waits for ever where there is none to wait for.
    pub(super) async fn next(&mut self) -> String {
        loop {
            match self.0.join_next().await {
                Some(Ok(followed)) => {
                    let uri = followed.uri.clone();
                    self.push(followed);
                    return uri;
                }
                // One that panicked is not waited for any more.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

impl Server {
    /// Whether somebody can subscribe to a resource.
    pub(super) fn has_watched(&self) -> bool {
        self.resources.as_ref().is_some_and(|resources| resources.has_watched())
    }

    /// Of the resources that a newer client wants to hear of: as many as it may have.
    pub(super) fn granted(&self, requested: &SubscriptionFilter) -> Option<Vec<String>> {
        let uris = requested.resource_subscriptions.as_ref().filter(|_| self.has_watched())?;
        let distinct = IndexSet::<_>::from_iter(uris).into_iter();
        Some(distinct.take(self.limits.subscriptions).cloned().collect())
    }

    fn check_subscriptions(&self, wanted: usize) -> Result<(), ErrorData> {
        let limit = self.limits.subscriptions;
        if wanted <= limit {
            return Ok(());
        }
        let text = format!(
            "a client has `{limit}` subscriptions at most (`server.limits.subscriptions`): end one first"
        );
        Err(failure(&Error::new(Kind::RateLimited, text)))
    }
}

/// One resource that one client waits for, whatever serves it meanwhile.
struct Followed {
    uri: String,
    principal: Arc<Principal>,
    client: Option<IpAddr>,
    endpoint: Arc<Endpoint>,
    server: Arc<Server>,
    /// Nothing while it cannot be watched.
    watch: Option<Box<dyn Watch>>,
}

impl Followed {
    async fn begin(
        endpoint: &Arc<Endpoint>,
        server: Arc<Server>,
        uri: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<Self, ErrorData> {
        let timeout = server.resources.as_ref().map(|resources| resources.timeout()).unwrap_or_default();
        let begin = |cx| async { watch(&server, cx, uri).await };
        let watch = server.answer("resources/subscribe", uri, timeout, context, begin).await?;
        let (uri, principal, client) = (uri.to_owned(), principal(context), client(context));
        Ok(Followed { uri, principal, client, endpoint: endpoint.clone(), server, watch: Some(watch) })
    }

    /// Waits for a change. A new config may have changed what the resource holds, and so counts as one.
    async fn changed(&mut self) {
        let replaced = self.endpoint.replaced(&self.server);
        match &mut self.watch {
            Some(watch) => tokio::select! {
                () = watch.changed() => return,
                () = replaced => {}
            },
            None => tokio::select! {
                () = sleep(TRY_AGAIN) => {}
                () = replaced => {}
            },
        }
        loop {
            self.server = self.endpoint.current();
            let timeout = self.server.resources.as_ref().map(|resources| resources.timeout());
            let deadline = Instant::now() + timeout.unwrap_or_default();
            let cx = CallContext {
                client: self.client,
                // The subscription is the same; only what serves it changed.
                unasked: true,
                ..CallContext::new(deadline, self.principal.clone())
            };
            match watch(&self.server, cx, &self.uri).await {
                Ok(watch) => {
                    self.watch = Some(watch);
                    return;
                }
                Err(_) if self.watch.take().is_some() => return,
                // It was told already that it is not there.
                Err(_) => sleep(TRY_AGAIN).await,
            }
        }
    }
}

async fn watch(server: &Server, cx: CallContext, uri: &str) -> renkei_core::Result<Box<dyn Watch>> {
    match &server.resources {
        Some(resources) => resources.clone().watch(cx, uri).await,
        None => Err(Error::new(Kind::NotFound, "this server has no resources")),
    }
}
