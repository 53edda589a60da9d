//! Reads `map`.

use std::sync::Arc;

use renkei_core::{
    ActionContext, ActionNode, Definitions, FromNode, Map, NodeKind, Pattern, PatternKind, Schema,
    pattern::{Holder, with_action},
    read::wrong,
};

use super::run::MapAction;
use crate::{
    fan_out::{FanOut, FanOutConfig},
    order,
};

const KEYS: [&str; 4] = ["in", "key", "concurrency", "max"];

pub(crate) struct Kind;

impl PatternKind for Kind {
    fn name(&self) -> &'static str {
        "map"
    }

    fn schema(&self, _: &[(&'static str, Schema)], defs: &mut Definitions) -> Schema {
        let schema = with_action(&FanOutConfig::schema(defs), defs);
        let mut schema = schema.as_object().cloned().unwrap_or_else(Map::new);
        schema.insert("description".into(), "One action for each element of a list. Its result is the list of results, in order; the first failure ends all. The action also sees `$item`, the element, and `$index`, its place from 0.".into());
        schema.into()
    }

    fn read(&self, action: &ActionNode<'_>, cx: &mut ActionContext<'_>) -> Option<Arc<dyn Pattern>> {
        let NodeKind::Map(members) = &action.value.kind else {
            return wrong(
                action.value,
                "a list and an action, such as `{ in: '${.ids}', call: … }`",
                cx.diagnostics,
            );
        };
        let holder = Holder { kind: "a `map`", name: "the `map`", at: action.key, keys: &KEYS };
        let members = holder.known(members, cx.patterns, cx.diagnostics);
        let each = FanOut::read(&holder.own(&members), &cx.names, cx.diagnostics);
        let names = FanOut::inner(&cx.names);
        let action_read = holder.action(&members, &mut cx.nested(names));
        let (each, read) = (each?, action_read?);
        (cx.journaled || order::check_each(&*read, action.key, cx.diagnostics)).then_some(())?;
        Some(Arc::new(MapAction { each, action: read }))
    }
}
