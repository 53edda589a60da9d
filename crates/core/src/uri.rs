//! URIs with variables, as far as resources need them: a part of RFC 6570.
//!
//! `{id}` is one piece of a path, `{+path}` several, `{?q,page}` at the end names of a query. A value is
//! encoded on its way in and decoded on its way out, so that it can never change which resource is meant.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use regex::Regex;

/// A URI that is asked for, and a template, may be this long.
pub const MAX_URI_BYTES: usize = 8 * 1024;

/// The values of variables, by name.
pub type Values = Vec<(Arc<str>, String)>;

/// What stands as it is in a value: RFC 3986, "unreserved".
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for `{+path}`, which keeps what separates pieces.
const ENCODED_PATH: &AsciiSet = &ENCODED
    .remove(b'/')
    .remove(b':')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

/// A URI, perhaps with variables.
#[derive(Clone, Debug)]
pub struct UriTemplate {
    source: Arc<str>,
    parts: Vec<Part>,
    /// The names of `{?…}`.
    query: Vec<Arc<str>>,
    /// Of everything before the query; one group a variable.
    pattern: Regex,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(String),
    /// Its name, and whether it takes several pieces.
    Variable(Arc<str>, bool),
}

/// Why a text is no URI template: the bytes `from..to` of it, what is wrong, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub from: usize,
    pub to: usize,
    pub message: String,
    pub hint: String,
}

impl UriTemplate {
    /// Takes a template apart.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        check_scheme(text)?;
        let (mut parts, mut query): (Vec<Part>, Vec<Arc<str>>) = (Vec::new(), Vec::new());
        let mut pattern = String::from("^(?s)");
        let mut at = 0;
        while at < text.len() {
            let problem =
                |to: usize, message: String, hint: &str| Problem { from: at, to, message, hint: hint.into() };
            let rest = &text[at..];
            if !rest.starts_with('{') {
                let end = at + rest.find('{').unwrap_or(rest.len());
                check_literal(text, at, end)?;
                pattern.push_str(&regex::escape(&text[at..end]));
                parts.push(Part::Literal(text[at..end].to_owned()));
                at = end;
                continue;
            }
            let Some(length) = rest.find('}') else {
                return Err(problem(text.len(), "this `{` is not closed".into(), "write `{name}`"));
            };
            let (end, inner) = (at + length + 1, &rest[1..length]);
            if let Some(names) = inner.strip_prefix('?') {
                if end != text.len() {
                    let hint = "a query is the last part: `shop://orders{?status,page}`";
                    return Err(problem(end, "something stands behind the query".into(), hint));
                }
                query = names.split(',').map(|name| variable(name, at, end)).collect::<Result<_, _>>()?;
            } else {
                let (name, several) = inner.strip_prefix('+').map_or((inner, false), |name| (name, true));
                if let Some(Part::Variable(other, _)) = parts.last() {
                    let message = format!("nothing stands between `{{{other}}}` and `{{{name}}}`");
                    return Err(problem(end, message, "put a `/` or another sign between two variables"));
                }
                parts.push(Part::Variable(variable(name, at, end)?, several));
                pattern.push_str(if several { "([^?#]+)" } else { "([^/?#]+)" });
            }
            at = end;
        }
        pattern.push('$');
        let pattern = Regex::new(&pattern).map_err(|error| Problem {
            from: 0,
            to: text.len(),
            message: format!("this URI cannot be used: {error}"),
            hint: "make it shorter".into(),
        })?;
        let template = UriTemplate { source: text.into(), parts, query, pattern };
        match template.repeated() {
            Some(name) => Err(Problem {
                from: 0,
                to: text.len(),
                message: format!("the variable `{name}` is there twice"),
                hint: "give each its own name".into(),
            }),
            None => Ok(template),
        }
    }

    fn repeated(&self) -> Option<Arc<str>> {
        let names: Vec<&Arc<str>> = self.variables().collect();
        let twice = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
        twice.map(|(_, name)| Arc::clone(name))
    }

    /// As it was written.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Whether it is a plain URI.
    pub fn is_fixed(&self) -> bool {
        self.variables().next().is_none()
    }

    /// The names of the variables, in their order.
    pub fn variables(&self) -> impl Iterator<Item = &Arc<str>> {
        let path = self.parts.iter().filter_map(|part| match part {
            Part::Variable(name, _) => Some(name),
            Part::Literal(_) => None,
        });
        path.chain(&self.query)
    }

    /// Whether a URI needs a value of it: those of a query may be left out.
    pub fn needs(&self, variable: &str) -> bool {
        !self.query.iter().any(|name| **name == *variable)
    }

    /// The values of the variables in `uri`, decoded; nothing if it is not one of these.
    pub fn values(&self, uri: &str) -> Option<Values> {
        if uri.len() > MAX_URI_BYTES {
            return None;
        }
        let (path, query) = match uri.split_once('?') {
            Some((path, query)) if !self.query.is_empty() => (path, Some(query)),
            _ => (uri, None),
        };
        let found = self.pattern.captures(path)?;
        let mut values = Vec::new();
        let names = self.parts.iter().filter_map(|part| match part {
            Part::Variable(name, _) => Some(name),
            Part::Literal(_) => None,
        });
        for (name, value) in names.zip(found.iter().skip(1)) {
            values.push((name.clone(), decoded(value?.as_str())?));
        }
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let name = self.query.iter().find(|known| ***known == *name)?;
            if values.iter().any(|(known, _)| known == name) {
                return None;
            }
            values.push((name.clone(), decoded(value)?));
        }
        Some(values)
    }

    /// The URI with these values, encoded.
    ///
    /// # Errors
    /// The name of a variable that has no value and needs one.
    pub fn expand(&self, mut value: impl FnMut(&str) -> Option<String>) -> Result<String, Arc<str>> {
        let mut uri = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => uri.push_str(text),
                Part::Variable(name, several) => {
                    let value = value(name).filter(|value| !value.is_empty()).ok_or_else(|| name.clone())?;
                    let kept = if *several { ENCODED_PATH } else { ENCODED };
                    uri.extend(utf8_percent_encode(&value, kept));
                }
            }
        }
        let mut sign = '?';
        for name in &self.query {
            let Some(value) = value(name) else { continue };
            uri.push(sign);
            uri.push_str(name);
            uri.push('=');
            uri.extend(utf8_percent_encode(&value, ENCODED));
            sign = '&';
        }
        Ok(uri)
    }
}

fn decoded(text: &str) -> Option<String> {
    let value = percent_decode_str(text).decode_utf8().ok()?;
    (!value.contains('\0')).then(|| value.into_owned())
}

/// Under which queues are resources.
const QUEUES: &str = "renkei://queues/";

fn check_scheme(text: &str) -> Result<(), Problem> {
    let whole = |message: String, hint: &str| Problem { from: 0, to: text.len(), message, hint: hint.into() };
    if text.len() > MAX_URI_BYTES {
        let message = format!("the URI has {} bytes; the limit is {MAX_URI_BYTES}", text.len());
        return Err(whole(message, "make it shorter"));
    }
    let scheme = text.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
    if !scheme.starts_with(|first: char| first.is_ascii_lowercase()) || !scheme.bytes().all(plain) {
        return Err(whole(
            format!("`{text}` is not a URI"),
            "begin with a scheme of your own in small letters: `shop://orders/{id}`",
        ));
    }
    // That of a queue is the one that a config may give.
    if scheme == "renkei" && !text.starts_with(QUEUES) {
        return Err(whole(
            "the scheme `renkei` is Renkei's own".into(),
            "take another one, such as `shop://…`",
        ));
    }
    if text.len() == scheme.len() + 1 {
        return Err(whole(
            format!("nothing stands behind `{text}`"),
            "write a whole URI: `shop://orders/{id}`",
        ));
    }
    Ok(())
}

fn check_literal(text: &str, from: usize, to: usize) -> Result<(), Problem> {
    let signs = b"-._~:/?#[]@!$&'()*+,;=%";
    let wrong = text[from..to].char_indices().find(|(_, letter)| {
        !letter.is_ascii_alphanumeric() && !u8::try_from(*letter).is_ok_and(|byte| signs.contains(&byte))
    });
    let Some((at, letter)) = wrong else { return Ok(()) };
    let at = from + at;
    // `${` is what people write who think of templates.
    let hint = match letter {
        '}' => "write `{name}`",
        _ => "encode it: `%20` is a space",
    };
    Err(Problem {
        from: at,
        to: at + letter.len_utf8(),
        message: format!("`{letter}` cannot stand in a URI"),
        hint: hint.into(),
    })
}

fn variable(name: &str, from: usize, to: usize) -> Result<Arc<str>, Problem> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(good) {
        return Ok(name.into());
    }
    let hint = match name.chars().next() {
        Some('/' | '.' | ';' | '#' | '&') => {
            "the forms are `{name}`, `{+name}` and, at the end, `{?name,other}`"
        }
        _ if name.ends_with('*') || name.contains(':') => "`*` and `:` are not available; write `{name}`",
        _ => "a name has 1 to 64 letters, digits and `_`: `{order_id}`",
    };
    Err(Problem { from, to, message: format!("`{name}` is no name of a variable"), hint: hint.into() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(template: &str, uri: &str) -> Option<Vec<String>> {
        let found = UriTemplate::parse(template).unwrap().values(uri)?;
        Some(found.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    fn found(template: &str, uri: &str) -> Vec<String> {
        values(template, uri).unwrap_or_else(|| panic!("{template} does not match {uri}"))
    }

    #[test]
    fn variables_are_found_and_decoded() {
        assert_eq!(found("shop://hours", "shop://hours"), Vec::<String>::new());
        assert_eq!(found("shop://orders/{id}", "shop://orders/a%2Fb%20c"), ["id=a/b c"]);
        assert_eq!(found("shop://{a}/x/{b}.json", "shop://1/x/2.3.json"), ["a=1", "b=2.3"]);
        assert_eq!(found("files://{+path}", "files://a/b/c.txt"), ["path=a/b/c.txt"]);
        assert_eq!(found("files://{+path}/meta", "files://a/meta/b/meta"), ["path=a/meta/b"]);
        assert_eq!(found("shop://find{?q,page}", "shop://find"), Vec::<String>::new());
        assert_eq!(found("shop://find{?q,page}", "shop://find?page=2&q=%E5%B1%B1"), ["page=2", "q=山"]);
        assert_eq!(
            found("shop://a?b={c}", "shop://a?b=1"),
            Vec::<String>::new().into_iter().chain(["c=1".to_owned()]).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_is_another_uri_is_not_taken() {
        for (template, uri) in [
            ("shop://hours", "shop://hours/"),
            ("shop://hours", "shop://hours?x=1"),
            ("shop://orders/{id}", "shop://orders/"),
            ("shop://orders/{id}", "shop://orders/1/2"),
            ("shop://orders/{id}", "shop://orders/1?x=2"),
            ("shop://orders/{id}", "shop://orders/%FF"),
            ("shop://orders/{id}", "shop://orders/%00"),
            ("shop://orders/{id}", "xshop://orders/1"),
            ("shop://find{?q}", "shop://find?other=1"),
            ("shop://find{?q}", "shop://find?q=1&q=2"),
            ("shop://find{?q}", "shop://find?q"),
        ] {
            assert_eq!(values(template, uri), None, "{template} {uri}");
        }
        let long = format!("shop://orders/{}", "x".repeat(MAX_URI_BYTES));
        assert_eq!(values("shop://orders/{id}", &long), None);
    }

    #[test]
    fn what_is_no_template_is_said() {
        let wrong = |text: &str| UriTemplate::parse(text).unwrap_err().message;
        assert_eq!(wrong("orders/1"), "`orders/1` is not a URI");
        assert_eq!(wrong("Shop://x"), "`Shop://x` is not a URI");
        assert_eq!(wrong("renkei://x"), "the scheme `renkei` is Renkei's own");
        assert!(UriTemplate::parse("renkei://queues/jobs").is_ok());
        assert_eq!(wrong("shop:"), "nothing stands behind `shop:`");
        assert_eq!(wrong("shop://a b"), "` ` cannot stand in a URI");
        assert_eq!(wrong("shop://a}"), "`}` cannot stand in a URI");
        assert_eq!(wrong("shop://{a"), "this `{` is not closed");
        assert_eq!(wrong("shop://{}"), "`` is no name of a variable");
        assert_eq!(wrong("shop://x{/a}"), "`/a` is no name of a variable");
        assert_eq!(wrong("shop://{a*}"), "`a*` is no name of a variable");
        assert_eq!(wrong("shop://{a}{b}"), "nothing stands between `{a}` and `{b}`");
        assert_eq!(wrong("shop://{a}/{a}"), "the variable `a` is there twice");
        assert_eq!(wrong("shop://x{?a}/b"), "something stands behind the query");
    }

    #[test]
    fn a_value_that_is_needed_is_missed_by_name() {
        let template = UriTemplate::parse("shop://{a}{?b}").unwrap();
        assert_eq!(template.expand(|_| None).unwrap_err().as_ref(), "a");
        assert_eq!(template.expand(|name| (name == "a").then(|| "1".into())).unwrap(), "shop://1");
        assert!(template.needs("a") && !template.needs("b"));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(a in "[^\0]{1,12}", b in "[a-z0-9/.@:]{1,12}", c in "[^\0]{0,12}") {
            let template = UriTemplate::parse("x://{a}/-/{+b}{?c}").unwrap();
            let uri = template.expand(|name| Some(match name { "a" => a.clone(), "b" => b.clone(), _ => c.clone() })).unwrap();
            let found = template.values(&uri);
            let expected = vec![("a".into(), a), ("b".into(), b), ("c".into(), c)];
            prop_assert_eq!(found, Some(expected), "{}", uri);
        }
    }
}
