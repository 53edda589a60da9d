//! `choose`: fixed texts where no value can stand.

use renkei_core::{Diagnostics, Kind, Node, NodeKind, Span};

use super::{read_with, text};
use crate::sql::{Choose, dialect::SQLITE};

pub(super) fn choose(by: &str, options: &[(&str, &str)], default: Option<&str>) -> Choose {
    let entry =
        |key: &str, value: Node| renkei_core::Entry { key: key.into(), key_span: Span::default(), value };
    let map = |entries: Vec<renkei_core::Entry>| Node { kind: NodeKind::Map(entries), span: Span::default() };
    let options = map(options.iter().map(|(key, value)| entry(key, text(value))).collect());
    let mut entries = vec![entry("by", text(by)), entry("options", options)];
    entries.extend(default.map(|default| entry("default", text(default))));
    let mut d = Diagnostics::default();
    let choose = renkei_core::FromNode::from_node(&map(entries), &mut d);
    choose.unwrap_or_else(|| panic!("{d:?}"))
}

#[test]
fn a_choice_puts_fixed_texts_where_no_value_can_stand() {
    let order = |default| {
        let options = [("price", "price desc, id -- dearest first"), ("name", "name")];
        choose("${.order}", &options, default)
    };
    let sql = "select a from t where b = ${.b} order by ${choose.order} limit 3";
    let prepared = read_with(sql, &SQLITE, &[("order", order(None))]).unwrap();
    let text = prepared.render(r#"{"order": "price", "b": 1}"#).unwrap().text;
    assert_eq!(text, "select a from t where b = ?1 order by  price desc, id  limit 3");
    for (input, found) in [
        (r#"{"order": "price; drop table t"}"#, "found `price; drop table t`"),
        (r#"{"order": "Price"}"#, "found `Price`"),
        (r#"{"order": ["price"]}"#, "found array"),
        (r#"{"order": null}"#, "found nothing"),
        ("{}", "found nothing"),
    ] {
        let error = prepared.render(input).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        let public = error.public();
        assert!(public.contains(found) && public.contains("the choices are `price`, `name`"), "{public}");
    }
    let prepared = read_with(sql, &SQLITE, &[("order", order(Some("name")))]).unwrap();
    assert!(prepared.render("{}").unwrap().text.contains("order by  name  limit"));

    for (choose, message) in [
        (choose("${.o}", &[], None), "no options"),
        (choose("${.o}", &[("a", "b")], Some("c")), "default `c` is not one"),
        (choose("${.o}", &[("a", "b; drop table t")], None), "holds a `;`"),
        (choose("${.o}", &[("a", "b)")], None), "closes a parenthesis"),
        (choose("${.o}", &[("a", "(b")], None), "opens a parenthesis"),
        (choose("${.o}", &[("a", "'b")], None), "not closed"),
        (choose("${.o}", &[("a", "?")], None), "placeholder"),
        (choose("${.o}", &[("a", " ")], None), "is empty"),
        (choose("${.o}", &[("a", "${.b}")], None), "holds a template"),
    ] {
        let wrong = read_with("select 1 order by ${choose.x}", &SQLITE, &[("x", choose)]).expect_err(message);
        assert!(wrong[0].message.contains(message), "{wrong:?}");
    }
    let wrong =
        read_with("select 1 order by ${choose.ordr}", &SQLITE, &[("order", order(None))]).unwrap_err();
    assert!(wrong[0].hint.contains("${choose.order}"), "{wrong:?}");
    // Not even a choice inside of quotes or as the whole statement.
    for sql in ["select '${choose.order}'", "${choose.order}", "select x${choose.order}"] {
        assert!(read_with(sql, &SQLITE, &[("order", order(None))]).is_err(), "{sql}");
    }
}
