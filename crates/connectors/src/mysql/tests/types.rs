//! Types to JSON and back, as docs/reference/mysql-types.md says.

use proptest::{prelude::*, test_runner::TestRunner};
use renkei_core::Value;

use super::Shop;

/// Every row of the table in docs/reference/mysql-types.md.
#[tokio::test]
async fn every_type_has_its_json() {
    let shop = Shop::new("", "").await;
    for (column, literal, expected) in [
        ("tinyint", "-128", "-128"),
        ("tinyint unsigned", "255", "255"),
        ("smallint", "-32768", "-32768"),
        ("mediumint unsigned", "16777215", "16777215"),
        ("int", "-2147483648", "-2147483648"),
        ("int unsigned zerofill", "7", "7"),
        ("bigint", "-9223372036854775808", "-9223372036854775808"),
        ("bigint unsigned", "18446744073709551615", "18446744073709551615"),
        ("boolean", "true", "true"),
        ("tinyint(1)", "0", "false"),
        ("tinyint(1)", "7", "7"),
        ("decimal(30,10)", "-12345678901234567890.5", r#""-12345678901234567890.5000000000""#),
        ("decimal(5)", "0", r#""0""#),
        ("float", "0.1", "0.1"),
        ("float", "3.4e38", "3.4e38"),
        ("double", "0.1", "0.1"),
        ("double", "-1.7976931348623157e308", "-1.7976931348623157e308"),
        ("bit(1)", "b'1'", "1"),
        (
            "bit(64)",
            "b'1111111111111111111111111111111111111111111111111111111111111111'",
            "18446744073709551615",
        ),
        ("char(5)", "'ab'", r#""ab""#),
        ("varchar(20)", "'ä 😀 \"\\\\'", r#""ä 😀 \"\\""#),
        ("varchar(20) character set latin1", "'ä'", r#""ä""#),
        ("text", "''", r#""""#),
        ("longtext", "'x'", r#""x""#),
        ("binary(3)", "'a'", r#""YQAA""#),
        ("varbinary(9)", "x'00ff10'", r#""AP8Q""#),
        ("blob", "x'00ff10'", r#""AP8Q""#),
        ("longblob", "''", r#""""#),
        ("date", "'2026-01-31'", r#""2026-01-31""#),
        ("date", "'0000-00-00'", r#""0000-00-00""#),
        ("date", "'2026-00-00'", r#""2026-00-00""#),
        ("time", "'-12:34:56'", r#""-12:34:56""#),
        ("time(3)", "'838:59:58.999'", r#""838:59:58.999""#),
        ("time", "0", r#""00:00:00""#),
        ("datetime", "'2026-01-31 10:00:00'", r#""2026-01-31T10:00:00""#),
        ("datetime(6)", "'2026-01-31 10:00:00.000100'", r#""2026-01-31T10:00:00.000100""#),
        ("datetime", "'0000-00-00 00:00:00'", r#""0000-00-00T00:00:00""#),
        ("timestamp", "'2026-01-31 10:00:00'", r#""2026-01-31T10:00:00Z""#),
        ("timestamp(3)", "'2026-01-31 10:00:00.5'", r#""2026-01-31T10:00:00.500Z""#),
        ("year", "2026", "2026"),
        ("enum('small','large')", "'large'", r#""large""#),
        ("set('a','b','c')", "'a,c'", r#""a,c""#),
        ("json", "'{\"b\": 1.10, \"a\": [true]}'", r#""{\"b\": 1.10, \"a\": [true]}""#),
        ("uuid", "'123E4567-e89b-12d3-a456-426655440000'", r#""123e4567-e89b-12d3-a456-426655440000""#),
        ("inet6", "'2001:DB8::1'", r#""2001:db8::1""#),
        ("inet4", "'10.0.0.1'", r#""10.0.0.1""#),
        ("point", "point(1, 2)", r#""AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA==""#),
        ("int", "null", "null"),
    ] {
        shop.server.admin(&format!(
            "set sql_mode = ''; set time_zone = '+00:00'; drop table if exists t; create table t (v {column}); insert into t values ({literal})"
        ));
        assert_eq!(
            shop.get("select v from t", "{}").await,
            format!(r#"[{{"v":{expected}}}]"#),
            "{column} {literal}"
        );
    }
    // Of expressions, too.
    for (expression, expected) in [
        ("1 + 1", "2"),
        ("1 = 1", "1"),
        ("1.50", r#""1.50""#),
        ("1e0 / 3", "0.3333333333333333"),
        ("concat('a', 1)", r#""a1""#),
        ("count(*)", "1"),
        ("sum(1)", r#""1""#),
        ("cast('2026-01-31 10:00:00.5' as datetime(6))", r#""2026-01-31T10:00:00.500000""#),
        ("x'ff'", r#""/w==""#),
        ("null", "null"),
        ("uuid() like '%-%'", "1"),
        ("st_astext(point(1, 2))", r#""POINT(1 2)""#),
    ] {
        let sql = format!("select {expression} as v from t");
        assert_eq!(shop.get(&sql, "{}").await, format!(r#"[{{"v":{expected}}}]"#), "{expression}");
    }
}

/// A type of column, and the values that go in and come back the same.
struct Type {
    column: &'static str,
    /// The argument's schema.
    argument: &'static str,
    /// How a value is written, and how it is compared.
    value: &'static str,
    values: BoxedStrategy<Value>,
    /// Whether equal values are found by `=`.
    compared: bool,
}

fn number(digits: String) -> Value {
    Value::from_json(digits.as_bytes()).expect("digits are a number")
}

fn of<T: std::fmt::Debug + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
    to: fn(T) -> Value,
) -> BoxedStrategy<Value> {
    strategy.prop_map(to).boxed()
}

/// Without trailing spaces: by the rules of SQL these are no difference to `=`.
fn text(most: usize) -> BoxedStrategy<Value> {
    of(proptest::collection::vec(any::<char>(), 0..most), |chars| {
        chars.into_iter().collect::<String>().into()
    })
}

fn clock(most_hours: i32) -> impl Strategy<Value = String> {
    (0..=most_hours, 0..60, 0..60, 0..1_000_000)
        .prop_map(|(hour, minute, second, micros)| format!("{hour:02}:{minute:02}:{second:02}.{micros:06}"))
}

fn day(years: std::ops::Range<i32>) -> impl Strategy<Value = String> {
    (years, 1..=12, 1..=28).prop_map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"))
}

fn types() -> Vec<Type> {
    const STRING: &str = r#"{"type": "string"}"#;
    const ANY: &str = "{}";
    let plain = |column, values| Type { column, argument: ANY, value: "${.v}", values, compared: true };
    let bytes = |column, most: usize| Type {
        column,
        argument: STRING,
        value: "from_base64(${.v})",
        values: of(proptest::collection::vec(any::<u8>(), 0..most), |bytes| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(bytes).into()
        }),
        compared: true,
    };
    vec![
        plain("tinyint", of(any::<i8>(), |int| i64::from(int).into())),
        plain("tinyint unsigned", of(any::<u8>(), |int| i64::from(int).into())),
        plain("boolean", of(any::<bool>(), Value::from)),
        plain("smallint", of(any::<i16>(), |int| i64::from(int).into())),
        plain("smallint unsigned", of(any::<u16>(), |int| i64::from(int).into())),
        plain("mediumint", of(-8_388_608_i64..8_388_608, Value::from)),
        plain("int", of(any::<i32>(), |int| i64::from(int).into())),
        plain("int unsigned", of(any::<u32>(), |int| i64::from(int).into())),
        plain("bigint", of(any::<i64>(), Value::from)),
        plain("bigint unsigned", of(any::<u64>(), Value::from)),
        plain("decimal(38,10)", of("-?[1-9][0-9]{0,27}\\.[0-9]{9}[1-9]", Value::from)),
        // As a number, too, with all its digits; it comes back as a text.
        Type {
            column: "double",
            argument: ANY,
            value: "${.v}",
            values: of(any::<f64>().prop_filter("finite", |float| float.is_finite()), Value::from),
            compared: true,
        },
        // `=` compares a single with what its digits are as a double.
        Type {
            column: "float",
            argument: ANY,
            value: "${.v}",
            values: of(
                any::<f32>().prop_filter("normal", |float| float.is_normal() || *float == 0.0),
                |float| number(format!("{float:?}").replace("inf", "0").replace("-0.0", "0.0")),
            ),
            compared: false,
        },
        plain("bit(64)", of(any::<u64>(), Value::from)),
        plain("bit(7)", of(0..128_i64, Value::from)),
        plain("char(20)", of("[a-zäß漢😀]{0,20}", Value::from)),
        plain("varchar(200) collate utf8mb4_bin", text(50)),
        plain("text collate utf8mb4_nopad_bin", text(300)),
        plain("longtext collate utf8mb4_bin", text(300)),
        bytes("varbinary(300)", 300),
        bytes("blob", 2_000),
        bytes("longblob", 2_000),
        plain("date", of(day(0..10_000), Value::from)),
        plain(
            "time(6)",
            of((any::<bool>(), clock(837)), |(negative, time)| {
                let zero = time.bytes().all(|byte| matches!(byte, b'0' | b':' | b'.'));
                format!("{}{time}", if negative && !zero { "-" } else { "" }).into()
            }),
        ),
        plain("datetime(6)", of((day(1..10_000), clock(23)), |(day, time)| format!("{day}T{time}").into())),
        Type {
            argument: r#"{"type": "string", "format": "date-time"}"#,
            ..plain(
                "timestamp(6) null",
                of((day(1971..2038), clock(23)), |(day, time)| format!("{day}T{time}Z").into()),
            )
        },
        plain("year", of(1901..2156_i64, Value::from)),
        plain(
            "enum('small','large','1','0')",
            of(proptest::sample::select(vec!["small", "large", "1", "0"]), Value::from),
        ),
        plain("set('a','b','c')", of(proptest::sample::select(vec!["", "a", "a,c", "a,b,c"]), Value::from)),
        // MariaDB keeps the text of JSON as it is.
        plain(
            "json",
            of(any::<Vec<(String, i64)>>(), |members| {
                let map: renkei_core::Map =
                    members.into_iter().map(|(key, int)| (key.into(), int.into())).collect();
                Value::from(Value::from(map).to_json())
            }),
        ),
        plain(
            "uuid",
            of(any::<[u8; 16]>(), |bytes| {
                uuid::Builder::from_random_bytes(bytes).into_uuid().to_string().into()
            }),
        ),
        plain("inet6", of(any::<[u8; 16]>(), |bytes| std::net::Ipv6Addr::from(bytes).to_string().into())),
        plain("inet4", of(any::<[u8; 4]>(), |bytes| std::net::Ipv4Addr::from(bytes).to_string().into())),
    ]
}

/// What a value becomes in a column of its type and back, through the connector, is itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_comes_back() {
    let shop = Shop::new("", "").await;
    let runtime = tokio::runtime::Handle::current();
    for Type { column, argument, value, values, compared } in types() {
        shop.server.admin(&format!("drop table if exists t; create table t (v {column})"));
        let input = format!(r#"{{"type": "object", "properties": {{"v": {argument}}}}}"#);
        let run = |sql: &str, input_value: &Value| {
            let op = super::prepare_for(&*shop.system, sql, &super::json(&input));
            let input = Value::from([("v", input_value.clone())]).to_json();
            let reply = tokio::task::block_in_place(|| {
                runtime.block_on(shop.call().call(&super::context(), &super::request(op, &input)))
            });
            let reply =
                reply.unwrap_or_else(|error| panic!("{column}: {sql} with {input}: {error} {error:?}"));
            reply.value.into_value()
        };
        let mut runner =
            TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() });
        let checked = runner.run(&proptest::option::weighted(0.9, values), |v| {
            let v = Value::from(v);
            run("delete from t", &Value::Null);
            run(&format!("insert into t (v) values ({value})"), &v);
            let back = run("select v from t", &Value::Null);
            prop_assert_eq!(back.to_json(), format!(r#"[{{"v":{}}}]"#, v.to_json()));
            if compared {
                let found = run(&format!("select count(*) as n from t where v <=> {value}"), &v);
                prop_assert_eq!(found.to_json(), r#"[{"n":1}]"#);
            }
            Ok(())
        });
        checked.unwrap_or_else(|why| panic!("{column}: {why}"));
    }
}
