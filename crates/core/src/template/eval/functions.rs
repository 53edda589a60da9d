//! The allow-list: every function that templates have, and why others are missing.

use super::{
    Env, Expr, Flow, Item, Machine, Out, arrays, dates, formats,
    generators::{self, Native},
    numbers, objects, path_functions, paths, regex, search, strings, update, walk,
};
use crate::{
    Value,
    template::{budget::MAX_VALUE_DEPTH, expr::Format},
};

#[derive(Debug)]
pub(in crate::template) struct Builtin {
    pub(super) name: &'static str,
    arity: usize,
    pub(super) run: Run,
    /// Whether it has at most one output, if its arguments have.
    pub(in crate::template) single: bool,
    /// Whether it has one output however many its arguments have.
    pub(in crate::template) collects: bool,
    /// Where its first argument is a regular expression: which one holds the flags.
    pub(super) regex_flags: Option<usize>,
}

/// How it is run; the arguments of values come in all combinations.
#[derive(Clone, Copy, Debug)]
pub(super) enum Run {
    Value(Function),
    Value1(Function1),
    Value2(Function2),
    Native(Native),
}

type Function = fn(&mut Machine<'_>, Value) -> Flow<Value>;
type Function1 = fn(&mut Machine<'_>, Value, Value) -> Flow<Value>;
type Function2 = fn(&mut Machine<'_>, Value, Value, Value) -> Flow<Value>;

/// The function of this name with so many arguments.
pub(in crate::template) fn find(name: &str, arity: usize) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name && builtin.arity == arity)
}

pub(in crate::template) fn format(format: Format) -> Option<&'static Builtin> {
    let (name, _) = Format::ALL.iter().find(|(_, known)| *known == format)?;
    FORMATS.iter().find(|builtin| builtin.name == *name)
}

pub(in crate::template) fn names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().map(|builtin| builtin.name)
}

/// Every name with a number of arguments.
#[cfg(test)]
pub(in crate::template) fn all() -> impl Iterator<Item = (&'static str, usize)> {
    BUILTINS.iter().map(|builtin| (builtin.name, builtin.arity))
}

pub(in crate::template) fn arities(name: &str) -> Vec<usize> {
    BUILTINS.iter().filter(|builtin| builtin.name == name).map(|builtin| builtin.arity).collect()
}

/// Why a function of jq is not there, if it is one of those.
pub(in crate::template) fn refused(name: &str, arity: usize) -> Option<&'static str> {
    Some(match (name, arity) {
        ("recurse", 1 | 2) | ("repeat" | "until" | "while", _) => {
            "it may run for ever; use `..`, `range`, `limit`, `reduce` or `foreach`"
        }
        ("halt" | "halt_error", _) => "it would end the process; `error(\"…\")` fails this template only",
        ("input" | "inputs" | "input_filename" | "input_line_number", _) => "there is one input, `.`",
        ("debug" | "stderr", _) => "it would write values, secrets among them, to the log",
        ("now", 0) => "use `$now`, which stays the same for the whole run: `$now | fromdate`",
        ("localtime" | "strflocaltime", _) => "all dates are in UTC; use `gmtime` and `strftime`",
        ("get_search_list" | "modulemeta" | "import" | "include", _) => "there are no modules",
        _ => return None,
    })
}

const fn builtin(name: &'static str, arity: usize, run: Run) -> Builtin {
    Builtin { name, arity, run, single: true, collects: false, regex_flags: None }
}

const fn v0(name: &'static str, function: Function) -> Builtin {
    builtin(name, 0, Run::Value(function))
}

const fn v1(name: &'static str, function: Function1) -> Builtin {
    builtin(name, 1, Run::Value1(function))
}

const fn v2(name: &'static str, function: Function2) -> Builtin {
    builtin(name, 2, Run::Value2(function))
}

/// At most one output, if the arguments have.
const fn single(name: &'static str, arity: usize, native: Native) -> Builtin {
    builtin(name, arity, Run::Native(native))
}

/// One output, whatever the arguments have.
const fn collects(name: &'static str, arity: usize, native: Native) -> Builtin {
    Builtin { collects: true, ..builtin(name, arity, Run::Native(native)) }
}

/// Any number of outputs.
const fn many(name: &'static str, arity: usize, native: Native) -> Builtin {
    Builtin { single: false, ..builtin(name, arity, Run::Native(native)) }
}

impl Builtin {
    const fn regex(self, flags: usize) -> Self {
        Builtin { regex_flags: Some(flags), ..self }
    }
}

type Args<'a> = &'a [Expr];

/// Passes on values of some kind.
macro_rules! kind {
    ($name:literal, $is:expr) => {
        single($name, 0, |m, _, _, item, out| generators::keep(m, item, out, $is))
    };
}

macro_rules! float {
    ($name:literal, $function:expr) => {
        v0($name, |m, value| numbers::apply(m, &value, $function))
    };
}

macro_rules! float2 {
    ($name:literal, $function:expr) => {
        v2($name, |m, _, a, b| numbers::apply2(m, &a, &b, $function))
    };
}

macro_rules! quantify {
    ($name:literal, $end:literal, $arity:literal, $source:expr, $condition:expr) => {
        collects($name, $arity, |m, args, env, item, out| {
            let (source, condition): (fn(Args<'_>) -> Option<&Expr>, fn(Args<'_>) -> Option<&Expr>) =
                ($source, $condition);
            generators::quantify(m, source(args), condition(args), $end, (env, item), out)
        })
    };
}

fn is_number(value: &Value, is: fn(f64) -> bool) -> Flow<Value> {
    Ok(is(numbers::number(value)?.as_f64()).into())
}

fn not<'s>(m: &mut Machine<'s>, _: Args<'_>, _: Env<'_>, item: Item, out: Out<'_, 's>) -> Flow {
    let value = (!super::order::truthy(&item.value)).into();
    out(m, item.computed(value))
}

fn add_all<'s>(m: &mut Machine<'s>, _: Args<'_>, _: Env<'_>, item: Item, out: Out<'_, 's>) -> Flow {
    let items = generators::children(m, &item.value)?;
    let sum = arrays::add(m, items)?;
    out(m, item.computed(sum))
}

fn all_combinations<'s>(m: &mut Machine<'s>, _: Args<'_>, _: Env<'_>, item: Item, out: Out<'_, 's>) -> Flow {
    let lists = generators::children(m, &item.value)?;
    let lists = lists.iter().map(|list| generators::children(m, list)).collect::<Flow<Vec<_>>>()?;
    generators::combinations(m, &lists, &item, out)
}

fn delpaths(m: &mut Machine<'_>, value: Value, all: Value) -> Flow<Value> {
    let all = arrays::array(all)?;
    let all = all.iter().map(|path| Ok(paths::path_of(path.clone())?.to_vec())).collect::<Flow<Vec<_>>>()?;
    update::delete_all(m, value, all)
}

fn setpath(m: &mut Machine<'_>, value: Value, path: Value, new: Value) -> Flow<Value> {
    let path = paths::path_of(path)?;
    update::set(m, value, &path, new)
}

fn position(m: &mut Machine<'_>, value: Value, part: Value, last: bool) -> Flow<Value> {
    let found = search::indices(m, value, part)?;
    let found = found.as_array().and_then(|all| if last { all.last() } else { all.first() });
    Ok(found.cloned().unwrap_or_default())
}

static FORMATS: [Builtin; 10] = [
    v0("@text", |m, value| formats::apply(m, value, Format::Text)),
    v0("@json", |m, value| formats::apply(m, value, Format::Json)),
    v0("@csv", |m, value| formats::apply(m, value, Format::Csv)),
    v0("@tsv", |m, value| formats::apply(m, value, Format::Tsv)),
    v0("@html", |m, value| formats::apply(m, value, Format::Html)),
    v0("@uri", |m, value| formats::apply(m, value, Format::Uri)),
    v0("@urid", |m, value| formats::apply(m, value, Format::UriDecode)),
    v0("@sh", |m, value| formats::apply(m, value, Format::Sh)),
    v0("@base64", |m, value| formats::apply(m, value, Format::Base64)),
    v0("@base64d", |m, value| formats::apply(m, value, Format::Base64Decode)),
];

static BUILTINS: &[Builtin] = &[
    // Flow
    single("empty", 0, generators::empty),
    single("error", 0, generators::error),
    single("error", 1, generators::error),
    single("not", 0, not),
    v0("true", |_, _| Ok(true.into())),
    v0("false", |_, _| Ok(false.into())),
    v0("null", |_, _| Ok(Value::Null)),
    single("select", 1, generators::select),
    many("recurse", 0, |m, _, _, item, out| generators::recurse(m, item, 0, out)),
    collects("first", 1, generators::first_of),
    collects("last", 1, generators::last_of),
    many("nth", 2, generators::nth_of),
    many("limit", 2, generators::limit),
    many("skip", 2, generators::skip),
    many("range", 1, generators::range),
    many("range", 2, generators::range),
    many("range", 3, generators::range),
    collects("isempty", 1, generators::isempty),
    collects("isvalid", 1, generators::isvalid),
    quantify!("any", true, 0, |_| None, |_| None),
    quantify!("any", true, 1, |_| None, |args| args.first()),
    quantify!("any", true, 2, |args| args.first(), |args| args.get(1)),
    quantify!("all", false, 0, |_| None, |_| None),
    quantify!("all", false, 1, |_| None, |args| args.first()),
    quantify!("all", false, 2, |args| args.first(), |args| args.get(1)),
    collects("IN", 1, generators::is_in),
    collects("IN", 2, generators::is_in),
    // Kinds
    v0("type", |_, value| Ok(value.type_name().into())),
    kind!("values", |value| !value.is_null()),
    kind!("nulls", Value::is_null),
    kind!("booleans", |value| value.as_bool().is_some()),
    kind!("numbers", |value| matches!(value, Value::Number(_))),
    kind!("strings", |value| matches!(value, Value::String(_))),
    kind!("arrays", |value| matches!(value, Value::Array(_))),
    kind!("objects", |value| matches!(value, Value::Object(_))),
    kind!("iterables", |value| matches!(value, Value::Array(_) | Value::Object(_))),
    kind!("scalars", |value| !matches!(value, Value::Array(_) | Value::Object(_))),
    kind!("finites", |value| value.as_f64().is_some_and(f64::is_finite)),
    kind!("normals", |value| value.as_f64().is_some_and(f64::is_normal)),
    // Numbers
    v0("infinite", |m, _| Ok(m.number(f64::INFINITY))),
    v0("nan", |m, _| Ok(m.number(f64::NAN))),
    v0("isinfinite", |_, value| is_number(&value, f64::is_infinite)),
    v0("isnan", |_, value| is_number(&value, f64::is_nan)),
    v0("isnormal", |_, value| is_number(&value, f64::is_normal)),
    v0("have_literal_numbers", |_, _| Ok(true.into())),
    v0("abs", numbers::abs),
    v0("fabs", numbers::abs),
    v0("floor", |m, value| numbers::round(m, value, f64::floor)),
    v0("ceil", |m, value| numbers::round(m, value, f64::ceil)),
    v0("round", |m, value| numbers::round(m, value, f64::round)),
    v0("trunc", |m, value| numbers::round(m, value, f64::trunc)),
    v0("rint", |m, value| numbers::round(m, value, f64::round_ties_even)),
    v0("nearbyint", |m, value| numbers::round(m, value, f64::round_ties_even)),
    float!("sqrt", f64::sqrt),
    float!("cbrt", f64::cbrt),
    float!("exp", f64::exp),
    float!("exp2", f64::exp2),
    float!("exp10", |x| 10_f64.powf(x)),
    float!("log", f64::ln),
    float!("log2", f64::log2),
    float!("log10", f64::log10),
    float!("sin", f64::sin),
    float!("cos", f64::cos),
    float!("tan", f64::tan),
    float!("asin", f64::asin),
    float!("acos", f64::acos),
    float!("atan", f64::atan),
    float2!("pow", f64::powf),
    float2!("atan2", f64::atan2),
    float2!("fmin", f64::min),
    float2!("fmax", f64::max),
    float2!("fmod", |a, b| a % b),
    // Conversions
    v0("tostring", strings::tostring),
    v0("tonumber", strings::tonumber),
    v0("toboolean", strings::toboolean),
    v0("tojson", strings::tojson),
    v0("fromjson", strings::fromjson),
    v0("toarray", arrays::to_array),
    // Strings
    v0("utf8bytelength", |_, value| Ok(strings::text(&value)?.len().into())),
    v0("ascii_downcase", |m, value| strings::change(m, &value, str::to_ascii_lowercase)),
    v0("ascii_upcase", |m, value| strings::change(m, &value, str::to_ascii_uppercase)),
    v0("trim", |m, value| strings::change(m, &value, |text| text.trim().to_owned())),
    v0("ltrim", |m, value| strings::change(m, &value, |text| text.trim_start().to_owned())),
    v0("rtrim", |m, value| strings::change(m, &value, |text| text.trim_end().to_owned())),
    v1("startswith", |m, value, part| {
        strings::compare_ends(m, &value, &part, |text, part| text.starts_with(part))
    }),
    v1("endswith", |m, value, part| {
        strings::compare_ends(m, &value, &part, |text, part| text.ends_with(part))
    }),
    v1("ltrimstr", |m, value, off| {
        strings::cut(m, value, &off, |text, off| text.strip_prefix(off).map(str::to_owned))
    }),
    v1("rtrimstr", |m, value, off| {
        strings::cut(m, value, &off, |text, off| text.strip_suffix(off).map(str::to_owned))
    }),
    v1("trimstr", |m, value, off| {
        strings::cut(m, value, &off, |text, off| {
            let rest = text.strip_prefix(off).unwrap_or(text);
            Some(rest.strip_suffix(off).unwrap_or(rest).to_owned())
        })
    }),
    v1("split", strings::split),
    v1("join", arrays::join),
    v0("explode", strings::explode),
    v0("implode", strings::implode),
    v0("ascii", |m, value| {
        let code = m.array(vec![value])?;
        strings::implode(m, code)
    }),
    // Regular expressions
    collects("test", 1, regex::test).regex(1),
    single("test", 2, regex::test).regex(1),
    many("match", 1, regex::matches).regex(1),
    many("match", 2, regex::matches).regex(1),
    many("capture", 1, regex::capture).regex(1),
    many("capture", 2, regex::capture).regex(1),
    many("scan", 1, regex::scan).regex(1),
    many("scan", 2, regex::scan).regex(1),
    single("split", 2, regex::split).regex(1),
    many("splits", 1, regex::splits).regex(1),
    many("splits", 2, regex::splits).regex(1),
    many("sub", 2, |m, args, env, item, out| regex::substitute(m, args, false, (env, item), out)).regex(2),
    many("sub", 3, |m, args, env, item, out| regex::substitute(m, args, false, (env, item), out)).regex(2),
    many("gsub", 2, |m, args, env, item, out| regex::substitute(m, args, true, (env, item), out)).regex(2),
    many("gsub", 3, |m, args, env, item, out| regex::substitute(m, args, true, (env, item), out)).regex(2),
    // Arrays
    v0("length", objects::length),
    collects("map", 1, arrays::map),
    collects("map_values", 1, walk::map_values),
    collects("add", 0, add_all),
    collects("add", 1, arrays::add_of),
    single("first", 0, |m, _, _, item, out| generators::element(m, &item, 0, out)),
    single("last", 0, |m, _, _, item, out| generators::element(m, &item, -1, out)),
    single("nth", 1, generators::nth),
    v0("reverse", arrays::reverse),
    v0("sort", arrays::sort),
    collects("sort_by", 1, arrays::sort_by),
    collects("group_by", 1, arrays::group_by),
    v0("unique", arrays::unique),
    collects("unique_by", 1, arrays::unique_by),
    v0("min", |m, value| arrays::min_max(m, value, false)),
    v0("max", |m, value| arrays::min_max(m, value, true)),
    collects("min_by", 1, |m, args, env, item, out| arrays::min_max_by(m, &args[0], false, (env, item), out)),
    collects("max_by", 1, |m, args, env, item, out| arrays::min_max_by(m, &args[0], true, (env, item), out)),
    v0("flatten", |m, value| arrays::flatten(m, value, (MAX_VALUE_DEPTH * 4).into())),
    v1("flatten", arrays::flatten),
    v0("transpose", arrays::transpose),
    many("combinations", 0, all_combinations),
    many("combinations", 1, generators::combinations_of),
    v1("contains", |m, value, part| Ok(search::contains(m, &value, &part, MAX_VALUE_DEPTH * 2)?.into())),
    v1("inside", |m, value, whole| Ok(search::contains(m, &whole, &value, MAX_VALUE_DEPTH * 2)?.into())),
    v1("indices", search::indices),
    v1("index", |m, value, part| position(m, value, part, false)),
    v1("rindex", |m, value, part| position(m, value, part, true)),
    collects("INDEX", 1, arrays::index_by),
    // Objects
    v0("keys", |m, value| objects::keys(m, value, true)),
    v0("keys_unsorted", |m, value| objects::keys(m, value, false)),
    v1("has", objects::has),
    v1("in", |m, key, value| objects::has(m, value, key)),
    v0("to_entries", objects::to_entries),
    v0("from_entries", objects::from_entries),
    collects("with_entries", 1, objects::with_entries),
    // Paths
    many("path", 1, path_functions::path),
    many("paths", 0, |m, _, _, item, out| path_functions::paths_to(m, item, out, &mut |_, _| Ok(true))),
    many("paths", 1, path_functions::paths_where),
    many("leaf_paths", 0, |m, _, _, item, out| {
        path_functions::paths_to(m, item, out, &mut |_, value| {
            Ok(!matches!(value, Value::Array(_) | Value::Object(_)))
        })
    }),
    single("getpath", 1, path_functions::getpath),
    v2("setpath", setpath),
    v1("delpaths", delpaths),
    collects("del", 1, path_functions::del),
    collects("pick", 1, path_functions::pick),
    many("walk", 1, walk::walk),
    // Dates
    v0("todate", dates::todate),
    v0("todateiso8601", dates::todate),
    v0("date", dates::todate),
    v0("fromdate", dates::fromdate),
    v0("fromdateiso8601", dates::fromdate),
    v0("gmtime", dates::gmtime),
    v0("mktime", dates::mktime),
    v1("strftime", dates::strftime),
    v1("strptime", dates::strptime),
];
