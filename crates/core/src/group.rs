//! Groups: parts of what a config offers, each with an endpoint of its own.

use std::sync::Arc;

/// A group as the config declares it, its patterns resolved.
#[derive(Clone, Debug)]
pub struct GroupPlan {
    /// One segment of a URL's path.
    pub name: Arc<str>,
    pub title: Option<String>,
    /// For people: what it is good for.
    pub description: Option<String>,
    /// For the model; those of the server without it.
    pub instructions: Option<String>,
    /// Names of tools for clients, in the order of the config.
    pub tools: Vec<Arc<str>>,
    /// Names of resources.
    pub resources: Vec<Arc<str>>,
    /// Names of prompts.
    pub prompts: Vec<Arc<str>>,
}
