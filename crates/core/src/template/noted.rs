//! Which `$names` templates refer to, taken down while they are compiled.

use std::{cell::RefCell, rc::Rc, sync::Arc};

/// A note of `$names`; clones write on the same one. The default takes nothing down.
#[derive(Clone, Debug, Default)]
pub struct Noted(Option<Rc<RefCell<Vec<Arc<str>>>>>);

impl Noted {
    /// An empty note.
    pub fn new() -> Self {
        Noted(Some(Rc::default()))
    }

    /// Takes down a name, without `$`. One that is there already is not there twice.
    pub fn add(&self, name: &str) {
        let Some(list) = &self.0 else { return };
        let mut list = list.borrow_mut();
        if !list.iter().any(|known| **known == *name) {
            list.push(name.into());
        }
    }

    /// What was taken down so far, in the order in which it came.
    pub fn list(&self) -> Vec<Arc<str>> {
        self.0.as_ref().map(|list| list.borrow().clone()).unwrap_or_default()
    }
}
