//! Config files in, a checked plan out: everything that is wrong is said at once.
//!
//! Reading order: [`yaml`] gives trees, `files` merges them, `environment` renders what stands in
//! `server` and `systems`, then each part is read into its type, and `plan` puts them together.

pub mod yaml;

mod files;

mod environment;

mod auth;
mod icon;
mod limits;
mod listener;
mod server;
mod store;
mod telemetry;

mod system;

mod action;
mod complete;
mod group;
mod prompt;
mod queue;
mod resource;
mod test;
mod tool;

mod plan;

mod report;

mod reference;
mod schema;

pub use auth::{ApiKeyConfig, AuthConfig, JwtAlgorithm, JwtConfig, Sha256Hex};
pub use environment::{MAX_VALUE_FILE_BYTES, Variables, of_process};
pub use files::MAX_FILES;
pub use icon::IconConfig;
pub use limits::LimitsConfig;
pub use listener::{Network, TlsConfig};
pub use plan::{Kinds, Loaded, Options, Plan, Replaced, load, load_replaced, load_with_environment};
pub use reference::reference;
pub use report::{Report, Style};
pub use schema::schema;
pub use server::{HostName, OriginName, ServerConfig};
pub use store::{StoreConfig, StorePlace};
pub use telemetry::{AuditConfig, AuditedArguments, MetricsConfig, OtlpConfig, TelemetryConfig};
pub use test::{Change, Edited, Recorded, write as write_recorded};
