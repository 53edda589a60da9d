//! The sweep of a durable run.

mod child;
mod model;

use std::path::Path;

pub(crate) use child::{prepare, run};
use model::Model;

pub(crate) fn differs(folder: &Path, passed: &[String], stdout: &[u8]) -> Option<String> {
    crate::difference(&Model::after(passed), &Model::found(folder, stdout))
}
