//! The resources of a config.

mod body;
mod list;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use indexmap::IndexMap;
use renkei_core::{
    CallContext, Effect, Error, Kind, Result, Value, audit,
    complete::{Completion, Partial},
    resource::{Contents, Listing, ResourceInfo, ResourcePlan, Resources, Watch},
    uri::Values,
};

use super::{Engine, Problem, arguments, input::Input, job::Job, watch::Watcher};

/// In the audit: a result that was too large and is read in parts.
const KEPT: &str = "kept_result";
/// In the audit: somebody wants to hear of changes.
const SUBSCRIPTION: &str = "subscription";
/// In the audit: what is read.
const RESOURCE: &str = "resource";

/// The resources, and how one is found by its URI.
#[derive(Default)]
pub(super) struct Shelf {
    /// Plain ones, by URI.
    fixed: IndexMap<Arc<str>, Arc<Resource>>,
    /// By their URI with variables; the first that fits is taken.
    templates: IndexMap<Arc<str>, Arc<Resource>>,
    template_list: Vec<ResourceInfo>,
}

pub(super) struct Resource {
    plan: ResourcePlan,
    input: Input,
}

impl Shelf {
    pub(super) fn new(plans: Vec<ResourcePlan>, problems: &mut Vec<Problem>) -> Self {
        let mut shelf = Shelf::default();
        for plan in plans {
            let input = match Input::new(&plan.input_schema) {
                Ok(input) => input,
                Err(what) => {
                    problems.push(Problem {
                        holder: format!("resource `{}`", plan.name),
                        key: "input",
                        what,
                    });
                    continue;
                }
            };
            let place = if plan.uri.is_fixed() { &mut shelf.fixed } else { &mut shelf.templates };
            place.insert(plan.uri.source().clone(), Arc::new(Resource { plan, input }));
        }
        shelf.template_list = shelf.templates.values().map(|resource| resource.info()).collect();
        shelf
    }

    /// Those of some names only, in the same order.
    pub(super) fn only(&self, names: &[Arc<str>]) -> Self {
        let chosen = |all: &IndexMap<Arc<str>, Arc<Resource>>| -> IndexMap<_, _> {
            let chosen = all.iter().filter(|(_, resource)| names.contains(&resource.plan.name));
            chosen.map(|(uri, resource)| (uri.clone(), resource.clone())).collect()
        };
        let (fixed, templates) = (chosen(&self.fixed), chosen(&self.templates));
        let template_list = templates.values().map(|resource| resource.info()).collect();
        Shelf { fixed, templates, template_list }
    }

    pub(super) fn fixed(&self) -> Vec<ResourceInfo> {
        self.fixed.values().map(|resource| resource.info()).collect()
    }

    pub(super) fn templates(&self) -> &[ResourceInfo] {
        &self.template_list
    }

    pub(super) fn asks(&self) -> bool {
        let mut all = self.fixed.values().chain(self.templates.values());
        all.any(|resource| resource.plan.action.as_ref().is_some_and(|action| action.asks()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.templates.is_empty()
    }

    /// The name of the resource of this URI, and how often it is read to find changes.
    pub(super) fn watch(&self, uri: &str) -> Result<(&str, Duration)> {
        let (resource, _) = self.find(uri).ok_or_else(|| unknown(uri))?;
        let name = &*resource.plan.name;
        let never =
            || Error::invalid(format!("the resource `{name}` cannot be watched: its config has no `watch`"));
        Ok((name, resource.plan.watch.ok_or_else(never)?))
    }

    /// Whether there is one that can be watched.
    pub(super) fn has_watched(&self) -> bool {
        self.fixed.values().chain(self.templates.values()).any(|resource| resource.plan.watch.is_some())
    }

    fn find(&self, uri: &str) -> Option<(&Resource, Values)> {
        if let Some(resource) = self.fixed.get(uri) {
            return Some((resource, Vec::new()));
        }
        self.templates.values().find_map(|resource| Some((&**resource, resource.plan.uri.values(uri)?)))
    }

    /// The longest time of its own that one has.
    pub(super) fn longest_timeout(&self) -> Option<Duration> {
        let all = self.fixed.values().chain(self.templates.values());
        all.filter_map(|resource| resource.plan.timeout).max()
    }
}

impl Resource {
    fn info(&self) -> ResourceInfo {
        let plan = &self.plan;
        ResourceInfo {
            uri: plan.uri.source().to_string(),
            name: plan.name.to_string(),
            title: plan.title.clone(),
            description: plan.description.clone(),
            mime_type: plan.mime_type.clone().or_else(|| body::mime_type_of(&plan.body).map(str::to_owned)),
            size: plan.size,
            annotations: plan.annotations.clone(),
            icons: plan.icons.clone(),
        }
    }
}

fn unknown(uri: &str) -> Error {
    let shown: String = uri.chars().take(200).collect();
    Error::new(Kind::NotFound, format!("there is no resource `{shown}`"))
}

impl Engine {
    fn job<'a>(&self, name: &'a str, measures: &'a audit::Measures, timeout: Option<Duration>) -> Job<'a> {
        let timeout = timeout.unwrap_or(self.options.tool_timeout);
        Job { measures, name, effect: Effect::Read, timeout, shown: self.options.audited }
    }

    async fn contents(
        &self,
        resource: &Resource,
        job: &Job<'_>,
        cx: CallContext,
        values: Values,
    ) -> Result<Contents> {
        let _place = self.place()?;
        let plan = &resource.plan;
        let texts = values.iter().map(|(name, text)| (&**name, text.as_str()));
        let input = resource.input.check(&plan.name, arguments::typed(&plan.input_schema, texts))?;
        let given = input.clone();
        self.in_rounds(job, cx, &given, |cx| self.body(plan, job, cx, input)).await
    }

    async fn body(
        &self,
        plan: &ResourcePlan,
        job: &Job<'_>,
        cx: CallContext,
        input: Value,
    ) -> Result<Contents> {
        let cx = self.context(job, cx, None);
        let outcome = match &plan.action {
            Some(action) => Some(self.act(job, &cx, &**action, input.clone()).await?),
            None => None,
        };
        let (cx, payload) = match outcome {
            Some(outcome) => (cx.with_vars(outcome.vars()), Some(outcome.value)),
            None => (cx, None),
        };
        let scope = cx.scope("output", input);
        let limit = self.options.content_bytes;
        let body = body::read(&plan.body, payload, &scope, &self.options.base_dir, limit);
        // A file may be far away, too.
        let (body, found) = cx.in_time(body).await.unwrap_or_else(|| {
            Err(Error::new(Kind::Timeout, "the time for reading the resource was used up"))
        })?;
        let mime_type = plan.mime_type.clone().or(found);
        Ok(Contents { mime_type, body, meta: None, ttl: plan.ttl, private: false })
    }

    pub(super) async fn list_resources(&self, shelf: &Shelf, cx: CallContext) -> Result<Listing> {
        let mut listing = Listing {
            resources: shelf.fixed(),
            missing: Vec::new(),
            queried: shelf.templates.values().any(|resource| resource.plan.list.is_some()),
        };
        let _place = self.place()?;
        let lists = shelf.templates.values().filter_map(|resource| {
            let plan = resource.plan.list.as_ref()?;
            Some(self.instances(&resource.plan, plan, cx.clone()))
        });
        for (resources, missing) in join_all(lists).await {
            listing.resources.extend(resources);
            listing.missing.extend(missing);
        }
        Ok(listing)
    }

    /// A result that was kept whole, as any other read.
    pub(super) async fn read_kept(
        &self,
        cx: CallContext,
        uri: &str,
        kept: Result<Contents>,
    ) -> Result<Contents> {
        let measures = audit::Measures::new(RESOURCE, KEPT);
        self.job(KEPT, &measures, None).guarded(&cx, &Value::from(uri), async { kept }).await
    }

    /// Begins to watch one of `shelf`, which `resources` reads. The subscription has its line in the audit; the readings for
    /// it have none.
    pub(super) async fn watch_on(
        &self,
        shelf: &Shelf,
        resources: Arc<dyn Resources>,
        cx: CallContext,
        uri: &str,
    ) -> Result<Box<dyn Watch>> {
        let (name, every) =
            shelf.watch(uri).inspect_err(|error| audit::refused(SUBSCRIPTION, uri, false, &cx, error))?;
        let asked = Value::from(uri);
        let measures = audit::Measures::new(SUBSCRIPTION, name);
        let record = audit::Record::begin(&measures, name, Effect::Read, &cx, (self.options.audited, &asked));
        let begun = async {
            let watched = self.watches.of(uri, &cx.principal, every)?;
            Watcher::begin(resources, watched, cx.clone()).await
        };
        let begun = begun.await;
        record.end(begun.as_ref().err());
        begun
    }

    pub(super) async fn read_resource(&self, shelf: &Shelf, cx: CallContext, uri: &str) -> Result<Contents> {
        let asked = Value::from(uri);
        let Some((resource, values)) = shelf.find(uri) else {
            let error = unknown(uri);
            audit::refused(RESOURCE, uri, false, &cx, &error);
            return Err(error);
        };
        let measures = audit::Measures::new(RESOURCE, &resource.plan.name);
        let job = self.job(&resource.plan.name, &measures, resource.plan.timeout);
        job.guarded(&cx, &asked, self.contents(resource, &job, cx.clone(), values)).await
    }

    pub(super) async fn complete_variable(
        &self,
        shelf: &Shelf,
        cx: CallContext,
        uri: &str,
        partial: Partial,
    ) -> Result<Completion> {
        let found = shelf
            .templates
            .get(uri)
            .filter(|resource| resource.plan.uri.variables().any(|name| **name == *partial.name));
        let Some(resource) = found else {
            let [uri, name] = [uri, &partial.name].map(|text| text.chars().take(200).collect::<String>());
            let message = format!("there is no resource template `{uri}` with a variable `{name}`");
            return Err(Error::new(Kind::NotFound, message));
        };
        let plan = resource.plan.complete.get(partial.name.as_str());
        self.complete_by(plan, ("resource", &resource.plan.name), cx, partial).await
    }
}

#[async_trait]
impl Resources for Engine {
    async fn list(&self, cx: CallContext) -> Result<Listing> {
        self.list_resources(&self.shelf, cx).await
    }

    fn fixed(&self) -> Vec<ResourceInfo> {
        self.shelf.fixed()
    }

    fn templates(&self) -> &[ResourceInfo] {
        self.shelf.templates()
    }

    async fn read(&self, cx: CallContext, uri: &str) -> Result<Contents> {
        match self.kept.read(&cx.principal, |_| true, uri) {
            Some(kept) => self.read_kept(cx, uri, kept).await,
            None => self.read_resource(&self.shelf, cx, uri).await,
        }
    }

    async fn complete(&self, cx: CallContext, uri: &str, partial: Partial) -> Result<Completion, Error> {
        self.complete_variable(&self.shelf, cx, uri, partial).await
    }

    async fn watch(self: Arc<Self>, cx: CallContext, uri: &str) -> Result<Box<dyn Watch>> {
        self.watch_on(&self.shelf, self.clone(), cx, uri).await
    }

    fn has_watched(&self) -> bool {
        self.shelf.has_watched()
    }

    fn timeout(&self) -> Duration {
        self.shelf.longest_timeout().unwrap_or_default().max(self.options.tool_timeout)
    }

    fn asks(&self) -> bool {
        self.shelf.asks()
    }
}
