//! Every type there and back: JSON in, the same JSON out. Written and read by the connector on a real server.

use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestRunner};
use renkei_core::{Number, Value};

use super::Shop;

/// How many values of each type.
const CASES: u32 = 48;

type Values = BoxedStrategy<Value>;

fn number(text: String) -> Value {
    Value::Number(Number::parse(&text).unwrap_or_else(|| panic!("{text} is no number")))
}

fn words(words: &[&str]) -> Values {
    let words: Vec<Value> = words.iter().map(|word| Value::from(*word)).collect();
    select(words).boxed()
}

fn text() -> Values {
    prop_oneof![
        4 => "[^\u{0}]{0,20}".prop_map(Value::from),
        1 => select(vec!["", " ", "NULL", "null", "\\", "\"", "'", "{}", "(,)", "a,b", "\n", "😀", "{\"a\":1}"]).prop_map(Value::from),
    ]
    .boxed()
}

fn integers<T: Arbitrary + Into<i64> + 'static>() -> Values {
    any::<T>().prop_map(|int| Value::from(int.into())).boxed()
}

fn numerics() -> Values {
    let fraction =
        ("-?[1-9][0-9]{0,30}", "[0-9]{1,20}").prop_map(|(whole, rest)| format!("{whole}.{rest}").into());
    let whole = "-?[1-9][0-9]{0,40}".prop_map(Value::from);
    let small = "0\\.0{0,12}[0-9]{0,6}[1-9]".prop_map(Value::from);
    prop_oneof![
        fraction,
        whole,
        small,
        words(&["0", "0.00", "NaN", "Infinity", "-Infinity", "10000", "0.0001", "100000000.00"])
    ]
    .boxed()
}

fn doubles() -> Values {
    any::<f64>().prop_filter("JSON has it", |float| float.is_finite()).prop_map(Value::from).boxed()
}

fn reals() -> Values {
    let finite = any::<f32>().prop_filter("JSON has it", |float| float.is_finite());
    // What the shortest digits of the small float mean as a double.
    finite.prop_map(|float| Value::from(float.to_string().parse::<f64>().unwrap())).boxed()
}

fn fraction() -> BoxedStrategy<String> {
    prop_oneof![Just(String::new()), "\\.[0-9]{0,5}[1-9]"].boxed()
}

fn clock() -> BoxedStrategy<String> {
    (0..24, 0..60, 0..60, fraction()).prop_map(|(h, m, s, f)| format!("{h:02}:{m:02}:{s:02}{f}")).boxed()
}

fn day(years: std::ops::Range<i32>) -> BoxedStrategy<String> {
    (years, 1..13, 1..29).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}")).boxed()
}

fn dates() -> Values {
    prop_oneof![
        4 => day(1..9999).prop_map(Value::from),
        1 => day(9999..5_000_000).prop_map(Value::from),
        1 => day(1..4700).prop_map(|day| format!("{day} BC").into()),
        1 => words(&["infinity", "-infinity", "2024-02-29", "2000-02-29", "1900-02-28", "1999-12-31", "2000-01-01"]),
    ]
    .boxed()
}

fn timestamps(zone: &'static str) -> Values {
    prop_oneof![
        4 => (day(1..9999), clock()).prop_map(move |(day, clock)| format!("{day}T{clock}{zone}").into()),
        1 => (day(9999..290_000), clock()).prop_map(move |(day, clock)| format!("{day}T{clock}{zone}").into()),
        1 => (day(1..4700), clock()).prop_map(move |(day, clock)| format!("{day}T{clock}{zone} BC").into()),
        1 => words(&["infinity", "-infinity"]),
    ]
    .boxed()
}

fn times() -> Values {
    prop_oneof![clock().prop_map(Value::from), words(&["00:00:00", "24:00:00"])].boxed()
}

fn zoned_times() -> Values {
    let zone = (select(vec!['+', '-']), 0..15, 1..60).prop_map(|(sign, h, m)| format!("{sign}{h:02}:{m:02}"));
    let zone = prop_oneof![zone, Just("+00:00".to_owned()), Just("+01:02:03".to_owned())];
    (clock(), zone).prop_map(|(clock, zone)| format!("{clock}{zone}").into()).boxed()
}

fn part(range: std::ops::Range<i64>, unit: &'static str) -> BoxedStrategy<String> {
    range.prop_map(move |number| if number == 0 { String::new() } else { format!("{number}{unit}") }).boxed()
}

fn intervals() -> Values {
    let days = (part(-1000..1000, "Y"), part(0..12, "M"), part(-1000..1000, "D"))
        // Months are kept as one number, with one sign.
        .prop_map(|(y, m, d)| (if y.starts_with('-') { y } else { y + &m }) + &d);
    let time =
        (part(0..1000, "H"), part(0..60, "M"), part(0..60, ""), fraction()).prop_map(|(h, m, s, f)| {
            let seconds = match (s.is_empty(), f.is_empty()) {
                (true, true) => String::new(),
                (true, false) => format!("0{f}S"),
                (false, _) => format!("{s}{f}S"),
            };
            format!("{h}{m}{seconds}")
        });
    let whole = (days, time).prop_map(|(days, time)| match (days.is_empty(), time.is_empty()) {
        (true, true) => "PT0S".into(),
        (_, true) => format!("P{days}").into(),
        _ => Value::from(format!("P{days}T{time}")),
    });
    prop_oneof![4 => whole, 1 => words(&["PT-1H-2M-3.5S", "P-1Y-2M", "P1DT-0.000001S", "PT2562047788H54.775807S"])].boxed()
}

fn json_values() -> Values {
    // `jsonb` orders keys by length and bytes; so do these.
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(number("1.50".into())),
        Just(number("123456789012345678901234567890".into())),
        text(),
    ];
    let tree = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            (inner.clone(), inner).prop_map(|(a, bc)| Value::from([("a", a), ("bc", bc)])),
        ]
    });
    // A JSON null alone is the null of SQL.
    tree.prop_filter("no null", |value| !value.is_null()).boxed()
}

fn base64() -> Values {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    vec(any::<u8>(), 0..40).prop_map(|bytes| Value::from(STANDARD.encode(bytes))).boxed()
}

fn uuids() -> Values {
    any::<u128>().prop_map(|bits| Value::from(uuid::Uuid::from_u128(bits).to_string())).boxed()
}

fn v4() -> BoxedStrategy<String> {
    any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from(bits).to_string()).boxed()
}

fn inets() -> Values {
    let v6 = any::<u128>().prop_map(|bits| std::net::Ipv6Addr::from(bits).to_string());
    prop_oneof![
        v4().prop_map(Value::from),
        (v4(), 0..32).prop_map(|(address, bits)| format!("{address}/{bits}").into()),
        (v6.clone(), 0..128).prop_map(|(address, bits)| format!("{address}/{bits}").into()),
        v6.prop_map(Value::from),
        words(&["::", "::1", "::ffff:1.2.3.4", "2001:db8::1", "fe80::1:0:0:1"]),
    ]
    .boxed()
}

fn cidrs() -> Values {
    let v4 = (any::<u32>(), 1u32..=32).prop_map(|(bits, width)| {
        format!("{}/{width}", std::net::Ipv4Addr::from(bits >> (32 - width) << (32 - width))).into()
    });
    prop_oneof![v4, words(&["0.0.0.0/0", "::/0", "2001:db8::/32", "::1/128"])].boxed()
}

fn macs(bytes: usize) -> Values {
    vec(any::<u8>(), bytes)
        .prop_map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":").into())
        .boxed()
}

fn bits(count: impl Into<proptest::collection::SizeRange>) -> Values {
    vec(select(vec!['0', '1']), count)
        .prop_map(|bits| Value::from(bits.into_iter().collect::<String>()))
        .boxed()
}

fn arrays(of: &Values) -> Values {
    let null = prop_oneof![4 => of.clone(), 1 => Just(Value::Null)];
    let flat = vec(null.clone(), 0..5).prop_map(Value::from);
    // All of one length, as the server wants it.
    let square = (1usize..4, 1usize..4).prop_flat_map(move |(outer, inner)| {
        vec(vec(null.clone(), inner).prop_map(Value::from), outer).prop_map(Value::from)
    });
    prop_oneof![flat, square].boxed()
}

fn flat_arrays(of: &Values) -> Values {
    vec(of.clone(), 0..5).prop_map(Value::from).boxed()
}

/// Ranges of whole things, as the server normalises them.
fn ranges<T: Ord + Clone + std::fmt::Debug + 'static>(
    of: impl Strategy<Value = T> + Clone + 'static,
    to: fn(T) -> Value,
) -> Values {
    let two = (of.clone(), of.clone())
        .prop_filter("not empty", |(lower, upper)| lower != upper)
        .prop_map(move |(a, b)| (to(a.clone().min(b.clone())), to(a.max(b))));
    let range = |lower: Value, upper: Value, bounds: &str| {
        Value::from([("lower", lower), ("upper", upper), ("bounds", bounds.into())])
    };
    prop_oneof![
        4 => two.prop_map(move |(lower, upper)| range(lower, upper, "[)")),
        1 => of.clone().prop_map(move |lower| range(to(lower), Value::Null, "[)")),
        1 => of.prop_map(move |upper| range(Value::Null, to(upper), "()")),
        1 => Just(range(Value::Null, Value::Null, "()")),
        1 => Just(Value::from([("empty", true)])),
    ]
    .boxed()
}

fn whole_ranges() -> Values {
    ranges(-1000i64..1000, Value::from)
}

fn multiranges() -> Values {
    // Apart from each other and in order: so the server keeps them.
    vec((1i64..20, 1i64..20), 0..5)
        .prop_map(|steps| {
            let mut at = -50;
            let ranges = steps.into_iter().map(|(gap, length)| {
                let lower = at + gap;
                at = lower + length;
                Value::from([("lower", Value::from(lower)), ("upper", at.into()), ("bounds", "[)".into())])
            });
            ranges.collect::<Vec<_>>().into()
        })
        .boxed()
}

fn addresses() -> Values {
    let null_or = |of: Values| prop_oneof![3 => of, 1 => Just(Value::Null)];
    (null_or(text()), null_or(integers::<i32>()), null_or(flat_arrays(&text())))
        .prop_map(|(street, number, tags)| {
            Value::from([("street", street), ("number", number), ("tags", tags)])
        })
        .boxed()
}

const SCHEMA: &str = "
    create type mood as enum ('sad', 'ok', 'so \"happy\"', 'a,b');
    create type address as (street text, number integer, tags text[]);
    create type person as (name text, home address, moods mood[]);
    create domain positive as integer check (value > 0);
    create domain addresses as address[];
    create extension hstore; create extension citext; create extension ltree;
";

/// Every type with values that it gives back as they were.
fn types() -> Vec<(&'static str, Values)> {
    let moods = words(&["sad", "ok", "so \"happy\"", "a,b"]);
    let person = (text(), addresses(), flat_arrays(&moods))
        .prop_map(|(name, home, moods)| Value::from([("name", name), ("home", home), ("moods", moods)]))
        .boxed();
    let name = "[a-z ]{1,30}".prop_map(Value::from).boxed();
    vec![
        ("boolean", any::<bool>().prop_map(Value::from).boxed()),
        ("smallint", integers::<i16>()),
        ("integer", integers::<i32>()),
        ("bigint", integers::<i64>()),
        ("oid", integers::<u32>()),
        ("numeric", numerics()),
        ("numeric(12,2)", "-?[1-9][0-9]{0,9}\\.[0-9]{2}".prop_map(Value::from).boxed()),
        ("real", reals()),
        ("double precision", doubles()),
        ("text", text()),
        ("varchar(40)", text()),
        ("char(5)", "[a-z]{5}".prop_map(Value::from).boxed()),
        ("name", name),
        ("\"char\"", "[a-zA-Z]".prop_map(Value::from).boxed()),
        ("bytea", base64()),
        ("date", dates()),
        ("time", times()),
        ("timetz", zoned_times()),
        ("timestamp", timestamps("")),
        ("timestamptz", timestamps("Z")),
        ("interval", intervals()),
        ("json", json_values()),
        ("jsonb", json_values()),
        ("uuid", uuids()),
        ("inet", inets()),
        ("cidr", cidrs()),
        ("macaddr", macs(6)),
        ("macaddr8", macs(8)),
        ("bit(11)", bits(11)),
        ("bit varying", bits(0..40)),
        ("xml", "<a b=\"[a-z]{0,8}\">[a-z ]{0,8}</a>".prop_map(Value::from).boxed()),
        ("money", "\\$[1-9][0-9]{0,2}\\.[0-9]{2}".prop_map(Value::from).boxed()),
        ("tsvector", "'[a-z]{1,8}'(:[1-9][AB]?)?".prop_map(Value::from).boxed()),
        ("citext", text()),
        ("ltree", "[a-z]{1,5}(\\.[a-z]{1,5}){0,3}".prop_map(Value::from).boxed()),
        ("hstore", "\"[a-z]{1,5}\"=>\"[a-z,]{0,5}\"".prop_map(Value::from).boxed()),
        ("mood", moods.clone()),
        ("positive", (1i64..i64::from(i32::MAX)).prop_map(Value::from).boxed()),
        ("address", addresses()),
        ("person", person),
        ("addresses", flat_arrays(&addresses())),
        ("integer[]", arrays(&integers::<i32>())),
        ("text[]", arrays(&text())),
        ("numeric[]", arrays(&numerics())),
        ("boolean[]", arrays(&any::<bool>().prop_map(Value::from).boxed())),
        ("bytea[]", arrays(&base64())),
        ("timestamptz[]", arrays(&timestamps("Z"))),
        ("interval[]", arrays(&intervals())),
        ("uuid[]", arrays(&uuids())),
        ("jsonb[]", flat_arrays(&json_values())),
        ("mood[]", arrays(&moods)),
        ("address[]", flat_arrays(&addresses())),
        ("int4range", whole_ranges()),
        ("int8range", whole_ranges()),
        ("numrange", ranges(-1000i64..1000, |int| int.to_string().into())),
        ("daterange", ranges(day(1000..3000), Value::from)),
        (
            "tsrange",
            ranges((day(1000..3000), clock()).prop_map(|(day, clock)| format!("{day}T{clock}")), Value::from),
        ),
        (
            "tstzrange",
            ranges(
                (day(1000..3000), clock()).prop_map(|(day, clock)| format!("{day}T{clock}Z")),
                Value::from,
            ),
        ),
        ("int4range[]", flat_arrays(&whole_ranges())),
        ("int4multirange", multiranges()),
        ("int8multirange", multiranges()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_type_comes_back_as_it_was() {
    let shop = Shop::new(SCHEMA, "").await;
    let mut wrong = Vec::new();
    let types = types();
    let tables: Vec<String> =
        types.iter().enumerate().map(|(at, (kind, _))| format!("create table t{at} (v {kind})")).collect();
    shop.direct(&tables.join(";"));
    for (at, (kind, values)) in types.into_iter().enumerate() {
        let insert = shop.request(&format!("insert into t{at} values (${{.v}})"), "{}").op;
        let select = shop.request(&format!(r#"{{"sql": "select v from t{at}", "one": true}}"#), "{}").op;
        let clear = shop.request(&format!("delete from t{at}"), "{}").op;
        let (shop, insert, select, clear) = (&shop, &insert, &select, &clear);
        let there_and_back = |value: Value| async move {
            let run = async |op: &std::sync::Arc<renkei_core::PreparedOp>, input: &Value| {
                let scope = renkei_core::Scope::new(input.clone());
                let params: Vec<_> = op.slots.iter().map(|slot| slot.render(&scope).unwrap()).collect();
                let (op, params, effect) = (op.clone(), params.into(), op.effect);
                let vars = Default::default();
                let request = renkei_core::Request { op, params, effect, key: None, vars, page: None };
                shop.call().call(&super::context(), &request).await
            };
            run(clear, &Value::object()).await?;
            run(insert, &Value::from([("v", value)])).await?;
            let row = run(select, &Value::object()).await?.value.into_value();
            Ok::<_, renkei_core::Error>(row.get("v").cloned().unwrap_or_default())
        };
        let config = ProptestConfig { cases: CASES, failure_persistence: None, ..Default::default() };
        let values = prop_oneof![20 => values, 1 => Just(Value::Null)];
        let checked = TestRunner::new(config).run(&values, |value| {
            let back = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(there_and_back(value.clone()))
            });
            match back {
                Ok(back) => prop_assert_eq!(back.to_json(), value.to_json()),
                Err(error) => prop_assert!(false, "{}: {} {:?}", value.to_json(), error, error),
            }
            Ok(())
        });
        wrong.extend(checked.err().map(|why| format!("{kind}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
