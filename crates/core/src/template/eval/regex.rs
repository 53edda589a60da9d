//! Regular expressions: those of the `regex` crate, whose time is linear in the text.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::{
    Env, Expr, Flow, Item, Machine, Out, Stop, each, fail, functions::Builtin, order::truthy, run,
    strings::text, values,
};
use crate::{
    Map, Value,
    template::{
        budget::{MAX_REGEX_BYTES, REGEX_WORK},
        expr::Op,
    },
};

/// Patterns that stand in the template: compiled once, with their flags.
#[derive(Debug, Default)]
pub(in crate::template) struct Patterns(Vec<Compiled>);

#[derive(Clone, Debug)]
struct Compiled {
    pattern: Arc<str>,
    flags: Arc<str>,
    /// Shared: a clone of the expression itself would begin with an empty cache in each search.
    regex: Arc<Regex>,
    groups: Arc<[Option<Arc<str>>]>,
    /// How much more work a letter is, because the pattern repeats parts many times.
    weight: u64,
}

/// What one evaluation has compiled.
#[derive(Debug)]
pub(super) struct Cache<'s> {
    literal: &'s Patterns,
    computed: Vec<Compiled>,
}

impl Patterns {
    /// Compiles the pattern of a call, if it is a literal. The error is a sentence's end.
    pub(in crate::template) fn prepare(&mut self, builtin: &Builtin, args: &[Expr]) -> Result<(), String> {
        let Some(flags_at) = builtin.regex_flags else { return Ok(()) };
        let literal = |at: usize| match args.get(at).map(|arg| &arg.op) {
            None => Some(""),
            Some(Op::Const(Value::String(text))) => Some(&**text),
            Some(Op::Const(Value::Null)) => Some(""),
            Some(_) => None,
        };
        if let (Some(pattern), Some(flags)) = (literal(0), literal(flags_at)) {
            self.0.push(compile(pattern, flags)?);
        }
        Ok(())
    }
}

impl<'s> Cache<'s> {
    pub(super) fn new(literal: &'s Patterns) -> Self {
        Cache { literal, computed: Vec::new() }
    }

    fn find(&self, pattern: &str, flags: &str) -> Option<Compiled> {
        let fits = |known: &&Compiled| *known.pattern == *pattern && *known.flags == *flags;
        self.literal.0.iter().chain(&self.computed).find(fits).cloned()
    }
}

fn compile(pattern: &str, flags: &str) -> Result<Compiled, String> {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(MAX_REGEX_BYTES).dfa_size_limit(4 * MAX_REGEX_BYTES);
    for flag in flags.chars() {
        match flag {
            'g' | 'n' => &mut builder,
            'i' => builder.case_insensitive(true),
            'x' => builder.ignore_whitespace(true),
            's' => builder.dot_matches_new_line(true),
            'm' => builder.multi_line(true),
            'p' => builder.dot_matches_new_line(true).multi_line(true),
            other => return Err(format!("`{other}` is not a flag; known are `g i x n s m p`")),
        };
    }
    let regex = builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large; repeat less in it".to_owned(),
        other => {
            let text = other.to_string();
            let reason = text.rsplit("error: ").next().unwrap_or_default();
            reason.lines().next().unwrap_or_default().to_owned()
        }
    })?;
    let groups = regex.capture_names().map(|name| name.map(Arc::from)).collect();
    Ok(Compiled {
        pattern: pattern.into(),
        flags: flags.into(),
        regex: Arc::new(regex),
        groups,
        weight: weight(pattern),
    })
}

/// `{100}` makes a hundred states of one letter, and `(…{20}){20}` four hundred: the automaton may look
/// at all of them for each letter. Never less than there are; classes and escapes count as letters.
fn weight(pattern: &str) -> u64 {
    let mut groups = vec![0_u64];
    // What a repetition would repeat: the last letter, or the last group.
    let mut last = 0;
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        let depth = groups.len();
        let Some(inner) = groups.last_mut() else { break };
        match letter {
            '(' => groups.push(0),
            ')' if depth > 1 => {
                last = groups.pop().unwrap_or(0);
                if let Some(outer) = groups.last_mut() {
                    *outer = outer.saturating_add(last);
                }
            }
            '{' => {
                let Some((range, after)) = rest.split_once('}') else { break };
                let numbers = range.split(',').filter_map(|number| number.trim().parse::<u64>().ok());
                if let Some(most) = numbers.max() {
                    *inner = inner.saturating_add(last.max(1).saturating_mul(most.saturating_sub(1)));
                    last = last.max(1).saturating_mul(most);
                    rest = after;
                }
            }
            _ => {
                *inner = inner.saturating_add(1);
                last = 1;
            }
        }
    }
    1 + groups.into_iter().fold(0_u64, u64::saturating_add) / 8
}

fn compiled(m: &mut Machine<'_>, pattern: &str, flags: &str) -> Flow<Compiled> {
    const KEPT: usize = 16;
    m.work((pattern.len() + flags.len()) as u64)?;
    if let Some(known) = m.regexes.find(pattern, flags) {
        return Ok(known);
    }
    m.work(REGEX_WORK)?;
    let new =
        compile(pattern, flags).map_err(|why| fail(format!("the regular expression is not valid: {why}")))?;
    if m.regexes.computed.len() >= KEPT {
        m.regexes.computed.remove(0);
    }
    m.regexes.computed.push(new.clone());
    Ok(new)
}

/// One match: the byte ranges of the whole and of its groups.
type Ranges = Vec<Option<(usize, usize)>>;

/// What a search costs, however short the text is, in units of work.
const SEARCH_WORK: u64 = 64;

/// All matches, or the first. A search costs what is left of the text, because a pattern may look
/// far ahead each time.
fn search(m: &mut Machine<'_>, regex: &Compiled, text: &str, all: bool) -> Flow<Vec<Ranges>> {
    let mut found = Vec::new();
    let mut matches = regex.regex.captures_iter(text);
    let mut from = 0;
    loop {
        m.work(SEARCH_WORK + ((text.len() - from) as u64).saturating_mul(regex.weight) / 10)?;
        let Some(captures) = matches.next() else { break };
        let ranges: Ranges =
            captures.iter().map(|group| group.map(|group| (group.start(), group.end()))).collect();
        m.create(values::ELEMENT * ranges.len() as u64)?;
        let Some(Some((start, end))) = ranges.first().copied() else { break };
        from = end;
        if start == end && regex.flags.contains('n') {
            continue;
        }
        found.push(ranges);
        if !all {
            break;
        }
    }
    Ok(found)
}

/// Counts letters up to byte offsets that only grow, or begin again.
struct Letters<'t> {
    text: &'t str,
    byte: usize,
    letters: usize,
}

impl Letters<'_> {
    fn up_to(&mut self, byte: usize) -> usize {
        if byte < self.byte {
            return self.letters - self.text[byte..self.byte].chars().count();
        }
        self.letters += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.letters
    }
}

fn match_object(
    m: &mut Machine<'_>,
    regex: &Compiled,
    letters: &mut Letters<'_>,
    ranges: &Ranges,
) -> Flow<Value> {
    let mut part = |m: &mut Machine<'_>, range: Option<(usize, usize)>| {
        m.create(4 * values::MEMBER)?;
        let Some((start, end)) = range else {
            return Ok(Map::from_iter([
                ("offset".into(), (-1_i64).into()),
                ("length".into(), 0_i64.into()),
                ("string".into(), Value::Null),
            ]));
        };
        let text = &letters.text[start..end];
        m.create(text.len() as u64)?;
        Ok::<Map, Stop>(Map::from_iter([
            ("offset".into(), letters.up_to(start).into()),
            ("length".into(), text.chars().count().into()),
            ("string".into(), text.into()),
        ]))
    };
    let mut whole = part(m, ranges[0])?;
    let mut captures = Vec::new();
    for (range, name) in ranges.iter().zip(regex.groups.iter()).skip(1) {
        let mut capture = part(m, *range)?;
        capture.insert("name".into(), name.clone().map_or(Value::Null, Value::from));
        captures.push(capture.into());
    }
    whole.insert("captures".into(), captures.into());
    Ok(whole.into())
}

/// The named groups of a match.
fn named(m: &mut Machine<'_>, regex: &Compiled, text: &str, ranges: &Ranges) -> Flow<Value> {
    let mut map = Map::new();
    for (range, name) in ranges.iter().zip(regex.groups.iter()) {
        let Some(name) = name else { continue };
        let value = range.map_or(Value::Null, |(start, end)| text[start..end].into());
        m.create(values::MEMBER + range.map_or(0, |(start, end)| (end - start) as u64))?;
        map.insert(name.clone(), value);
    }
    Ok(map.into())
}

/// Pattern and flags of a call; jq also takes both as one array.
fn each_pattern<'s>(
    m: &mut Machine<'s>,
    pattern: &Expr,
    flags: Option<&Expr>,
    (env, item): (Env<'_>, &Item),
    out: &mut dyn FnMut(&mut Machine<'s>, Compiled) -> Flow,
) -> Flow {
    let mut both = |m: &mut Machine<'s>, pattern: &Value, flags: &Value| {
        let flags = if truthy(flags) { text(flags)? } else { &Arc::from("") };
        let regex = compiled(m, text(pattern)?, flags)?;
        out(m, regex)
    };
    each(m, pattern, env, item.plain(), &mut |m, pattern| match (&pattern.value, flags) {
        (Value::Array(pair), None) => {
            let (pattern, flags) = (pair.first().cloned(), pair.get(1).cloned());
            both(m, &pattern.unwrap_or_default(), &flags.unwrap_or_default())
        }
        (pattern, None) => both(m, pattern, &Value::Null),
        (pattern, Some(flags)) => {
            each(m, flags, env, item.plain(), &mut |m, flags| both(m, pattern, &flags.value))
        }
    })
}

pub(super) fn test<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each_pattern(m, &args[0], args.get(1), (env, &item), &mut |m, regex| {
        let found = search(m, &regex, text(&item.value)?, regex.flags.contains('n'))?;
        out(m, item.computed((!found.is_empty()).into()))
    })
}

pub(super) fn matches<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each_pattern(m, &args[0], args.get(1), (env, &item), &mut |m, regex| {
        let text = text(&item.value)?;
        let mut letters = Letters { text, byte: 0, letters: 0 };
        for ranges in search(m, &regex, text, regex.flags.contains('g'))? {
            let found = match_object(m, &regex, &mut letters, &ranges)?;
            out(m, item.computed(found))?;
        }
        Ok(())
    })
}

pub(super) fn capture<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each_pattern(m, &args[0], args.get(1), (env, &item), &mut |m, regex| {
        let text = text(&item.value)?;
        for ranges in search(m, &regex, text, regex.flags.contains('g'))? {
            let found = named(m, &regex, text, &ranges)?;
            out(m, item.computed(found))?;
        }
        Ok(())
    })
}

/// All matches: the groups, or the whole where there are none.
pub(super) fn scan<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each_pattern(m, &args[0], args.get(1), (env, &item), &mut |m, regex| {
        let text = text(&item.value)?;
        for ranges in search(m, &regex, text, true)? {
            let part = |range: &Option<(usize, usize)>| {
                range.map_or(Value::Null, |(start, end)| text[start..end].into())
            };
            let (whole, groups) = (part(&ranges[0]), &ranges[1..]);
            m.create(whole.as_str().map_or(0, str::len) as u64 * (1 + groups.len() as u64))?;
            let found =
                if groups.is_empty() { whole } else { groups.iter().map(part).collect::<Vec<_>>().into() };
            out(m, item.computed(found))?;
        }
        Ok(())
    })
}

/// The texts between the matches.
fn between(m: &mut Machine<'_>, regex: &Compiled, text: &str) -> Flow<Vec<Value>> {
    let mut parts = Vec::new();
    let mut from = 0;
    let ends = search(m, regex, text, true)?.into_iter().filter_map(|ranges| ranges[0]);
    for (start, end) in ends.chain([(text.len(), text.len())]) {
        let part = m.string(text[from..start].to_owned())?;
        parts.push(part);
        from = end;
    }
    Ok(parts)
}

pub(super) fn split<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each_pattern(m, &args[0], args.get(1), (env, &item), &mut |m, regex| {
        let parts = between(m, &regex, text(&item.value)?)?;
        out(m, item.computed(parts.into()))
    })
}

pub(super) fn splits<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    env: Env<'_>,
    item: Item,
    out: Out<'_, 's>,
) -> Flow {
    each_pattern(m, &args[0], args.get(1), (env, &item), &mut |m, regex| {
        let parts = between(m, &regex, text(&item.value)?)?;
        parts.into_iter().try_for_each(|part| out(m, item.computed(part)))
    })
}

/// The replacement sees the named groups as its input, and has one output for each match.
pub(super) fn substitute<'s>(
    m: &mut Machine<'s>,
    args: &[Expr],
    everywhere: bool,
    (env, item): (Env<'_>, Item),
    out: Out<'_, 's>,
) -> Flow {
    each_pattern(m, &args[0], args.get(2), (env, &item), &mut |m, regex| {
        let text = text(&item.value)?;
        let (mut result, mut from) = (String::new(), 0);
        for ranges in search(m, &regex, text, everywhere || regex.flags.contains('g'))? {
            let Some((start, end)) = ranges[0] else { continue };
            let groups = named(m, &regex, text, &ranges)?;
            let mut replacement = None;
            run(
                m,
                &args[1],
                env,
                Item::new(groups),
                &mut |_, found| match replacement.replace(found.value) {
                    None => Ok(()),
                    Some(_) => Err(fail("a replacement has one output for each match")),
                },
            )?;
            let Some(replacement) = replacement else { return Ok(()) };
            let Value::String(replacement) = replacement else {
                return Err(fail("a replacement is a string"));
            };
            m.create((start - from + replacement.len()) as u64)?;
            result.push_str(&text[from..start]);
            result.push_str(&replacement);
            from = end;
        }
        result.push_str(&text[from..]);
        let value = m.string(result)?;
        out(m, item.computed(value))
    })
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn a_pattern_weighs_what_it_repeats() {
        let table = [
            ("", 1),
            ("abc", 1),
            ("[a-z]+@[a-z]+", 2),
            (r"\d{4}-\d{2}-\d{2}", 2),
            ("a{800}", 101),
            ("a{1,800}", 101),
            ("a{800,}", 101),
            ("(a{20}){20}", 51),
            ("(?:x|(ab){10}){4}", 11),
            ("((a{20}){20}){20}", 1001),
            (r"\p{L}{80}", 12),
            ("a{", 1),
            ("))((", 1),
        ];
        for (pattern, expected) in table {
            let found = weight(pattern);
            assert!(found.abs_diff(expected) <= 1 + expected / 5, "{pattern}: {found}");
        }
        assert_eq!(weight(&"(a{99999999999}){99999999999}".repeat(3)), 1 + u64::MAX / 8);
    }
}
