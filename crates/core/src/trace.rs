//! W3C Trace Context: the ids that tie logs and systems together.

use std::sync::{Arc, OnceLock};

use tracing::Span;

/// Longer ones are dropped, as the specification allows.
const MAX_STATE_BYTES: usize = 512;
/// What the specification of Baggage wants to be passed on at least.
const MAX_BAGGAGE_BYTES: usize = 8192;

/// Where in a trace something happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// `traceparent`, version 00: the trace, and the span of what happens.
    pub parent: Arc<str>,
    /// `tracestate`, as it came.
    pub state: Option<Arc<str>>,
    /// `baggage`, as it came; nothing unless the config wants it to be passed on.
    pub baggage: Option<Arc<str>>,
}

/// Whoever records spans, and so gives them their ids.
pub trait Tracer: Send + Sync {
    /// The `traceparent` of `span`, which has just been made. It belongs under `parent`, or under the span
    /// around it. Nothing if `span` is not recorded.
    fn traceparent(&self, span: &Span, parent: Option<&Trace>) -> Option<String>;
}

static TRACER: OnceLock<Box<dyn Tracer>> = OnceLock::new();

/// From now on `tracer` gives the ids of spans. Only the first call counts.
pub fn record_with(tracer: Box<dyn Tracer>) {
    let _ = TRACER.set(tracer);
}

impl Trace {
    /// A new trace.
    pub fn new() -> Self {
        let (trace, span): (u128, u64) = rand::random();
        Trace { parent: format!("00-{trace:032x}-{span:016x}-01").into(), state: None, baggage: None }
    }

    /// The trace that a caller names, as it names it. Nothing if `parent` is not a `traceparent`.
    pub fn received(parent: &str, state: Option<&str>, baggage: Option<&str>) -> Option<Self> {
        let hex = |text: &str, len: usize| {
            text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let id = |text: &str, len: usize| hex(text, len) && text.bytes().any(|b| b != b'0');
        let mut parts = parent.split('-');
        let [version, trace, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        // Later versions may say more; what is known of them stands where it stands in this one.
        let is_version = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
        if !(is_version && id(trace, 32) && id(span, 16) && hex(flags, 2)) {
            return None;
        }
        let short =
            |text: Option<&str>, limit: usize| text.filter(|text| text.len() <= limit).map(Into::into);
        Some(Trace {
            parent: format!("00-{trace}-{span}-{flags}").into(),
            state: short(state, MAX_STATE_BYTES),
            baggage: short(baggage, MAX_BAGGAGE_BYTES),
        })
    }

    /// A new span in the trace that `parent` (a `traceparent`) names; a new trace if it is malformed.
    pub fn child_of(parent: &str, state: Option<&str>) -> Self {
        Self::received(parent, state, None).map_or_else(Self::new, |received| received.child())
    }

    /// The place of `span`, which answers a request from outside: in the caller's trace, or in a new one.
    pub fn of_request(span: &Span, received: Option<Trace>) -> Self {
        if let Some(own) = TRACER.get().and_then(|tracer| tracer.traceparent(span, received.as_ref())) {
            let (state, baggage) = received.map_or((None, None), |trace| (trace.state, trace.baggage));
            return Trace { parent: own.into(), state, baggage };
        }
        received.map_or_else(Self::new, |received| received.child())
    }

    /// The place of `span`, which is made in the span that this is the place of.
    pub fn within(&self, span: &Span) -> Self {
        match TRACER.get().and_then(|tracer| tracer.traceparent(span, None)) {
            Some(own) => Trace { parent: own.into(), ..self.clone() },
            None => self.child(),
        }
    }

    fn child(&self) -> Self {
        // Version, trace and flags stay.
        let span: u64 = rand::random();
        let parent = format!("{}-{span:016x}-{}", &self.parent[..35], &self.parent[53..]);
        Trace { parent: parent.into(), ..self.clone() }
    }

    /// The 32 hexadecimal digits of the trace id.
    pub fn id(&self) -> &str {
        &self.parent[3..35]
    }

    /// The 16 hexadecimal digits of the span id.
    pub fn span_id(&self) -> &str {
        &self.parent[36..52]
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    #[test]
    fn a_child_keeps_the_trace_its_flags_and_what_travels_with_it() {
        let received = Trace::received(PARENT, Some("a=b"), Some("user=7")).unwrap();
        assert_eq!(&*received.parent, PARENT);
        let child = Trace::of_request(&Span::none(), Some(received));
        assert_eq!(child.id(), "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(child.span_id(), "b7ad6b7169203331");
        assert!(child.parent.ends_with("-00"), "{}", child.parent);
        assert_eq!((child.state.as_deref(), child.baggage.as_deref()), (Some("a=b"), Some("user=7")));
        let grandchild = child.within(&Span::none());
        assert_eq!(grandchild.id(), child.id());
        assert_ne!(grandchild.span_id(), child.span_id());
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        let later = PARENT.replacen("00", "cc", 1) + "-what-the-future-brings";
        assert_eq!(&*Trace::received(&later, None, None).unwrap().parent, PARENT);
    }

    #[test]
    fn what_is_malformed_or_too_long_is_dropped() {
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(Trace::received(bad, None, None), None, "{bad}");
        }
        let long = Trace::received(PARENT, Some(&"a".repeat(513)), Some(&"b".repeat(8193))).unwrap();
        assert_eq!((long.state, long.baggage), (None, None));
    }
}
