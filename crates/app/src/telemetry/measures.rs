//! Where measured values go: to a page for scrapers, to a collector, to both, or nowhere.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::layers::FanoutBuilder;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use renkei_core::metric::{self, MetricKind};

use super::meter::Bridge;

/// How often values that nobody asked for are put together, and the process is looked at.
const UPKEEP: Duration = Duration::from_secs(5);

/// What was installed.
#[derive(Clone, Debug)]
pub(super) struct Measures {
    pub(super) page: Option<PrometheusHandle>,
    is_on: bool,
}

impl Measures {
    /// Once in a process. Without a page and a collector measuring costs nothing, and gives nothing.
    pub(super) fn install(wants_page: bool, collector: Option<&SdkMeterProvider>) -> Result<Self, String> {
        let recorder = match wants_page {
            true => Some(
                page_builder()
                    .map_err(|error| format!("the metrics cannot be kept: {error}"))?
                    .build_recorder(),
            ),
            false => None,
        };
        let page = recorder.as_ref().map(|recorder| recorder.handle());
        let installed = match (recorder, collector.map(Bridge::new)) {
            (None, None) => return Ok(Measures { page, is_on: false }),
            (Some(recorder), None) => metrics::set_global_recorder(recorder).is_ok(),
            (None, Some(bridge)) => metrics::set_global_recorder(bridge).is_ok(),
            (Some(recorder), Some(bridge)) => {
                let both = FanoutBuilder::default().add_recorder(recorder).add_recorder(bridge).build();
                metrics::set_global_recorder(both).is_ok()
            }
        };
        if !installed {
            return Err("the metrics go somewhere else already".to_owned());
        }
        describe();
        metrics::gauge!(metric::BUILD.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        of_process();
        Ok(Measures { page, is_on: true })
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Without it, a page that nobody reads would grow.
    pub(super) async fn keep_up(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            of_process();
            if let Some(page) = &self.page {
                page.run_upkeep();
            }
        }
    }
}

/// A page with the buckets that each histogram has in the catalogue.
fn page_builder() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in metric::ALL.iter().filter(|metric| !metric.buckets().is_empty()) {
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets())?;
    }
    Ok(builder)
}

/// Memory, time of processors, open files: under the names that all Prometheus clients use.
pub(super) fn of_process() {
    metrics_process::Collector::default().collect();
}

fn describe() {
    for metric in metric::ALL {
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, metric.help),
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    metrics_process::Collector::default().describe();
}
