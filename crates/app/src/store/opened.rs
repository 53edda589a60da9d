//! The store of a config, opened for one command.

use std::{io::Write as _, process::ExitCode, sync::Arc};

use renkei_core::{Error, Kind, Result, diagnostic::suggest, store::Maintain};

use super::{open, whole};
use crate::{
    cli::StoreArgs,
    exit, load,
    logging::{Aside, Log},
};

/// A store, and the queues that the config has.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Maintain>,
    pub(crate) configured: Vec<Arc<str>>,
}

/// Opens the store of a config, which must be there, and closes it after `then`.
pub(crate) async fn with(args: &StoreArgs, then: impl AsyncFnOnce(&Opened) -> Result<()>) -> ExitCode {
    with_code(args, async |opened| then(opened).await.map(|()| ExitCode::SUCCESS)).await
}

/// The same for what has an exit code of its own.
pub(super) async fn with_code(
    args: &StoreArgs,
    then: impl AsyncFnOnce(&Opened) -> Result<ExitCode>,
) -> ExitCode {
    if let Err(error) = Log::new(&args.log.log, false).and_then(|log| log.start(Aside::default())) {
        return exit::usage(&error);
    }
    let loaded = match load::load_or_report(&args.config) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let store = match open(&loaded.plan, false).await {
        Ok(store) => store,
        Err(error) => return exit::fail(&format!("failed to {}", whole(&error))),
    };
    let configured = loaded.plan.queues.iter().map(|queue| queue.about.name.clone()).collect();
    let opened = Opened { store, configured };
    let done = then(&opened).await;
    opened.store.close().await;
    done.unwrap_or_else(|error| match error.kind() {
        Kind::NotFound | Kind::Invalid => exit::usage(&whole(&error)),
        _ => exit::fail(&format!("failed to {}", whole(&error))),
    })
}

impl Opened {
    /// Refuses a name that neither the config nor the store has.
    pub(crate) async fn known(&self, name: &str) -> Result<()> {
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

pub(crate) fn say(text: &str) {
    // A closed pipe (`renkei dead list | head`) is nobody's error.
    let _ = writeln!(std::io::stdout(), "{text}");
}
