//! A template is any text: it is refused at its place, or it evaluates within its budget, and reads nothing but
//! what it says it reads.

use renkei_core::{
    Diagnostics, Error, Scope, Template, Value,
    template::{Names, Piece, budget, escape, split},
};

use super::text_node;

const NAMES: [&str; 4] = ["x", "profile", "item", "now"];
const INPUT: &str =
    r#"{"a": [1, {"b": "c"}, null, -0.50, 12345678901234567890123], "q": "連携 x,y", "n": 7, "o": {}}"#;

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let node = text_node(text);
    let environment = text.len() % 2 == 0;
    let names = Names { vars: NAMES.map(Into::into).into(), environment, ..Names::default() }.noting();
    let mut d = Diagnostics::default();
    let template = Template::read(&node, &names, &mut d);
    for diagnostic in d.iter() {
        let (start, end) = (diagnostic.span.start as usize, diagnostic.span.end as usize);
        assert!(text.get(start..end).is_some(), "at no place: {diagnostic:?}");
    }
    let Some(template) = template else {
        return assert!(d.has_errors(), "refused without a word");
    };
    split_agrees(text);
    for name in template.vars() {
        let known = NAMES.contains(&&**name) || environment && matches!(&**name, "env" | "file");
        assert!(known, "`{name}` is not in reach");
    }
    let noted = names.noted.list();
    let referred = template.vars().iter().filter(|name| NAMES.contains(&&***name));
    assert!(referred.clone().all(|name| noted.contains(name)), "{noted:?} are not {:?}", template.vars());
    assert_eq!(noted.len(), referred.count(), "{noted:?} are not {:?}", template.vars());

    let all = scope(|_| true);
    let first = template.render(&all);
    // What it does not refer to is no matter.
    let some = scope(|name| template.vars().iter().any(|var| **var == *name));
    assert_same(&first, &template.render(&some));
    if let Ok(Some(value)) = &first {
        let json = value.to_json();
        // The input and a literal come out as they are; what is made has a limit.
        assert!(
            json.len() as u64 <= budget::MAX_OUTPUT_BYTES.max(2 * text.len() as u64),
            "{} bytes",
            json.len()
        );
        let again = Value::from_json(json.as_bytes()).map(|value| value.to_json());
        assert_eq!(again.as_ref(), Ok(&json), "another value after JSON");
    }
}

fn scope(wanted: impl Fn(&str) -> bool) -> Scope {
    let json = |text: &str| Value::from_json(text.as_bytes()).unwrap_or_default();
    let mut scope = Scope::new(json(INPUT));
    for (name, value) in [
        ("x", json(r#"[3, 1, 2, "b", {"k": null}]"#)),
        ("profile", json(r#"{"name": "Ada", "segment": "b2b"}"#)),
        ("item", json("1e400")),
        ("now", "2026-11-22T00:00:00Z".into()),
        ("env", json(r#"{"HOME": "/nowhere"}"#)),
        ("file", json("{}")),
    ] {
        if wanted(name) {
            scope.set(name, value);
        }
    }
    scope
}

/// Equal, and equal errors: nothing in a template depends on when or how often it is evaluated.
fn assert_same(one: &Result<Option<Value>, Error>, other: &Result<Option<Value>, Error>) {
    match (one, other) {
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
        _ => panic!("{one:?} is not {other:?}"),
    }
}

/// The pieces make up the text again, and what is no expression stays a text when it is escaped.
fn split_agrees(text: &str) {
    let pieces = split(&text_node(text), &mut Diagnostics::default()).unwrap_or_default();
    let mut whole = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal { text: literal, .. } => {
                let escaped = text_node(&escape(&literal));
                let read = Template::read(&escaped, &Names::default(), &mut Diagnostics::default());
                let read = read.and_then(|template| template.render(&Scope::default()).ok().flatten());
                assert_eq!(read, Some(literal.as_str().into()), "an escaped text is another one");
                whole += &literal.replace("${", "$${");
            }
            Piece::Expr { source, at } => {
                assert_eq!(text.get(at..at + source.len()), Some(&*source), "stands elsewhere");
                whole += &format!("${{{source}}}");
            }
        }
    }
    assert_eq!(whole, text);
}
