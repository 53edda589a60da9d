//! What a reply says of its page: the items, and where the next page stands.

use http::{HeaderMap, StatusCode, header};
use renkei_core::{Cursor, Error, Kind, Page, Payload, Reply, Request, Result, Scope, Tree, Value};
use url::Url;

use super::{Pages, Spot, Way, link};
use crate::http::{
    error::{Place, cut},
    wire,
};

/// A reply, as it came and as it is shown.
#[derive(Debug)]
pub(in crate::http) struct Seen<'a> {
    pub(in crate::http) request: &'a Request,
    pub(in crate::http) place: &'a Place<'a>,
    pub(in crate::http) status: StatusCode,
    /// The URL that was answered.
    pub(in crate::http) url: &'a Url,
    pub(in crate::http) headers: &'a HeaderMap,
    /// What came, with what is secret in it: a next page may need it.
    pub(in crate::http) value: &'a Payload,
    pub(in crate::http) meta: &'a Value,
    /// The length of the body.
    pub(in crate::http) bytes: u64,
    /// The query parameter that carries the system's key.
    pub(in crate::http) secret_parameter: Option<&'a str>,
}

impl Pages {
    /// Reads `reply`, which is what is shown of `seen`, as a page. A sentence is added to its notices where the system
    /// contradicts itself.
    pub(in crate::http) fn read_page(&self, seen: &Seen<'_>, reply: &mut Reply) {
        let page = self.page(seen, reply);
        reply.page = Some(page.map(|(page, notice)| {
            reply.notices.extend(notice);
            page
        }));
    }

    fn page(&self, seen: &Seen<'_>, reply: &Reply) -> Result<(Page, Option<String>)> {
        let (Payload::Json(raw), Payload::Json(shown)) = (seen.value, &reply.value) else {
            return Err(seen.wrong("it is bytes, which have no items"));
        };
        let scope = |result: &Value, meta: &Value| {
            let mut scope = Scope::new(Value::object());
            scope.set("result", result.clone());
            scope.set("result_meta", meta.clone());
            scope
        };
        let (raw, shown) = (scope(raw, seen.meta), scope(shown, &reply.meta));
        let items = self.items(seen, &shown)?;
        let total = self.total(seen, &shown)?;
        let more = match &self.more {
            Some(more) => Some(truth(render(seen, more, "more", &shown)?.as_ref())),
            None => None,
        };
        let count = items.len() as u64;
        let next = if more == Some(false) { None } else { self.next(seen, &raw, count, total)? };
        let notice = (more == Some(true) && next.is_none()).then(|| {
            let system = &seen.request.op.system;
            format!("system `{system}` says that the list goes on, but not where: what follows is not here")
        });
        Ok((Page { items, next, total, bytes: seen.bytes }, notice))
    }

    fn items(&self, seen: &Seen<'_>, scope: &Scope) -> Result<Vec<Value>> {
        let found = match &self.items {
            Some(items) => render(seen, items, "items", scope)?.unwrap_or_default(),
            None => scope.get("result").cloned().unwrap_or_default(),
        };
        match (&found, &self.items) {
            (Value::Array(items), _) => Ok(Vec::clone(items)),
            (Value::Null, Some(_)) => Err(seen.wrong(
                "`items` of `pages` finds nothing in it; if that stands for an empty list, write `${ … // [] }`",
            )),
            (other, Some(_)) => {
                Err(seen.wrong(format!("`items` of `pages` gives {} instead of a list", article(other))))
            }
            (other, None) => {
                let lists: Vec<&str> = other
                    .as_object()
                    .map(|map| map.iter().filter(|(_, value)| value.as_array().is_some()))
                    .map(|lists| lists.map(|(name, _)| &**name).collect())
                    .unwrap_or_default();
                let name = if let [only] = lists[..] { only } else { "data" };
                Err(seen.wrong(format!(
                    "its body is {} and no list; say where the items stand: `items: '${{$result.{name}}}'`",
                    article(other)
                )))
            }
        }
    }

    fn total(&self, seen: &Seen<'_>, scope: &Scope) -> Result<Option<u64>> {
        let Some(total) = &self.total else { return Ok(None) };
        let value = render(seen, total, "total", scope)?.unwrap_or_default();
        if value.is_null() {
            return Ok(None);
        }
        // In a header it is a text.
        let number = wire::scalar(&value).and_then(|text| text.trim().parse().ok());
        number.map(Some).ok_or_else(|| {
            seen.wrong(format!("`total` of `pages` gives {} and no whole number", article(&value)))
        })
    }

    /// Where the next page stands.
    fn next(&self, seen: &Seen<'_>, scope: &Scope, count: u64, total: Option<u64>) -> Result<Option<Cursor>> {
        let page = seen.request.page.as_ref();
        // `before` counts the items of the pages before this one. An empty page ends what is counted.
        let counted_on = |before: u64| {
            let short = self.size.as_ref().is_some_and(|size| count < size.items);
            let reached = total.is_some_and(|total| before.saturating_add(count) >= total);
            count > 0 && !short && !reached
        };
        Ok(match &self.way {
            Way::Number { .. } => {
                let (number, before) = self.number(page)?;
                counted_on(before).then(|| {
                    let next = [number.saturating_add(1).into(), before.saturating_add(count).into()];
                    Cursor(Value::from(next.to_vec()))
                })
            }
            Way::Offset { first, .. } => {
                let offset = self.offset(page)?;
                counted_on(offset.saturating_sub(*first)).then(|| Cursor(offset.saturating_add(count).into()))
            }
            Way::Cursor { spot, next, .. } => {
                let next = render(seen, next, "next", scope)?.filter(|next| !ends(next));
                if let Some(next) = &next
                    && wire::scalar(next).is_none()
                    && !matches!(spot, Spot::Body(_))
                {
                    return Err(seen.wrong(format!(
                        "`next` of `pages` gives {}, which fits a member of the body only",
                        article(next)
                    )));
                }
                next.map(Cursor)
            }
            Way::Link(relation) => {
                let values: Vec<_> = seen.headers.get_all(header::LINK).into_iter().collect();
                let values: Vec<_> =
                    values.iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
                let target = link::target(values.iter().map(AsRef::as_ref), relation);
                target.map(|target| self.points_to(seen, &target)).transpose()?
            }
            Way::NextUrl(next) => match render(seen, next, "next_url", scope)?.filter(|next| !ends(next)) {
                None => None,
                Some(Value::String(target)) => Some(self.points_to(seen, &target)?),
                Some(other) => {
                    return Err(
                        seen.wrong(format!("`next_url` of `pages` gives {} and no URL", article(&other)))
                    );
                }
            },
        })
    }

    /// The page behind a URL, which may be relative. Only its path and query are kept, without the system's own key.
    fn points_to(&self, seen: &Seen<'_>, target: &str) -> Result<Cursor> {
        let refused = |why: &str| {
            let shown = seen.place.redact(target);
            let why = format!("it points to `{}` as its next page, {why}", cut(&shown, 300));
            seen.place.reply(Kind::Internal, seen.status, why)
        };
        let mut url =
            seen.url.join(target).map_err(|error| refused(&format!("which is no URL ({error})")))?;
        self.check(&url).map_err(|why| refused(&why))?;
        if let (Some(name), Some(query)) = (seen.secret_parameter, url.query()) {
            let is_key = |pair: &&str| {
                url::form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(key, _)| key == name)
            };
            let kept: Vec<&str> = query.split('&').filter(|pair| !is_key(pair)).collect();
            let kept = kept.join("&");
            url.set_query(Some(&*kept).filter(|kept| !kept.is_empty()));
        }
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Cursor(format!("{}{query}", url.path()).into()))
    }
}

impl Seen<'_> {
    fn wrong(&self, why: impl std::fmt::Display) -> Error {
        let label = &self.request.op.label;
        self.place.reply(Kind::Internal, self.status, format!("the reply to `{label}` is no page: {why}"))
    }
}

fn render(seen: &Seen<'_>, tree: &Tree, key: &str, scope: &Scope) -> Result<Option<Value>> {
    tree.render(scope).map_err(|error| seen.wrong(format!("`{key}` of `pages` does not work out: {error}")))
}

/// What systems write where no page follows.
fn ends(next: &Value) -> bool {
    matches!(next, Value::Null | Value::Bool(false)) || next.as_str().is_some_and(str::is_empty)
}

/// As jq sees it.
fn truth(value: Option<&Value>) -> bool {
    !matches!(value, None | Some(Value::Null | Value::Bool(false)))
}

/// `an object`, `a text`.
fn article(value: &Value) -> String {
    let name = value.type_name();
    match name {
        "null" => "nothing".to_owned(),
        "object" | "array" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}
