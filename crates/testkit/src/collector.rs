//! A stand-in for a collector of OpenTelemetry: takes OTLP over HTTP and tells what came.

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{metric::Data, number_data_point},
};
use prost::Message as _;

use crate::fault::{Answer, FaultServer, Received};

/// The collector. It ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    server: FaultServer,
}

/// A span as it was sent; ids in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty for the first of a trace.
    pub parent: String,
    /// OTLP's number: 2 is a server's, 3 a client's.
    pub kind: i32,
    pub failed: bool,
    pub attributes: Vec<(String, String)>,
    /// The `service.name` of its sender.
    pub service: String,
}

impl Collector {
    pub async fn start() -> Self {
        let server = FaultServer::start().await;
        for path in ["/v1/traces", "/v1/metrics"] {
            server.on(path, [Answer::body(200, "application/x-protobuf", "")]);
        }
        Collector { server }
    }

    /// As `endpoint` wants it.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// All requests, as they came.
    pub fn received(&self) -> Vec<Received> {
        self.server.received()
    }

    /// All spans so far, in the order in which they came.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for request in self.of("/v1/traces") {
            let sent = ExportTraceServiceRequest::decode(request.body).expect("a request of OTLP");
            for resource in sent.resource_spans {
                let about = resource.resource.map(|resource| texts(resource.attributes)).unwrap_or_default();
                let service = about.into_iter().find(|(name, _)| name == "service.name");
                let service = service.map(|(_, value)| value).unwrap_or_default();
                for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                    spans.push(Span {
                        name: span.name,
                        trace: hex(&span.trace_id),
                        id: hex(&span.span_id),
                        parent: hex(&span.parent_span_id),
                        kind: span.kind,
                        failed: span.status.is_some_and(|status| status.code == 2),
                        attributes: texts(span.attributes),
                        service: service.clone(),
                    });
                }
            }
        }
        spans
    }

    /// The sum of a counter over its labels, as it was sent last.
    pub fn counter(&self, name: &str) -> Option<i64> {
        let requests = self.of("/v1/metrics");
        let sent = requests
            .into_iter()
            .rev()
            .map(|request| ExportMetricsServiceRequest::decode(request.body).expect("a request of OTLP"));
        let metrics = sent
            .flat_map(|sent| sent.resource_metrics)
            .flat_map(|resource| resource.scope_metrics)
            .flat_map(|scope| scope.metrics);
        metrics.into_iter().find(|metric| metric.name == name).and_then(|metric| match metric.data? {
            Data::Sum(sum) => {
                Some(sum.data_points.into_iter().filter_map(|point| point.value).map(whole).sum())
            }
            _ => None,
        })
    }

    fn of(&self, path: &str) -> Vec<Received> {
        self.received().into_iter().filter(|request| request.path() == path).collect()
    }
}

fn whole(value: number_data_point::Value) -> i64 {
    match value {
        number_data_point::Value::AsInt(value) => value,
        number_data_point::Value::AsDouble(value) => value as i64,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    };
    attributes.into_iter().map(|pair| (pair.key, text(pair.value.and_then(|value| value.value)))).collect()
}
