//! Metrics for a collector: the `metrics` facade into OpenTelemetry's instruments.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use metrics_util::registry::{Registry, Storage};
use opentelemetry::{
    KeyValue,
    metrics::{self as otel, Meter, MeterProvider as _},
};
use opentelemetry_otlp::{MetricExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
};
use renkei_config::OtlpConfig;
use renkei_core::metric::{self, Metric};

use super::{endpoint, sender::Sender};

pub(super) fn provider(otlp: &OtlpConfig, resource: Resource) -> Result<SdkMeterProvider, String> {
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(Sender::new("metrics", otlp.endpoint.scheme() == "https", otlp.timeout)?)
        .with_endpoint(endpoint(otlp, "metrics"))
        .with_timeout(otlp.timeout)
        .with_headers(
            otlp.headers.iter().map(|(name, value)| (name.to_string(), value.expose().to_owned())).collect(),
        )
        .build()
        .map_err(|error| format!("`server.telemetry.otlp` cannot be used: {error}"))?;
    let reader = PeriodicReader::builder(exporter).with_interval(otlp.interval).build();
    Ok(SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build())
}

/// A recorder whose values the collector gets. As many instruments as [`metric::ALL`] and the process have.
pub(super) struct Bridge(Registry<Key, Instruments>);

impl Bridge {
    pub(super) fn new(provider: &SdkMeterProvider) -> Self {
        Bridge(Registry::new(Instruments(provider.meter("renkei"))))
    }
}

impl Recorder for Bridge {
    // What they mean comes with the instruments.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.get_or_create_counter(key, |counter| counter.clone().into())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.get_or_create_gauge(key, |gauge| gauge.clone().into())
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.get_or_create_histogram(key, |histogram| histogram.clone().into())
    }
}

/// Makes an instrument of each name and labels.
struct Instruments(Meter);

impl Storage<Key> for Instruments {
    type Counter = Arc<Counted>;
    type Gauge = Arc<Level>;
    type Histogram = Arc<Spread>;

    fn counter(&self, key: &Key) -> Arc<Counted> {
        let instrument = self.0.u64_counter(key.name().to_owned()).with_description(help(key)).build();
        Arc::new(Counted { instrument, labels: labels(key), absolute: AtomicU64::new(0) })
    }

    fn gauge(&self, key: &Key) -> Arc<Level> {
        let instrument = self.0.f64_gauge(key.name().to_owned()).with_description(help(key)).build();
        Arc::new(Level { instrument, labels: labels(key), bits: AtomicU64::new(0) })
    }

    fn histogram(&self, key: &Key) -> Arc<Spread> {
        let histogram = self.0.f64_histogram(key.name().to_owned()).with_description(help(key));
        let histogram = if key.name().ends_with("_seconds") { histogram.with_unit("s") } else { histogram };
        let buckets = metric::find(key.name()).map_or(&metric::BUCKETS[..], Metric::buckets);
        let instrument = histogram.with_boundaries(buckets.to_vec()).build();
        Arc::new(Spread { instrument, labels: labels(key) })
    }
}

fn help(key: &Key) -> &'static str {
    metric::find(key.name()).map_or("", |metric| metric.help)
}

fn labels(key: &Key) -> Vec<KeyValue> {
    key.labels().map(|label| KeyValue::new(label.key().to_owned(), label.value().to_owned())).collect()
}

struct Counted {
    instrument: otel::Counter<u64>,
    labels: Vec<KeyValue>,
    /// What was set so far.
    absolute: AtomicU64,
}

impl CounterFn for Counted {
    fn increment(&self, value: u64) {
        self.instrument.add(value, &self.labels);
    }

    fn absolute(&self, value: u64) {
        let before = self.absolute.fetch_max(value, Ordering::Relaxed);
        self.instrument.add(value.saturating_sub(before), &self.labels);
    }
}

struct Level {
    instrument: otel::Gauge<f64>,
    labels: Vec<KeyValue>,
    /// Of the value now, a double.
    bits: AtomicU64,
}

impl Level {
    fn change(&self, change: impl Fn(f64) -> f64) {
        let new = |bits| Some(change(f64::from_bits(bits)).to_bits());
        // It never refuses.
        if let Ok(before) = self.bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, new) {
            self.instrument.record(change(f64::from_bits(before)), &self.labels);
        }
    }
}

impl GaugeFn for Level {
    fn increment(&self, value: f64) {
        self.change(|before| before + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|before| before - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

struct Spread {
    instrument: otel::Histogram<f64>,
    labels: Vec<KeyValue>,
}

impl HistogramFn for Spread {
    fn record(&self, value: f64) {
        self.instrument.record(value, &self.labels);
    }
}
