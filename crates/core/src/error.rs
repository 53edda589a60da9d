//! The one error type: what went wrong, whether a repeat can help, and whether it happened anyway.

use std::{fmt, sync::Arc, time::Duration};

use crate::ask::{Ability, Asked};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was, in the words that configs and callers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The caller's input is wrong.
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    /// The system understood and said no, for a business reason.
    Rejected,
    RateLimited,
    Unavailable,
    Timeout,
    Cancelled,
    /// A fault of Renkei or of its config.
    Internal,
}

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::Invalid,
        Kind::Unauthenticated,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::Conflict,
        Kind::Rejected,
        Kind::RateLimited,
        Kind::Unavailable,
        Kind::Timeout,
        Kind::Cancelled,
        Kind::Internal,
    ];

    /// The word in configs, logs and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::Unauthenticated => "unauthenticated",
            Kind::Forbidden => "forbidden",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::Rejected => "rejected",
            Kind::RateLimited => "rate_limited",
            Kind::Unavailable => "unavailable",
            Kind::Timeout => "timeout",
            Kind::Cancelled => "cancelled",
            Kind::Internal => "internal",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a repeat of the same request can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// Not before this time has passed.
    After(Duration),
    /// At once, with backoff, if a repeat of the request is safe.
    Safe,
    /// It was repeated already, as often as allowed.
    Exhausted,
}

/// Whether the effect happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    No,
    Yes,
    /// Nobody can know: the request went out and no answer came.
    Unknown,
}

impl Applied {
    pub const ALL: [Applied; 3] = [Applied::No, Applied::Yes, Applied::Unknown];

    /// The word in configs and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Applied::No => "no",
            Applied::Yes => "yes",
            Applied::Unknown => "unknown",
        }
    }
}

/// An error. Cheap to clone: single flight, hedging and shadowing need that.
#[derive(Clone, Debug)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: Kind,
    retry: Retry,
    applied: Applied,
    public: String,
    detail: Option<String>,
    context: Vec<String>,
    status: Option<u16>,
    protocol: Option<i32>,
    asking: Option<Signal>,
}

/// What an error has to do with asking.
#[derive(Clone, Debug)]
enum Signal {
    Suspended,
    Asked(Arc<Asked>),
    Lacks(Ability),
}

impl Error {
    /// `public` is for the model and the user: a lower-case fragment that fits after "failed to",
    /// names the thing in backticks, gives value and limit, and ends with a hint. No secret in it.
    pub fn new(kind: Kind, public: impl Into<String>) -> Self {
        let retry = match kind {
            Kind::RateLimited | Kind::Unavailable | Kind::Timeout => Retry::Safe,
            _ => Retry::Never,
        };
        Error(Arc::new(Inner {
            kind,
            retry,
            applied: Applied::No,
            public: public.into(),
            detail: None,
            context: Vec::new(),
            status: None,
            protocol: None,
            asking: None,
        }))
    }

    pub fn invalid(public: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, public)
    }

    pub fn unavailable(public: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, public)
    }

    pub fn internal(public: impl Into<String>) -> Self {
        Self::new(Kind::Internal, public)
    }

    /// No failure: the run stops here until a later call brings the answer. Everything hands it on;
    /// nothing stands in for it.
    pub fn suspended() -> Self {
        let mut error = Self::new(Kind::Cancelled, "go on before somebody has answered");
        Arc::make_mut(&mut error.0).asking = Some(Signal::Suspended);
        error
    }

    /// The same for the face: with the questions.
    #[must_use]
    pub fn asking(asked: Asked) -> Self {
        let mut error = Self::suspended();
        Arc::make_mut(&mut error.0).asking = Some(Signal::Asked(Arc::new(asked)));
        error
    }

    /// Because the caller cannot be asked something.
    #[must_use]
    pub fn lacking(mut self, ability: Ability) -> Self {
        Arc::make_mut(&mut self.0).asking = Some(Signal::Lacks(ability));
        self
    }

    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        Arc::make_mut(&mut self.0).retry = retry;
        self
    }

    #[must_use]
    pub fn applied(mut self, applied: Applied) -> Self {
        Arc::make_mut(&mut self.0).applied = applied;
        self
    }

    /// For the operator, in the log: may be long, may hold a cause's own words.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        Arc::make_mut(&mut self.0).detail = Some(detail.to_string());
        self
    }

    /// The status code that the system answered with.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        Arc::make_mut(&mut self.0).status = Some(status);
        self
    }

    /// More for the model and the user, after what there is: a clause.
    #[must_use]
    pub fn adding(mut self, clause: impl fmt::Display) -> Self {
        let public = &mut Arc::make_mut(&mut self.0).public;
        *public = format!("{}; {clause}", public.trim_end_matches('.'));
        self
    }

    /// To be answered as an error of the protocol with this code, not as the result of a tool.
    #[must_use]
    pub fn protocol(mut self, code: i32) -> Self {
        Arc::make_mut(&mut self.0).protocol = Some(code);
        self
    }

    /// Where it happened, from the inside out: `` call `crm` ``, `` tool `get_customer` ``.
    #[must_use]
    pub fn context(mut self, place: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).context.push(place.into());
        self
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    pub fn retry_advice(&self) -> Retry {
        self.0.retry
    }

    pub fn was_applied(&self) -> Applied {
        self.0.applied
    }

    pub fn public(&self) -> &str {
        &self.0.public
    }

    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    pub fn status_code(&self) -> Option<u16> {
        self.0.status
    }

    pub fn protocol_code(&self) -> Option<i32> {
        self.0.protocol
    }

    pub fn is_suspended(&self) -> bool {
        matches!(self.0.asking, Some(Signal::Suspended | Signal::Asked(_)))
    }

    /// What is asked, where the call ended with questions.
    pub fn asked(&self) -> Option<&Arc<Asked>> {
        match &self.0.asking {
            Some(Signal::Asked(asked)) => Some(asked),
            _ => None,
        }
    }

    /// What the caller would have to be able to.
    pub fn lacks(&self) -> Option<Ability> {
        match self.0.asking {
            Some(Signal::Lacks(ability)) => Some(ability),
            _ => None,
        }
    }

    pub fn places(&self) -> &[String] {
        &self.0.context
    }
}

/// The public text with its places, outermost first.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in self.0.context.iter().rev() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.public)
    }
}

impl std::error::Error for Error {}
