//! The store of a config, opened for one command.

use std::{io::Write as _, process::ExitCode, sync::Arc};

use renkei_core::{Error, Kind, Result, diagnostic::suggest, store::Store};

use crate::{
    cli::StoreArgs,
    exit, load,
    logging::{Aside, Log},
    store,
};

/// A store, and the queues that the config has.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    pub(super) configured: Vec<Arc<str>>,
}

pub(super) async fn with(args: &StoreArgs, then: impl AsyncFnOnce(&Opened) -> Result<()>) -> ExitCode {
    if let Err(error) = Log::new(&args.log.log, false).and_then(|log| log.start(Aside::default())) {
        return exit::usage(&error);
    }
    let loaded = match load::load_or_report(&args.config) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let store = match store::open_existing(&loaded.plan).await {
        Ok(store) => store,
        Err(error) => return failed(&error),
    };
    let configured = loaded.plan.queues.iter().map(|queue| queue.about.name.clone()).collect();
    match then(&Opened { store, configured }).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

impl Opened {
    /// Refuses a name that neither the config nor the store has.
    pub(super) async fn known(&self, name: &str) -> Result<()> {
        if self.configured.iter().any(|known| **known == *name) {
            return Ok(());
        }
        let counts = self.store.queues().await?;
        if counts.iter().any(|counts| counts.queue == name) {
            return Ok(());
        }
        let names = self.configured.iter().map(|known| &**known);
        let hint = match suggest(name, names) {
            Some(close) => format!("did you mean `{close}`?"),
            None => "`renkei queue list` shows them".to_owned(),
        };
        Err(Error::new(Kind::NotFound, format!("there is no queue `{name}`: {hint}")))
    }
}

fn failed(error: &Error) -> ExitCode {
    let text = match error.detail_text() {
        Some(detail) => format!("{error} ({detail})"),
        None => error.to_string(),
    };
    match error.kind() {
        Kind::NotFound | Kind::Invalid => exit::usage(&text),
        _ => exit::fail(&text),
    }
}

pub(super) fn say(text: &str) {
    // A closed pipe (`renkei dead list | head`) is nobody's error.
    let _ = writeln!(std::io::stdout(), "{text}");
}
