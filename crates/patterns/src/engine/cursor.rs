//! The cursors of tools: where a list goes on, sealed.
//!
//! A cursor passes through a model, so it may come back changed or made up. It holds for one tool, one caller and the
//! same arguments.

use renkei_core::{Cursor, Error, Map, Position, Principal, Result, Secret, Value};

use super::seal::{self, DIGEST, Seal};

/// The argument that takes a cursor.
pub(crate) const ARGUMENT: &str = "cursor";
/// The member of a result that holds the next one.
pub(crate) const MEMBER: &str = "next_cursor";
/// The longest cursor that is given or taken.
const MAX_LENGTH: usize = 8192;

/// Seals and opens cursors.
pub(super) struct Cursors(Seal);

/// Whose cursor it is, and for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    pub(super) tool: &'a str,
    pub(super) caller: &'a Principal,
    /// The checked arguments, without the cursor.
    pub(super) arguments: &'a Value,
}

impl Cursors {
    pub(super) fn new(key: Option<&Secret>) -> Self {
        Cursors(Seal::new(key, MAX_LENGTH))
    }

    /// Nothing if it would be too long.
    pub(super) fn seal(&self, owner: Owner<'_>, position: &Position) -> Option<String> {
        let mut content = seal::digest_of(owner.arguments).to_vec();
        let page = position.page.as_ref().map_or(Value::Null, |page| page.0.clone());
        let place = Value::from(vec![position.page.is_some().into(), page, position.skip.into()]);
        content.extend_from_slice(place.to_json().as_bytes());
        self.0.seal(&owner.about(), content)
    }

    /// # Errors
    /// `invalid`: it is none of ours, or for something else.
    pub(super) fn open(&self, owner: Owner<'_>, text: &str) -> Result<Position> {
        let refused = || {
            Error::invalid(format!(
                "`cursor` is none that `{}` gave to this caller, or the server was restarted since; leave it out to begin anew",
                owner.tool
            ))
        };
        let opened = self.0.open(&owner.about(), text).ok_or_else(refused)?;
        let (arguments, place) = opened.split_at_checked(DIGEST).ok_or_else(refused)?;
        if arguments != seal::digest_of(owner.arguments) {
            return Err(Error::invalid(
                "`cursor` was given for other arguments: call with the same arguments as before, or leave it out to begin anew",
            ));
        }
        let place = Value::from_json(place).map_err(|_| refused())?;
        let skip = place.at(2).and_then(Value::as_i64).and_then(|skip| usize::try_from(skip).ok());
        let page = place.at(0).and_then(Value::as_bool).zip(place.at(1));
        let ((has_page, page), skip) = page.zip(skip).ok_or_else(refused)?;
        Ok(Position { page: has_page.then(|| Cursor(page.clone())), skip })
    }
}

impl Owner<'_> {
    /// What a cursor is bound to beside the arguments.
    fn about(&self) -> Vec<u8> {
        seal::about("cursor 1", self.tool, self.caller)
    }
}

/// The input schema of a tool that takes a cursor.
pub(super) fn with_argument(schema: &Value) -> Value {
    let cursor = Value::from([
        ("type", Value::from("string")),
        ("maxLength", MAX_LENGTH.into()),
        (
            "description",
            "Goes on with the list: the `next_cursor` of the call before, with otherwise the same arguments. Leave it out to begin."
                .into(),
        ),
    ]);
    with_property(schema, ARGUMENT, cursor)
}

/// The output schema of a tool that gives a cursor. What the config says of such a member stays.
pub(super) fn with_member(schema: &Value) -> Value {
    if schema.get("properties").is_some_and(|all| all.get(MEMBER).is_some()) {
        return schema.clone();
    }
    let next = Value::from([
        ("type", "string"),
        (
            "description",
            "Only there when the list goes on: the `cursor` of the next call, with the same arguments.",
        ),
    ]);
    with_property(schema, MEMBER, next)
}

fn with_property(schema: &Value, name: &str, property: Value) -> Value {
    let mut map = schema.as_object().cloned().unwrap_or_default();
    let mut properties: Map = map.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    properties.insert(name.into(), property);
    map.insert("properties".into(), properties.into());
    map.into()
}

/// The arguments without the cursor, and the cursor.
pub(super) fn taken_from(arguments: Value) -> (Value, Option<String>) {
    let Value::Object(map) = &arguments else { return (arguments, None) };
    let Some(cursor) = map.get(ARGUMENT).cloned() else { return (arguments, None) };
    let mut rest = Map::clone(map);
    rest.shift_remove(ARGUMENT);
    (rest.into(), cursor.as_str().map(str::to_owned))
}

/// What the model is told about a list that goes on.
pub(super) fn notice(cursor: Option<&str>) -> String {
    match cursor {
        Some(cursor) => format!("To go on, call again with the same arguments and `cursor`: {cursor}"),
        None => "The cursor to go on with is too long to be given.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use renkei_core::principal::How;

    use super::*;

    fn caller(name: &str, claims: &str) -> Principal {
        let claims = Value::from_json(claims.as_bytes()).unwrap();
        Principal { name: name.into(), how: How::Jwt, claims }
    }

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    fn positions() -> Vec<Position> {
        let page = |json: &str| Some(Cursor(value(json)));
        vec![
            Position { page: None, skip: 3 },
            Position { page: page("[2,100]"), skip: 0 },
            Position { page: page(r#""/a?b=c""#), skip: 7 },
            Position { page: page("null"), skip: 0 },
            Position { page: page(r#"{"a":[1.10]}"#), skip: 1 },
        ]
    }

    #[test]
    fn comes_back_as_it_was() {
        let cursors = Cursors::new(None);
        let (ann, arguments) = (caller("ann", "{}"), value(r#"{"a":1,"b":{"c":[1,2],"d":null}}"#));
        let again = value(r#"{"b":{"d":null,"c":[1,2]},"a":1}"#);
        for position in positions() {
            let owner = Owner { tool: "t", caller: &ann, arguments: &arguments };
            let text = cursors.seal(owner, &position).unwrap();
            assert_eq!(cursors.open(owner, &text).unwrap(), position);
            // The order of members is nobody's choice.
            let owner = Owner { arguments: &again, ..owner };
            assert_eq!(Cursors::new(None).open(owner, &text).unwrap(), position);
            assert!(!text.contains("/a"), "{text}");
        }
    }

    #[test]
    fn holds_for_one_tool_one_caller_and_the_same_arguments() {
        let cursors = Cursors::new(Some(&Secret::new("a key for tests")));
        let (ann, arguments) = (caller("ann", r#"{"iss":"a"}"#), value(r#"{"a":1}"#));
        let owner = Owner { tool: "t", caller: &ann, arguments: &arguments };
        let text = cursors.seal(owner, &positions()[1]).unwrap();
        let message = |owner: Owner<'_>| cursors.open(owner, &text).unwrap_err().to_string();
        for other in [r#"{"a":2}"#, r#"{"a":1,"b":null}"#, "{}", r#"{"a":[1]}"#, r#"{"a":"1"}"#] {
            let other = value(other);
            let message = message(Owner { arguments: &other, ..owner });
            assert!(message.starts_with("`cursor` was given for other arguments"), "{message}");
        }
        for (tool, name, claims) in
            [("u", "ann", r#"{"iss":"a"}"#), ("t", "bob", r#"{"iss":"a"}"#), ("t", "ann", r#"{"iss":"b"}"#)]
        {
            let message = message(Owner { tool, caller: &caller(name, claims), arguments: &arguments });
            assert!(message.starts_with("`cursor` is none that"), "{message}");
        }
        let anonymous = Principal { how: How::None, ..ann.clone() };
        assert!(message(Owner { caller: &anonymous, ..owner }).starts_with("`cursor` is none that"));
        assert!(Cursors::new(None).open(owner, &text).is_err());
        assert!(Cursors::new(Some(&Secret::new("a key for tests"))).open(owner, &text).is_ok());
        // Later claims of the same caller change nothing.
        let later = caller("ann", r#"{"iss":"a","exp":7}"#);
        assert!(cursors.open(Owner { caller: &later, ..owner }, &text).is_ok());
    }

    #[test]
    fn what_is_changed_or_made_up_is_refused() {
        let cursors = Cursors::new(None);
        let (ann, arguments) = (Principal::anonymous(), Value::object());
        let owner = Owner { tool: "t", caller: &ann, arguments: &arguments };
        let text = cursors.seal(owner, &positions()[2]).unwrap();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last letter may hold bits that mean nothing.
            assert!(cursors.open(owner, &changed).is_err(), "{changed}");
        }
        for wrong in ["", "x", "WzIsMTAwXQ", &text[1..], &text[..text.len() - 4], &"A".repeat(9000), "山"] {
            let error = cursors.open(owner, wrong).unwrap_err();
            assert_eq!(error.kind(), renkei_core::Kind::Invalid, "{wrong}");
        }
        let long = Position { page: Some(Cursor("x".repeat(9000).into())), skip: 0 };
        assert_eq!(cursors.seal(owner, &long), None);
    }

    #[test]
    fn schemas_say_it() {
        let schema = value(r#"{"type":"object","properties":{"a":{}},"additionalProperties":false}"#);
        let with = with_argument(&schema);
        let names: Vec<_> = with.get("properties").unwrap().as_object().unwrap().keys().collect();
        assert_eq!(names.iter().map(|name| &***name).collect::<Vec<_>>(), ["a", "cursor"]);
        assert_eq!(with.get("additionalProperties").unwrap(), &Value::Bool(false));
        let own = value(r#"{"properties":{"next_cursor":{"type":"integer"}}}"#);
        assert_eq!(with_member(&own), own);
    }
}
