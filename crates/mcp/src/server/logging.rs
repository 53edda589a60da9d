//! Log messages for clients: who asked for which, and how they are sent.
//!
//! Older clients ask once, with `logging/setLevel`, and are asked of per session; newer ones ask with each request. The protocol
//! is about to drop both; nothing but the `log` action uses them.
#![expect(deprecated, reason = "clients of the revisions that have it may ask for it")]

use std::sync::atomic::{AtomicU8, Ordering};

use renkei_core::run::{Level, Line};
use rmcp::{
    RoleServer,
    model::{LoggingLevel, LoggingMessageNotificationParam, RequestMetaObject, SetLevelRequestParams},
    service::{Peer, ServiceError},
};
use serde_json::json;

/// `logging/setLevel`.
pub(super) type SetLevel = SetLevelRequestParams;

/// What a session asked for. Nothing is sent before it did.
#[derive(Debug, Default)]
pub(super) struct Asked(AtomicU8);

impl Asked {
    pub(super) fn set(&self, request: &SetLevel) {
        let level = match threshold(request.level) {
            None => 0,
            Some(Level::Debug) => 1,
            Some(Level::Info) => 2,
            Some(Level::Warning) => 3,
            Some(Level::Error) => 4,
        };
        self.0.store(level, Ordering::Relaxed);
    }

    pub(super) fn level(&self) -> Option<Level> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Level::Debug),
            2 => Some(Level::Info),
            3 => Some(Level::Warning),
            _ => Some(Level::Error),
        }
    }
}

/// What one request asked for.
pub(super) fn asked(meta: &RequestMetaObject) -> Option<Level> {
    meta.log_level().and_then(threshold)
}

/// The least of our levels that is sent; none where only worse than our worst is wanted.
fn threshold(level: LoggingLevel) -> Option<Level> {
    match level {
        LoggingLevel::Debug => Some(Level::Debug),
        LoggingLevel::Info => Some(Level::Info),
        LoggingLevel::Notice | LoggingLevel::Warning => Some(Level::Warning),
        LoggingLevel::Error => Some(Level::Error),
        LoggingLevel::Critical | LoggingLevel::Alert | LoggingLevel::Emergency => None,
    }
}

pub(super) async fn send(line: Line, peer: &Peer<RoleServer>) -> Result<(), ServiceError> {
    let level = match line.level {
        Level::Debug => LoggingLevel::Debug,
        Level::Info => LoggingLevel::Info,
        Level::Warning => LoggingLevel::Warning,
        Level::Error => LoggingLevel::Error,
    };
    let data = match line.fields {
        None => line.message.into(),
        Some(fields) => json!({ "message": line.message, "fields": serde_json::Value::from(&fields) }),
    };
    peer.notify_logging_message(LoggingMessageNotificationParam::new(level, data)).await
}
