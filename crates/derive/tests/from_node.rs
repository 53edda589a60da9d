//! The derive and the types it meets, on trees written by hand.

use std::{path::PathBuf, sync::Arc, time::Duration};

use indexmap::IndexMap;
use renkei_core::{
    Definitions, Diagnostics, Entry, FromNode, Node, NodeKind, Number, Secret, Span, Value,
    node::Text,
    read::{Bytes, Spanned},
};
use renkei_derive::FromNode;

/// Where it all
/// begins.
#[derive(Debug, FromNode)]
#[config(check = positive)]
struct Server {
    /// Its name.
    name: String,
    #[config(default = "30s")]
    timeout: Duration,
    #[config(default = 5)]
    attempts: u32,
    #[config(default = -2)]
    offset: i64,
    #[config(default = true)]
    loud: bool,
    #[config(default)]
    hosts: Vec<String>,
    body: Option<Bytes>,
    #[config(rename = "type")]
    kind: Option<Kind>,
    auth: Option<Auth>,
    key: Option<Secret>,
    limits: Option<IndexMap<Arc<str>, Spanned<u16>>>,
    path: Option<PathBuf>,
}

fn positive(server: &Server, node: &Node, d: &mut Diagnostics) {
    if server.attempts == 0 {
        d.error(node.span, "attempts must be positive");
    }
}

#[derive(Debug, PartialEq, FromNode)]
enum Kind {
    /// Small.
    SmallOne,
    Large,
}

#[derive(Debug, FromNode)]
#[expect(dead_code, reason = "only read")]
enum Auth {
    None,
    /// A token.
    Bearer(Secret),
    Basic(Basic),
}

#[derive(Debug, FromNode)]
struct Basic {
    user: String,
    password: Secret,
}

fn text(value: &str) -> Node {
    NodeKind::String(Text::new(value)).into_node()
}

fn number(value: i64) -> Node {
    NodeKind::Number(Number::from(value)).into_node()
}

fn map<const N: usize>(entries: [(&str, Node); N]) -> Node {
    let entries = entries.map(|(key, value)| Entry { key: key.into(), key_span: Span::default(), value });
    NodeKind::Map(entries.into()).into_node()
}

trait IntoNode {
    fn into_node(self) -> Node;
}

impl IntoNode for NodeKind {
    fn into_node(self) -> Node {
        Node { kind: self, span: Span::default() }
    }
}

fn read<T: FromNode>(node: &Node) -> Result<T, Vec<String>> {
    let mut d = Diagnostics::default();
    let value = T::from_node(node, &mut d);
    let texts = d.iter().map(|x| match &x.hint {
        Some(hint) => format!("{} | {hint}", x.message),
        None => x.message.clone(),
    });
    let texts: Vec<String> = texts.collect();
    value.filter(|_| texts.is_empty()).ok_or(texts)
}

#[test]
fn reads_defaults_and_values() {
    let server: Server = read(&map([("name", text("shop"))])).unwrap();
    assert_eq!((server.timeout, server.attempts, server.offset), (Duration::from_secs(30), 5, -2));
    assert!(server.loud && server.hosts.is_empty() && server.body.is_none() && server.auth.is_none());

    let server: Server = read(&map([
        ("name", text("shop")),
        ("timeout", text("1m30s")),
        ("body", text("64KB")),
        ("type", text("small_one")),
        ("auth", map([("basic", map([("user", text("a")), ("password", text("hunter22"))]))])),
        ("limits", map([("rows", number(7))])),
        ("hosts", NodeKind::Seq(vec![text("a"), text("b")]).into_node()),
        ("path", text("a/b")),
    ]))
    .unwrap();
    assert_eq!(server.name, "shop");
    assert_eq!(server.timeout, Duration::from_secs(90));
    assert_eq!(server.body, Some(Bytes(64_000)));
    assert_eq!(server.kind, Some(Kind::SmallOne));
    assert_eq!(server.limits.as_ref().unwrap()["rows"].value, 7);
    assert_eq!(server.hosts, ["a", "b"]);
    assert_eq!(server.path, Some("a/b".into()));
    let Some(Auth::Basic(basic)) = &server.auth else { panic!("{server:?}") };
    assert_eq!((basic.user.as_str(), basic.password.expose()), ("a", "hunter22"));
    assert!(server.key.is_none() && !format!("{server:?}").contains("hunter22"));
}

#[test]
fn tells_all_problems_at_once() {
    let node = map([
        ("nmae", text("shop")),
        ("timeout", number(5)),
        ("attempts", text("3")),
        ("loud", text("yes")),
        ("body", text("many")),
        ("type", text("smal_one")),
        ("auth", map([("bearer", text("x")), ("basic", map([]))])),
        ("key", number(123)),
        ("limits", map([("rows", number(70_000))])),
        ("hosts", text("a")),
        ("path", NodeKind::Null.into_node()),
    ]);
    let expected = [
        "unknown key `nmae` | did you mean `name`?",
        "expected a duration such as `250ms`, `5s` or `1m30s`, found the number `5` | add a unit: `5s` for seconds, `5ms` for milliseconds",
        "expected a whole number from 0 to 4294967295, found the text `3` | write it without quotes; a value of the environment is a text, `${env.X | tonumber}` makes it a number",
        "expected `true` or `false`, found the text `yes` | write `true`; in YAML 1.2 only `true` and `false` are flags",
        "expected a list, found a string | put it in brackets, `[ … ]`, or write each item on a line after `- `",
        "`many` is not a size | write a whole number with a unit: `64KB`, `10MB`, `1MiB`; KB, MB and GB are powers of 1000, KiB, MiB and GiB of 1024",
        "unknown word `smal_one` | did you mean `small_one`?",
        "`bearer` and `basic` exclude each other | keep exactly one of `bearer` and `basic`",
        "expected a secret text, found a number | put it in quotes, or better: take it from the environment, '${env.NAME}'",
        "expected a whole number from 0 to 65535, found the number `70000`",
        "expected a text, found nothing | give it a value, or remove the key",
    ];
    assert_eq!(read::<Server>(&node).unwrap_err(), expected);
}

#[test]
fn enums_say_what_fits() {
    let cases = [
        (text("bearer"), "`bearer` needs a value | write `{ bearer: … }`"),
        (map([("none", text("x"))]), "`none` is a word and takes no value | write just `none`"),
        (map([("baerer", text("x"))]), "unknown key `baerer` | did you mean `bearer`?"),
        (map([("baerer", number(7))]), "unknown key `baerer` | did you mean `bearer`?"),
        (map([]), "expected one of the keys `bearer` or `basic`, found an empty mapping"),
        (
            number(7),
            "expected one of the words `none`, or a mapping with one of the keys `bearer` or `basic`, found the number `7`",
        ),
    ];
    for (node, expected) in cases {
        assert_eq!(read::<Auth>(&node).unwrap_err(), [expected]);
    }
    assert_eq!(
        read::<Basic>(&text("x")).unwrap_err(),
        ["expected a mapping with `user` and `password`, found the text `x`"]
    );
}

#[test]
fn a_misspelt_key_is_read_as_what_was_meant() {
    let node = map([("usr", number(7)), ("pass", text("x"))]);
    assert_eq!(
        read::<Basic>(&node).unwrap_err(),
        [
            "unknown key `usr` | did you mean `user`?",
            "unknown key `pass` | allowed here: `user` and `password`",
            "expected a text, found `7` | put it in quotes: `\"7\"`",
            "the key `password` is missing | add `password: …`",
        ]
    );
}

#[test]
fn the_check_runs_when_all_is_known() {
    let node = map([("name", text("x")), ("attempts", number(0))]);
    assert_eq!(read::<Server>(&node).unwrap_err(), ["attempts must be positive"]);
    let node = map([("name", NodeKind::Unknown.into_node()), ("attempts", number(0))]);
    assert!(read::<Server>(&node).is_ok());
}

#[test]
fn unknown_fits_every_type() {
    let unknown = NodeKind::Unknown.into_node();
    assert!(read::<Server>(&unknown).is_ok());
    assert!(read::<Kind>(&unknown).is_ok());
    assert!(read::<Basic>(&unknown).is_ok());
    assert!(read::<url::Url>(&unknown).is_ok());
    assert!(read::<std::net::SocketAddr>(&unknown).is_ok());
    assert!(read::<Bytes>(&unknown).is_ok() && read::<f64>(&unknown).is_ok());
}

#[test]
fn the_schema_is_the_manual() {
    let mut defs = Definitions::default();
    let schema = Server::schema(&mut defs);
    assert_eq!(schema.get("$ref").and_then(Value::as_str), Some("#/$defs/from_node.Server"));
    let server = &defs.map["from_node.Server"];
    assert_eq!(server.get("description").and_then(Value::as_str), Some("Where it all begins."));
    assert_eq!(server.get("required").map(Value::to_json).as_deref(), Some(r#"["name"]"#));
    let property = |name: &str| server.get("properties").and_then(|p| p.get(name)).unwrap().to_json();
    assert_eq!(property("name"), r#"{"type":"string","description":"Its name."}"#);
    assert!(property("timeout").contains(r#""default":"30s""#));
    assert!(property("offset").contains(r#""default":-2"#));
    assert_eq!(property("type"), r##"{"$ref":"#/$defs/from_node.Kind"}"##);
    assert_eq!(
        defs.map["from_node.Kind"].to_json(),
        r#"{"oneOf":[{"const":"small_one","description":"Small."},{"const":"large"}]}"#
    );
    assert_eq!(
        defs.map["from_node.Auth"].get("oneOf").and_then(|v| v.at(1)).unwrap().to_json(),
        r#"{"type":"object","properties":{"bearer":{"type":"string","x-type":"secret","description":"A token."}},"required":["bearer"],"additionalProperties":false}"#
    );
}
