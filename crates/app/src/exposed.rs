//! Tools that systems offer to be served as this server's own: whenever they are others, the plan is compiled anew with them,
//! and served like a changed config.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_config::{Plan, ServerConfig};
use renkei_core::{
    connector::SystemPlan, group::GroupPlan, prompt::PromptPlan, queue::QueuePlan, resource::ResourcePlan,
    schedule::SchedulePlan, tool::ToolPlan,
};
use renkei_patterns::engine::{self, Engine, Offers, Problem};
use tokio::time::timeout;

use crate::load::{self, Compiled};

/// How long a start waits for what systems offer. What comes later is told to clients when it comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// What an engine is compiled from.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    systems: IndexMap<Arc<str>, SystemPlan>,
    tools: Vec<ToolPlan>,
    resources: Vec<ResourcePlan>,
    prompts: Vec<PromptPlan>,
    queues: Vec<QueuePlan>,
    schedules: Vec<SchedulePlan>,
    options: engine::Options,
}

impl Parts {
    pub(crate) fn of(plan: &Plan) -> Self {
        Parts {
            systems: plan.systems.clone(),
            tools: plan.tools.clone(),
            resources: plan.resources.clone(),
            prompts: plan.prompts.clone(),
            queues: plan.queues.clone(),
            schedules: plan.schedules.clone(),
            options: load::options(plan),
        }
    }

    /// Whether a system may offer something.
    fn exposes(&self) -> bool {
        self.systems.values().any(|plan| plan.system.exposes().is_some())
    }

    /// With `offered` beside the config's own tools.
    pub(crate) fn compile(self, offered: Vec<ToolPlan>) -> Result<Engine, Vec<Problem>> {
        let tools = self.tools.into_iter().chain(offered).collect();
        let engine = Engine::new(self.systems, tools, self.options)?;
        let engine = engine.offering(self.resources, self.prompts)?;
        Ok(engine.working(self.queues).ticking(self.schedules))
    }
}

/// A plan of which systems offer tools beside the config's own.
#[derive(Debug)]
pub(crate) struct Exposed {
    parts: Parts,
    pub(crate) server: ServerConfig,
    pub(crate) groups: Vec<GroupPlan>,
    /// What was said of names that meet.
    told: Vec<String>,
}

impl Exposed {
    /// Nothing where no system offers anything.
    pub(crate) fn new(parts: Parts, server: &ServerConfig, groups: &[GroupPlan]) -> Option<Self> {
        let exposed = Exposed { parts, server: server.clone(), groups: groups.to_vec(), told: Vec::new() };
        exposed.parts.exposes().then_some(exposed)
    }

    /// The successor of `old` with the tools that its systems offer now; nothing if they offer none.
    pub(crate) fn follow(&mut self, old: &Engine) -> Option<Arc<Engine>> {
        let offers = old.offers().now();
        if offers.is_empty() {
            return None;
        }
        let (offered, left_out) = engine::exposed_plans(&self.parts.systems, &self.parts.tools, &offers);
        for text in left_out.iter().filter(|text| !self.told.contains(text)) {
            tracing::warn!("{text}");
        }
        self.told = left_out;
        match self.parts.clone().compile(offered) {
            Ok(engine) => Some(Arc::new(engine.following(old))),
            Err(problems) => {
                let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                tracing::error!("what systems offer cannot be served, and what was before is: {text}");
                None
            }
        }
    }
}

impl Compiled {
    /// Waits until it is known what systems offer, but not longer than `patience`, and compiles that, too. They are being
    /// connected. Gives what tells of later changes.
    pub(crate) async fn settle(&mut self, patience: Duration) -> Offers {
        let mut offers = self.engine.offers();
        // Who comes later comes later.
        let _ = timeout(patience, offers.settled()).await;
        offers.now();
        self.take_offers();
        offers
    }

    /// Compiles what systems offer now, too.
    pub(crate) fn take_offers(&mut self) {
        if let Some(engine) = self.exposed.as_mut().and_then(|exposed| exposed.follow(&self.engine)) {
            self.engine = engine;
        }
    }
}
