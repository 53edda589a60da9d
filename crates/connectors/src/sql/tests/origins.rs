//! Who reads that a value does not fit can only mend what they chose.

use renkei_core::{Kind, Scope, Value};

use super::read;
use crate::sql::dialect::SQLITE;

#[test]
fn tells_who_chose_a_value_that_does_not_fit() {
    let object = |text: &str| Value::from_json(text.as_bytes()).unwrap();
    let mut scope = Scope::new(object(r#"{"a": {"b": 1}}"#));
    scope.set("caller", object(r#"{"claims": {"a": {"b": 1}}}"#));
    scope.set("other", object(r#"{"a": {"b": 1}}"#));
    for (template, kind, says) in [
        (".a", Kind::Invalid, "for its text"),
        (
            "$caller.claims.a",
            Kind::Forbidden,
            "for its text; this value comes with the caller, not with the arguments",
        ),
        (
            "$other.a",
            Kind::Internal,
            "for its text; it is not among the arguments, so the config must be mended",
        ),
        // Both are in it, and the caller's part cannot be mended.
        ("{a: .a, b: $caller.claims.a}", Kind::Forbidden, "not with the arguments"),
    ] {
        for sql in [
            format!("select a from t where a = ${{{template}}}"),
            format!("select a from t where a in (${{{template}}})"),
        ] {
            let prepared = read(&sql, &SQLITE).unwrap();
            let params: Vec<Option<Value>> =
                prepared.slots.iter().map(|tree| tree.render(&scope).unwrap()).collect();
            let error = prepared.statement.render(&params).unwrap_err();
            assert_eq!(error.kind(), kind, "{sql}: {error}");
            assert!(error.public().ends_with(says), "{sql}: {error}");
        }
    }
}
