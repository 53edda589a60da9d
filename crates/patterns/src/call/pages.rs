//! A call whose replies are pages of a list: reads one after the other, up to the limits, and says what is left.
//!
//! Each page is a step of its own, with its own repeats and time; all share the time of the run. What ends a list before
//! its end – a limit, or a page after the first that cannot be read – leaves what is there, and is told; with `whole`
//! it is an error.

use renkei_core::{
    Cursor, Error, Kind, Outcome, Page, Paging, Payload, Position, Reply, Request, Result, Retry, RunContext,
    Scope, Value,
};
use tokio::time::Instant;

use super::run::{CallAction, STEP, Stages};

/// Of the time that is left at the beginning, a part is kept for what is made of the list: a page after the first is
/// not waited for longer.
const KEPT: f64 = 0.1;

impl CallAction {
    pub(super) async fn follow(
        &self,
        cx: &RunContext,
        input: Value,
        paging: Paging,
        from: Position,
        room: usize,
    ) -> Result<Outcome> {
        let scope = cx.scope(STEP, input);
        let request = self.request(cx, &scope)?;
        let system = &self.op.system;
        let stages = Stages::new(cx);
        stages.called(system);
        let left = cx.deadline().saturating_duration_since(Instant::now());
        let later = cx.within(left.mul_f64(1.0 - KEPT));
        let mut list = List::new(paging, from, room);
        let end = loop {
            let number = list.pages + 1;
            let cx = if number == 1 { cx } else { &later };
            let request = Request { page: list.at.page.clone(), ..request.clone() };
            let read = self.page(cx, number, request, &scope, &stages).await;
            let taken = match read {
                Ok((page, reply)) => list.take(page, reply).map_err(|error| self.of_page(number, error))?,
                Err(error) if number == 1 || error.kind() == Kind::Cancelled => return Err(error),
                Err(error) => Some(End::Failed(error)),
            };
            match taken {
                Some(end) => break end,
                None => {
                    stages.note(|| format!("`{system}`: {number} pages, {} items so far", list.items.len()))
                }
            }
        };
        stages.answered(system);
        let outcome = list.outcome(end).map_err(|error| self.of_page(0, error))?;
        stages.judged();
        Ok(outcome)
    }

    /// One page: asked for, judged, and only then read as a page.
    async fn page(
        &self,
        cx: &RunContext,
        number: usize,
        request: Request,
        scope: &Scope,
        stages: &Stages,
    ) -> Result<(Page, Reply)> {
        let name = if number == 1 { STEP.to_owned() } else { format!("{STEP}-page-{number}") };
        let mut reply = self.step(cx, &name, request, scope, stages).await?;
        self.judge(&reply, scope.clone())?;
        let page = match reply.page.take() {
            Some(page) => page?,
            None => of_value(&reply, &self.op.label)?,
        };
        Ok((page, reply))
    }

    fn of_page(&self, number: usize, error: Error) -> Error {
        match number {
            0 => error.context(format!("`{}`", self.op.label)),
            number => error.context(format!("page {number} of `{}`", self.op.label)),
        }
    }
}

/// A reply that nobody read as a page, as in a test that says the value itself: all items at once.
fn of_value(reply: &Reply, label: &str) -> Result<Page> {
    match &reply.value {
        Payload::Json(Value::Array(items)) => {
            Ok(Page { items: Vec::clone(items), next: None, total: None, bytes: 0 })
        }
        _ => Err(Error::internal(format!("`{label}` has pages, so its reply is the list of the items"))),
    }
}

/// Why no further page is read.
#[derive(Debug)]
enum End {
    /// It was the last one.
    Whole,
    /// The limit of this name is reached.
    Limit { name: &'static str, certain: bool },
    /// The next page could not be read.
    Failed(Error),
    /// The system points back to where it was already.
    Circle,
}

/// What was read so far.
struct List {
    paging: Paging,
    /// Whether it begins with the first item.
    from_start: bool,
    items: Vec<Value>,
    meta: Value,
    notices: Vec<String>,
    total: Option<u64>,
    bytes: u64,
    /// How much JSON the items are, and may be.
    json: usize,
    room: usize,
    pages: usize,
    /// Where it goes on.
    at: Position,
    /// The pages that were asked for. The first one is there without a cursor.
    asked: Vec<Option<Cursor>>,
    last: Vec<Value>,
}

impl List {
    fn new(paging: Paging, from: Position, room: usize) -> Self {
        List {
            paging,
            from_start: from == Position::default(),
            items: Vec::new(),
            meta: Value::object(),
            notices: Vec::new(),
            total: None,
            bytes: 0,
            // Of the brackets; each item has a comma.
            json: 1,
            room,
            pages: 0,
            asked: vec![from.page.clone()],
            at: from,
            last: Vec::new(),
        }
    }

    /// Adds a page; whether it was the last one that is read.
    fn take(&mut self, page: Page, reply: Reply) -> Result<Option<End>> {
        let bytes = self.bytes.saturating_add(page.bytes);
        if self.pages > 0 && bytes > self.paging.max_bytes {
            return Ok(Some(End::Limit { name: "max_body", certain: !page.items.is_empty() }));
        }
        let same = self.pages > 0 && !page.items.is_empty() && page.items == self.last;
        self.bytes = bytes;
        self.pages += 1;
        self.meta = reply.meta;
        self.total = page.total.or(self.total);
        for notice in reply.notices {
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
        if let Some(name) = self.add(page.items.get(self.at.skip..).unwrap_or_default()) {
            return Ok(Some(End::Limit { name, certain: true }));
        }
        let Some(next) = page.next else { return Ok(Some(End::Whole)) };
        if self.asked.iter().flatten().any(|asked| *asked == next) {
            if same {
                return Err(Error::internal(
                    "it has the items of the page before, and names itself as the next one: the system seems not to read where a page is asked for; `pages` of the operation must be mended",
                ));
            }
            return Ok(Some(End::Circle));
        }
        if same {
            self.notices.push(format!(
                "Pages {} and {} have the same items; perhaps the system does not read which page is asked for.",
                self.pages - 1,
                self.pages
            ));
        }
        self.last = page.items;
        self.asked.push(Some(next.clone()));
        self.at = Position { page: Some(next), skip: 0 };
        let limit = |name| Ok(Some(End::Limit { name, certain: false }));
        match self {
            list if list.items.len() >= list.paging.max_items => limit("max_items"),
            list if list.pages >= list.paging.max_pages => limit("max_pages"),
            _ => Ok(None),
        }
    }

    /// Adds items; the name of the limit if not all of them.
    fn add(&mut self, items: &[Value]) -> Option<&'static str> {
        for item in items {
            if self.items.len() >= self.paging.max_items {
                return Some("max_items");
            }
            // Nobody who has no room for it asks.
            let json = if self.room == usize::MAX { 0 } else { item.to_json().len() + 1 };
            if self.json.saturating_add(json) > self.room && !self.items.is_empty() {
                return Some("server.limits.result_bytes");
            }
            self.json = self.json.saturating_add(json);
            self.items.push(item.clone());
            self.at.skip += 1;
        }
        None
    }

    fn outcome(mut self, end: End) -> Result<Outcome> {
        if let (true, Some(error)) = (self.paging.whole, self.incomplete(&end)) {
            return Err(error);
        }
        let truncated = !matches!(end, End::Whole);
        self.notices.extend(self.notice(&end));
        let goes_on = match &end {
            End::Limit { .. } => true,
            // What fails again and again is nowhere to go on.
            End::Failed(error) => error.retry_advice() != Retry::Never,
            End::Whole | End::Circle => false,
        };
        let mut meta = self.meta.as_object().cloned().unwrap_or_default();
        meta.insert("pages".into(), self.pages.into());
        meta.insert("items".into(), self.items.len().into());
        meta.insert("truncated".into(), truncated.into());
        if let Some(total) = self.total {
            meta.insert("total".into(), total.into());
        }
        Ok(Outcome {
            value: Payload::Json(self.items.into()),
            meta: meta.into(),
            notices: self.notices,
            results: Vec::new(),
            next: goes_on.then_some(self.at),
        })
    }

    /// The error, where only a whole list is of use.
    fn incomplete(&self, end: &End) -> Option<Error> {
        match end {
            End::Whole => None,
            End::Limit { name, .. } => Some(Error::invalid(format!(
                "the list goes on after {} items on {} pages, the most for one call (`{name}`), and only a whole one is of use; ask for less",
                self.items.len(),
                self.pages,
            ))),
            End::Failed(error) => Some(error.clone().context(format!("page {}", self.pages + 1))),
            End::Circle => Some(Error::internal(format!(
                "after page {} the system points back to a page before: the list has no end",
                self.pages
            ))),
        }
    }

    fn notice(&self, end: &End) -> Option<String> {
        let count = self.items.len();
        let items = match self.total.filter(|_| self.from_start) {
            Some(total) => format!("{count} of {total} items are here"),
            None if count == 1 => "1 item is here".to_owned(),
            None => format!("{count} items are here"),
        };
        Some(match end {
            End::Whole => return None,
            End::Limit { name, certain } => {
                let goes_on = if *certain || self.total.is_some() { "goes on" } else { "may go on" };
                format!("The list {goes_on}: {items}, the most for one call (`{name}`).")
            }
            End::Failed(error) => {
                let (page, kind) = (self.pages + 1, error.kind());
                let error = error.to_string();
                let error = error.trim_end_matches('.');
                format!(
                    "The list is not whole: {items}, but page {page} could not be read ({kind}): {error}."
                )
            }
            End::Circle => format!(
                "The list may not be whole: {items}, and then the system points back to a page that was read already."
            ),
        })
    }
}
