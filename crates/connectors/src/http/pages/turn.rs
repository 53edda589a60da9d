//! What a page changes about the request of its operation.

use http::{HeaderName, HeaderValue};
use renkei_core::{Cursor, Error, Map, Request, Result, Value};
use url::Url;

use super::{Pages, Spot, Way};
use crate::http::{call, prepare::Plan, wire};

/// What a request for one page has beside, or instead of, what its operation says.
#[derive(Debug, Default)]
pub(in crate::http) struct Turn<'p> {
    /// Encoded pairs, after those of the operation.
    pub(in crate::http) query: Vec<String>,
    pub(in crate::http) header: Option<(HeaderName, HeaderValue)>,
    pub(in crate::http) body: Option<Member<'p>>,
    /// The path, with that of `base_url`, and the query, instead of the operation's.
    pub(in crate::http) target: Option<(String, Option<String>)>,
}

/// A member of the JSON body.
#[derive(Debug)]
pub(in crate::http) struct Member<'p> {
    path: &'p [String],
    value: Value,
}

impl<'p> Turn<'p> {
    /// The first page if the request names none.
    pub(in crate::http) fn of(plan: &'p Plan, request: &Request) -> Result<Self> {
        match (&plan.pages, &request.page) {
            (Some(pages), page) => pages.turn(page.as_ref()),
            (None, None) => Ok(Turn::default()),
            (None, Some(_)) => Err(Error::internal(format!("`{}` has no pages", request.op.label))),
        }
    }

    fn put(&mut self, spot: &'p Spot, value: Value) -> Result<()> {
        let text = || wire::scalar(&value).ok_or_else(foreign);
        match spot {
            Spot::Query(name) => self.query.push(format!("{name}={}", wire::encode(&text()?))),
            Spot::Header(name) => {
                let value = wire::header_value(&text()?)
                    .map_err(|why| Error::internal(format!("the cursor for the header `{name}` {why}")))?;
                self.header = Some((name.clone(), value));
            }
            Spot::Body(path) => self.body = Some(Member { path, value }),
        }
        Ok(())
    }
}

impl Pages {
    /// The URL of the page that is asked for, without the system's own key.
    pub(in crate::http) fn url(&self, plan: &Plan, request: &Request) -> Result<Url> {
        let (path, query) = call::target(&self.base, plan, request, &Turn::of(plan, request)?)?;
        let mut url = self.base.clone();
        url.set_path(&path);
        url.set_query(query.as_deref());
        Ok(url)
    }

    fn turn(&self, page: Option<&Cursor>) -> Result<Turn<'_>> {
        let mut turn = Turn::default();
        match &self.way {
            Way::Number { spot, .. } => turn.put(spot, self.number(page)?.0.into())?,
            Way::Offset { spot, .. } => turn.put(spot, self.offset(page)?.into())?,
            Way::Cursor { spot, first, .. } => {
                if let Some(value) = page.map(|Cursor(value)| value).or(first.as_ref()) {
                    turn.put(spot, value.clone())?;
                }
            }
            Way::Link(_) | Way::NextUrl(_) => {
                if let Some(page) = page {
                    turn.target = Some(self.asked(page)?);
                    return Ok(turn);
                }
            }
        }
        if let Some(size) = &self.size
            && let Some(name) = &size.parameter
        {
            turn.query.push(format!("{name}={}", size.items));
        }
        Ok(turn)
    }

    /// The number of the page, and how many items are on those before it.
    pub(super) fn number(&self, page: Option<&Cursor>) -> Result<(u64, u64)> {
        let first = match self.way {
            Way::Number { first, .. } => first,
            _ => 0,
        };
        let Some(Cursor(value)) = page else { return Ok((first, 0)) };
        let part = |at: usize| value.at(at).and_then(whole);
        part(0).zip(part(1)).ok_or_else(foreign)
    }

    pub(super) fn offset(&self, page: Option<&Cursor>) -> Result<u64> {
        match (page, &self.way) {
            (Some(Cursor(value)), _) => whole(value).ok_or_else(foreign),
            (None, Way::Offset { first, .. }) => Ok(*first),
            (None, _) => Ok(0),
        }
    }

    /// The path and query of a page that an earlier reply pointed to. It is checked again: a cursor may come from
    /// elsewhere.
    fn asked(&self, page: &Cursor) -> Result<(String, Option<String>)> {
        let text = page.0.as_str().ok_or_else(foreign)?;
        let origin = self.base.origin().ascii_serialization();
        let url = Url::parse(&format!("{origin}{text}")).map_err(|_| foreign())?;
        if !text.starts_with('/') || self.check(&url).is_err() {
            return Err(foreign());
        }
        Ok((url.path().to_owned(), url.query().map(str::to_owned)))
    }

    /// Whether a page may stand there. The error goes on after the URL.
    pub(super) fn check(&self, url: &Url) -> Result<(), String> {
        if url.origin() != self.base.origin() {
            return Err(format!(
                "which is another origin than `{}`, that of `base_url`; it is not followed",
                self.base.origin().ascii_serialization()
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("which has a user name or a password; it is not followed".into());
        }
        let base = self.base.path().trim_end_matches('/');
        let inside =
            url.path().strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if inside || self.any_path {
            return Ok(());
        }
        Err(format!(
            "which leaves `{base}`, the path of `base_url`; it is not followed, unless `pages` says `any_path: true`"
        ))
    }
}

impl Member<'_> {
    /// The body with it.
    pub(in crate::http) fn set_in(&self, body: Option<&Value>) -> Result<Value> {
        fn set(value: Option<&Value>, path: &[String], new: &Value) -> Result<Value> {
            let [name, rest @ ..] = path else { return Ok(new.clone()) };
            let mut map = match value {
                None | Some(Value::Null) => Map::new(),
                Some(Value::Object(map)) => Map::clone(map),
                Some(other) => {
                    return Err(Error::invalid(format!(
                        "the page goes into `{name}` of the body, where there is no object but {}; nothing was sent",
                        other.type_name()
                    )));
                }
            };
            let inner = set(map.get(name.as_str()), rest, new)?;
            map.insert(name.as_str().into(), inner);
            Ok(map.into())
        }
        set(body, self.path, &self.value)
    }
}

fn whole(value: &Value) -> Option<u64> {
    value.as_i64().and_then(|number| u64::try_from(number).ok())
}

fn foreign() -> Error {
    Error::invalid("this cursor belongs to no page of this operation: call again without it")
}
