//! What is served over MCP: everything, and each group.

use std::sync::Arc;

use renkei_config::ServerConfig;
use renkei_core::group::GroupPlan;
use renkei_mcp::{Endpoints, Info, Limits, Server};
use renkei_patterns::engine::{Engine, Group};

use crate::load::Compiled;

/// A server for everything, and one for each group.
pub(crate) fn new(compiled: &Compiled) -> Endpoints {
    of_engine(&compiled.server, &compiled.engine, &compiled.groups)
}

/// The same for another engine than that of the config alone.
pub(crate) fn of_engine(config: &ServerConfig, engine: &Arc<Engine>, groups: &[GroupPlan]) -> Endpoints {
    let endpoints = Endpoints::new(everything(config, engine.clone()));
    groups.iter().fold(endpoints, |endpoints, plan| {
        endpoints.with_group(plan.name.clone(), of_group(config, plan, engine.clone()))
    })
}

fn everything(config: &ServerConfig, engine: Arc<Engine>) -> Server {
    let mut server = Server::new(engine.clone(), info(config), limits(config));
    if engine.has_resources() {
        server = server.with_resources(engine.clone());
    }
    if engine.has_prompts() {
        server = server.with_prompts(engine.clone());
    }
    if engine.has_tasks() {
        server = server.with_tasks(engine);
    }
    server.passing_baggage(config.telemetry.baggage)
}

fn of_group(config: &ServerConfig, plan: &GroupPlan, engine: Arc<Engine>) -> Server {
    let group = Arc::new(Group::new(engine, plan));
    let own = info(config);
    let info = Info {
        // Clients put it before the tools' names: two endpoints of one server must not look the same.
        name: format!("{}-{}", own.name, plan.name),
        title: plan.title.clone().or(own.title),
        description: plan.description.clone(),
        instructions: plan.instructions.clone().or(own.instructions),
        ..own
    };
    let mut server = Server::new(group.clone(), info, limits(config));
    if group.has_resources() {
        server = server.with_resources(group.clone());
    }
    if group.has_prompts() {
        server = server.with_prompts(group.clone());
    }
    if group.has_tasks() {
        server = server.with_tasks(group);
    }
    server.passing_baggage(config.telemetry.baggage)
}

fn info(config: &ServerConfig) -> Info {
    Info {
        name: config.name.clone(),
        title: config.title.clone(),
        version: config.version.clone().unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
        description: None,
        instructions: config.instructions.clone(),
        icons: config.icons.iter().cloned().map(Into::into).collect(),
    }
}

fn limits(config: &ServerConfig) -> Limits {
    Limits {
        calls: config.limits.concurrent_calls,
        sessions: config.limits.sessions,
        session_idle: config.limits.session_idle,
        message_bytes: config.limits.request_body.as_usize(),
        list_page: config.limits.list_page,
        ask: config.limits.ask,
        asks: config.limits.asks,
        subscriptions: config.limits.subscriptions,
        ..Limits::default()
    }
}
