//! `cargo xtask bench`
use anyhow::Result;
#[derive(Debug)]
pub(crate) struct Plan {}
pub(crate) const FULL: Plan = Plan {};
pub(crate) const SHORT: Plan = Plan {};
pub(crate) fn run(_: &Plan) -> Result<()> { anyhow::bail!("not yet") }
