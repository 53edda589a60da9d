//! What every template of a run may use without anybody having bound it: `$caller`, `$now`, `$run`, `$key`.
//!
//! Few templates do, so each is made when the first one asks.

use std::sync::{Arc, OnceLock};

use super::{Name, key};
use crate::{Principal, Value};

/// The names, for one step of one action.
pub(crate) struct Given {
    principal: Arc<Principal>,
    run: Arc<Name>,
    path: Arc<[Arc<str>]>,
    step: &'static str,
    caller: OnceLock<Value>,
    now: OnceLock<Value>,
    id: OnceLock<Value>,
    key: OnceLock<Value>,
}

impl Given {
    pub(super) fn new(
        principal: Arc<Principal>,
        run: Arc<Name>,
        path: Arc<[Arc<str>]>,
        step: &'static str,
    ) -> Self {
        let (caller, now, id, key) = Default::default();
        Given { principal, run, path, step, caller, now, id, key }
    }

    /// The value of a name, without its `$`; nothing for other names.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        Some(match name {
            "caller" => self.caller.get_or_init(|| self.principal.to_value()),
            "now" => self.now.get_or_init(|| self.run.now().clone().into()),
            "run" => self.id.get_or_init(|| self.run.id().clone().into()),
            "key" => self.key.get_or_init(|| key(self.run.id(), &self.path, self.step).into()),
            _ => return None,
        })
    }
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("step", &self.step).finish_non_exhaustive()
    }
}
