//! Resources: what the config declares, and the port through which faces reach them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use indexmap::IndexMap;

use crate::{
    CallContext, Error, Pattern, Result, Tree, Value,
    complete::{CompletePlan, Completion, Partial},
    tool::{Icon, ResourceBody},
    uri::UriTemplate,
};

/// A resource, or a template for many, as the config declares it.
#[derive(Clone, Debug)]
pub struct ResourcePlan {
    pub name: Arc<str>,
    pub uri: UriTemplate,
    pub title: Option<String>,
    pub description: Option<String>,
    pub mime_type: Option<String>,
    /// In bytes, where it is known beforehand.
    pub size: Option<u64>,
    pub annotations: Annotations,
    pub icons: Vec<Icon>,
    /// JSON Schema 2020-12 of the URI's variables: always of type `object`.
    pub input_schema: Value,
    pub action: Option<Arc<dyn Pattern>>,
    pub body: BodyPlan,
    /// Which instances of a template there are.
    pub list: Option<ListPlan>,
    /// By variable.
    pub complete: IndexMap<Arc<str>, CompletePlan>,
    /// How long clients may keep what they read.
    pub ttl: Duration,
    /// How often it is read while somebody waits for changes; nobody can without it.
    pub watch: Option<Duration>,
    /// One read as a whole; the server's default without it.
    pub timeout: Option<Duration>,
}

/// What a resource holds.
#[derive(Clone, Debug)]
pub enum BodyPlan {
    /// What the action gave, shaped: a text as it is, bytes as bytes, anything else as JSON.
    Result(Option<Tree>),
    Text(Tree),
    /// Base64.
    Blob(Tree),
    /// Relative to the config's folder. Read anew each time.
    File(PathBuf),
}

/// Gives the instances of a template.
#[derive(Clone, Debug)]
pub struct ListPlan {
    pub action: Arc<dyn Pattern>,
    /// Gives an array; the action's own value without it.
    pub items: Option<Tree>,
    /// The URI's variables; for one that is not here, the item's member of that name.
    pub variables: IndexMap<Arc<str>, Tree>,
    pub name: Option<Tree>,
    pub title: Option<Tree>,
    pub description: Option<Tree>,
    pub mime_type: Option<Tree>,
    pub size: Option<Tree>,
}

/// Hints for clients about whom a resource is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    pub audience: Vec<Role>,
    /// From 0 (may be left out) to 1 (needed).
    pub priority: Option<f64>,
}

/// Whom something is for, and who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    User,
    Assistant,
}

/// A resource as faces list it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceInfo {
    /// Of a template: with its variables.
    pub uri: String,
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub mime_type: Option<String>,
    pub size: Option<u64>,
    pub annotations: Annotations,
    pub icons: Vec<Icon>,
}

/// The resources there are now.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// In a stable order.
    pub resources: Vec<ResourceInfo>,
    /// A sentence for each list that could not be had or was cut. The rest is good all the same.
    pub missing: Vec<String>,
    /// Whether systems were asked: the list may be another one at once.
    pub queried: bool,
}

/// What a read gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    pub mime_type: Option<String>,
    pub body: ResourceBody,
    /// About the contents, such as which part of a whole it is.
    pub meta: Option<Value>,
    /// How long the client may keep it.
    pub ttl: Duration,
    /// Whether it is for the caller only, even where nobody has a name.
    pub private: bool,
}

/// How faces reach the resources.
#[async_trait]
pub trait Resources: Send + Sync {
    /// The plain resources, and the instances of templates that can list them.
    async fn list(&self, cx: CallContext) -> Result<Listing>;

    /// The plain resources: those that no system must be asked for. In a stable order.
    fn fixed(&self) -> Vec<ResourceInfo>;

    /// In a stable order.
    fn templates(&self) -> &[ResourceInfo];

    /// An error of kind `not_found` if there is no such resource.
    async fn read(&self, cx: CallContext, uri: &str) -> Result<Contents>;

    /// Completes a variable of the template `uri`, as [`templates`](Resources::templates) gives it. An error
    /// of kind `not_found` if there is no such template or variable.
    async fn complete(&self, cx: CallContext, uri: &str, partial: Partial) -> Result<Completion, Error>;

    /// Begins to watch what `uri` holds for the caller: what it holds now is known to them. An error of kind
    /// `not_found` if there is no such resource, `invalid` if it cannot be watched, `rate_limited` if as many are
    /// watched as may be.
    async fn watch(self: Arc<Self>, cx: CallContext, uri: &str) -> Result<Box<dyn Watch>>;

    /// Whether there is one that can be watched.
    fn has_watched(&self) -> bool;

    /// No request takes longer, but for the answers that it waits for.
    fn timeout(&self) -> Duration;

    /// Whether reading one may ask.
    fn asks(&self) -> bool {
        false
    }
}

/// A resource that is watched for somebody. Dropping it ends that.
#[async_trait]
pub trait Watch: Send {
    /// Waits until it holds something else than when it was last asked, or is gone, or is there again. May be
    /// dropped and asked again: no change is missed, several may be one.
    async fn changed(&mut self);
}
