//! The header `Link` (RFC 8288, section 3).

/// The target of the first link with the relation `wanted`, as it stands there: it may be relative. A link about
/// something else than the reply (`anchor`) does not count.
pub(super) fn target<'v>(values: impl IntoIterator<Item = &'v str>, wanted: &str) -> Option<String> {
    values.into_iter().find_map(|value| Links(value).find(|link| link.has(wanted)).map(|link| link.target))
}

#[derive(Debug, Default)]
struct Link {
    target: String,
    relations: Option<String>,
    anchored: bool,
}

impl Link {
    /// Relation types do not depend on the case of letters.
    fn has(&self, wanted: &str) -> bool {
        let relations = self.relations.as_deref().unwrap_or_default();
        !self.anchored && relations.split_ascii_whitespace().any(|name| name.eq_ignore_ascii_case(wanted))
    }
}

/// The links of one value of the header. What is malformed ends it.
struct Links<'v>(&'v str);

impl Iterator for Links<'_> {
    type Item = Link;

    fn next(&mut self) -> Option<Link> {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
        let (target, rest) = self.0.strip_prefix('<')?.split_once('>')?;
        self.0 = rest;
        let mut link = Link { target: target.trim().to_owned(), ..Link::default() };
        while let Some(rest) = self.0.trim_start().strip_prefix(';') {
            self.0 = rest.trim_start();
            let name = self.token().to_ascii_lowercase();
            let value = match self.0.trim_start().strip_prefix('=') {
                Some(rest) => {
                    self.0 = rest.trim_start();
                    self.value()?
                }
                None => String::new(),
            };
            match name.as_str() {
                // Only the first one counts.
                "rel" => link.relations = link.relations.or(Some(value)),
                "anchor" => link.anchored = true,
                _ => {}
            }
        }
        Some(link)
    }
}

impl Links<'_> {
    fn token(&mut self) -> &str {
        let end = self.0.find(['=', ';', ',', ' ', '\t']).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        token
    }

    /// A token or a quoted text.
    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.0.strip_prefix('"') else { return Some(self.token().to_owned()) };
        let mut text = String::new();
        let mut letters = quoted.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(letters.next()?.1),
                letter => text.push(letter),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::target;

    fn next(value: &str) -> Option<String> {
        target([value], "next")
    }

    #[test]
    fn finds_the_relation() {
        for (value, expected) in [
            ("</a?page=2>; rel=next", "/a?page=2"),
            (r#"<https://x.test/a>; rel="next""#, "https://x.test/a"),
            (r#"</p>; rel="prev", </n>; rel="next", </l>; rel="last""#, "/n"),
            (r#"</n,1;2>; title="a, b; rel=\"prev\" <"; rel="next""#, "/n,1;2"),
            (r#"< /n > ; REL = "start Next""#, "/n"),
            (r#",, </n>;rel=next;rel=prev"#, "/n"),
            (r#"</n>; flag; rel="next"; x"#, "/n"),
            (r#"</a>; rel="next"; anchor="/other", </b>; rel=next"#, "/b"),
            ("<>; rel=next", ""),
        ] {
            assert_eq!(next(value).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(target(["</p>; rel=prev", "</n>; rel=next"], "NEXT").as_deref(), Some("/n"));
    }

    #[test]
    fn what_is_none_is_none() {
        for value in [
            "",
            ",",
            "</n>",
            "</n>; rel=prev; rel=next",
            "</n>; rel=nextish",
            r#"</n>; rel="next"#,
            r#"</n>; rel="next\"#,
            "/n; rel=next",
            "</n; rel=next",
            r#"</p>; title="<n>; rel=next""#,
        ] {
            assert_eq!(next(value), None, "{value}");
        }
    }
}
