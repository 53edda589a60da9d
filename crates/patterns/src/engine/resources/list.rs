//! The instances of a template, from a query.

use renkei_core::{
    CallContext, Error, Result, Scope, Tree, Value, audit,
    resource::{ListPlan, ResourceInfo, ResourcePlan},
};

use super::{Engine, RESOURCE, body::mime_type_of};
use crate::engine::refusal;

impl Engine {
    /// The instances, and what is missing from them. A list that cannot be had takes nothing else with it.
    pub(super) async fn instances(
        &self,
        resource: &ResourcePlan,
        list: &ListPlan,
        cx: CallContext,
    ) -> (Vec<ResourceInfo>, Option<String>) {
        let measures = audit::Measures::new(RESOURCE, &resource.name);
        let job = self.job(&resource.name, &measures, resource.timeout);
        let run = async {
            let context = self.context(&job, cx.clone(), None);
            let outcome = self.act(&job, &context, &*list.action, Value::object()).await?;
            let scope = context.with_vars(outcome.vars()).scope("list", Value::object());
            let told = outcome.notices.join(" ");
            let items = match &list.items {
                Some(items) => items.render(&scope)?.unwrap_or_default(),
                None => outcome.value.into_value(),
            };
            let (infos, cut) = self.infos(resource, list, &items, scope)?;
            let own = (!told.is_empty()).then(|| format!("the list of `{}`: {told}", resource.name));
            Ok((infos, cut.or(own)))
        };
        match job.guarded(&cx, &Value::Null, run).await {
            Ok(found) => found,
            Err(error) => {
                let what = format!("the list of `{}`", resource.name);
                (Vec::new(), Some(refusal::text(&what, job.effect, &error, cx.trace.id())))
            }
        }
    }

    fn infos(
        &self,
        resource: &ResourcePlan,
        list: &ListPlan,
        items: &Value,
        mut scope: Scope,
    ) -> Result<(Vec<ResourceInfo>, Option<String>)> {
        let items = match items {
            Value::Null => &[],
            Value::Array(items) => &items[..],
            other => {
                let message = format!("`items` gave a value of type {}, not an array", other.type_name());
                return Err(Error::internal(message));
            }
        };
        let limit = self.options.listed_resources;
        let cut = items.len().checked_sub(limit).filter(|more| *more > 0).map(|more| {
            format!("the list of `{}` is cut after {limit}: {more} more are left out", resource.name)
        });
        let mut infos = Vec::with_capacity(items.len().min(limit));
        for (index, item) in items.iter().take(limit).enumerate() {
            scope.set("item", item.clone());
            scope.set("index", index);
            infos.push(info(resource, list, item, &scope)?);
        }
        Ok((infos, cut))
    }
}

fn info(resource: &ResourcePlan, list: &ListPlan, item: &Value, scope: &Scope) -> Result<ResourceInfo> {
    let mut failed = None;
    let uri = resource.uri.expand(|name| {
        let value = match list.variables.get(name) {
            Some(tree) => tree.render(scope).unwrap_or_else(|error| {
                failed = Some(error);
                None
            }),
            None => item.get(name).cloned(),
        };
        value.as_ref().and_then(scalar)
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let uri = uri.map_err(|name| {
        Error::internal(format!(
            "an item of the list has no text or number for the variable `{name}`; the config must be mended"
        ))
    })?;
    let text = |tree: &Option<Tree>| match tree {
        Some(tree) => Ok(tree.render(scope)?.as_ref().and_then(scalar)),
        None => Ok::<_, Error>(None),
    };
    let size = match &list.size {
        Some(tree) => tree.render(scope)?.and_then(|size| u64::try_from(size.as_i64()?).ok()),
        None => resource.size,
    };
    let mime_type = resource.mime_type.clone().or_else(|| mime_type_of(&resource.body).map(str::to_owned));
    Ok(ResourceInfo {
        name: text(&list.name)?.unwrap_or_else(|| uri.clone()),
        title: text(&list.title)?,
        description: text(&list.description)?.or_else(|| resource.description.clone()),
        mime_type: text(&list.mime_type)?.or(mime_type),
        size,
        annotations: resource.annotations.clone(),
        icons: resource.icons.clone(),
        uri,
    })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_json()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
