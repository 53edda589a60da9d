//! Globs: which paths a list gives.
//!
//! A pattern becomes a few steps, and all ways through them are followed at once, so that the time is that of the
//! path's length times the pattern's, whatever the pattern.

/// The longest pattern, in letters.
const MAX_PATTERN: usize = 200;
/// The most braces inside braces.
const MAX_BRACES: usize = 4;

/// A pattern, such as `**/*.{png,jpg}`.
#[derive(Debug)]
pub(super) struct Glob {
    /// As it was written.
    pub(super) pattern: String,
    steps: Vec<Step>,
    /// Whether it can match below the folder itself.
    pub(super) deep: bool,
}

#[derive(Debug)]
enum Step {
    Letter(char),
    /// `?`
    One,
    /// `[a-z]`, `[!a-z]`
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `*`
    Name,
    /// `**`
    Path,
    /// Goes on at each of these.
    Fork(Vec<usize>),
}

impl Glob {
    /// The error says what is wrong with the pattern, after "it".
    pub(super) fn read(pattern: &str) -> Result<Glob, String> {
        let letters: Vec<char> = pattern.chars().collect();
        if letters.is_empty() {
            return Err("is empty".into());
        }
        if letters.len() > MAX_PATTERN {
            return Err(format!("has {} letters, at most {MAX_PATTERN} fit", letters.len()));
        }
        if letters[0] == '/' {
            return Err("begins with `/`; it is matched against paths that begin in the listed folder".into());
        }
        let mut reader = Reader { letters: &letters, at: 0, steps: Vec::new(), braces: 0 };
        reader.sequence()?;
        Ok(Glob {
            pattern: pattern.to_owned(),
            steps: reader.steps,
            deep: letters.contains(&'/') || pattern.contains("**"),
        })
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let mut here = vec![false; self.steps.len() + 1];
        self.reach(0, &mut here);
        for letter in path.chars() {
            let mut next = vec![false; self.steps.len() + 1];
            for (at, _) in here.iter().enumerate().filter(|(_, active)| **active) {
                let (stays, moves) = match self.steps.get(at) {
                    Some(Step::Letter(own)) => (false, *own == letter),
                    Some(Step::One) => (false, letter != '/'),
                    Some(Step::Set { negated, ranges }) => {
                        let inside = ranges.iter().any(|(from, to)| (*from..=*to).contains(&letter));
                        (false, letter != '/' && inside != *negated)
                    }
                    Some(Step::Name) => (letter != '/', false),
                    Some(Step::Path) => (true, false),
                    Some(Step::Fork(_)) | None => (false, false),
                };
                if stays {
                    self.reach(at, &mut next);
                }
                if moves {
                    self.reach(at + 1, &mut next);
                }
            }
            here = next;
        }
        here[self.steps.len()]
    }

    /// Marks a step, and all that is reached from it without a letter.
    fn reach(&self, at: usize, marked: &mut [bool]) {
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut marked[at], true) {
                continue;
            }
            match self.steps.get(at) {
                Some(Step::Name | Step::Path) => open.push(at + 1),
                Some(Step::Fork(ways)) => open.extend(ways),
                _ => {}
            }
        }
    }
}

struct Reader<'l> {
    letters: &'l [char],
    at: usize,
    steps: Vec<Step>,
    braces: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    /// Reads up to the end, or to the `,` or `}` of the braces around.
    fn sequence(&mut self) -> Result<(), String> {
        while let Some(letter) = self.peek() {
            match letter {
                ',' | '}' if self.braces > 0 => return Ok(()),
                '*' => self.stars(),
                '[' => self.set()?,
                '{' => self.alternatives()?,
                '?' => self.single(Step::One),
                '\\' => {
                    self.at += 1;
                    let Some(letter) = self.peek() else { return Err("ends with `\\`".into()) };
                    self.single(Step::Letter(letter));
                }
                letter => self.single(Step::Letter(letter)),
            }
        }
        Ok(())
    }

    fn single(&mut self, step: Step) {
        self.steps.push(step);
        self.at += 1;
    }

    fn stars(&mut self) {
        let begins = self.at == 0 || matches!(self.letters[self.at - 1], '/' | '{' | ',');
        let stars = self.letters[self.at..].iter().take_while(|letter| **letter == '*').count();
        self.at += stars;
        if stars < 2 || !begins {
            self.steps.push(Step::Name);
        } else if self.peek() == Some('/') {
            // `**/` is any number of folders, none, too.
            self.at += 1;
            let fork = self.steps.len();
            self.steps.push(Step::Fork(vec![fork + 1, fork + 3]));
            self.steps.push(Step::Path);
            self.steps.push(Step::Letter('/'));
        } else {
            self.steps.push(Step::Path);
        }
    }

    fn set(&mut self) -> Result<(), String> {
        self.at += 1;
        let negated = matches!(self.peek(), Some('!' | '^'));
        self.at += usize::from(negated);
        let mut ranges = Vec::new();
        loop {
            let Some(from) = self.peek() else { return Err("has a `[` without its `]`".into()) };
            self.at += 1;
            if from == ']' && !ranges.is_empty() {
                break;
            }
            let to = match self.letters.get(self.at..self.at + 2) {
                Some(['-', to]) if *to != ']' => {
                    self.at += 2;
                    *to
                }
                _ => from,
            };
            if to < from {
                return Err(format!("has the range `{from}-{to}`, which is empty"));
            }
            ranges.push((from, to));
        }
        self.steps.push(Step::Set { negated, ranges });
        Ok(())
    }

    fn alternatives(&mut self) -> Result<(), String> {
        self.braces += 1;
        if self.braces > MAX_BRACES {
            return Err(format!("has more than {MAX_BRACES} braces inside braces"));
        }
        let fork = self.steps.len();
        self.steps.push(Step::Fork(Vec::new()));
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        loop {
            self.at += 1;
            starts.push(self.steps.len());
            self.sequence()?;
            ends.push(self.steps.len());
            self.steps.push(Step::Fork(Vec::new()));
            match self.peek() {
                Some(',') => {}
                Some(_) => break,
                None => return Err("has a `{` without its `}`".into()),
            }
        }
        self.at += 1;
        self.braces -= 1;
        let after = self.steps.len();
        self.steps[fork] = Step::Fork(starts);
        for end in ends {
            self.steps[end] = Step::Fork(vec![after]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_people_expect() {
        for (pattern, yes, no) in [
            ("*.md", &["a.md", ".md", "ä.md"][..], &["a.mdx", "b/a.md", "md"][..]),
            ("**/*.md", &["a.md", "b/a.md", "c/b/a.md"], &["a.txt", "a.md/b"]),
            ("b/**", &["b/a", "b/c/a"], &["b", "c/b/a"]),
            ("**", &["a", "a/b"], &[]),
            ("a/**/z", &["a/z", "a/b/z", "a/b/c/z"], &["a/bz", "az"]),
            ("?.md", &["a.md", "漢.md"], &[".md", "ab.md", "/.md"]),
            ("[a-cx].md", &["a.md", "c.md", "x.md"], &["d.md", "-.md"]),
            ("[!a-c].md", &["d.md", "漢.md"], &["a.md", "/.md", ".md"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("*.{png,jp{e,}g}", &["a.png", "a.jpg", "a.jpeg"], &["a.gif", "a.jpe"]),
            ("{a,b/*}/c", &["a/c", "b/x/c"], &["b/c"]),
            ("{**/,x}a", &["a", "b/a", "xa"], &["ba"]),
            ("a**b", &["ab", "axb"], &["a/b"]),
            ("\\*\\[", &["*["], &["a["]),
            ("2026-??/*", &["2026-01/a"], &["2026-1/a", "2026-01/a/b"]),
            ("a,b}", &["a,b}"], &["a"]),
        ] {
            let glob = Glob::read(pattern).unwrap();
            for path in yes {
                assert!(glob.matches(path), "{pattern} matches {path}");
            }
            for path in no {
                assert!(!glob.matches(path), "{pattern} does not match {path}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (pattern, why) in [
            ("", "is empty"),
            ("/a", "begins with `/`"),
            ("[a", "`[` without"),
            ("[", "`[` without"),
            ("{a,b", "`{` without"),
            ("{{{{{a}}}}}", "braces inside braces"),
            ("[z-a]", "range"),
            ("a\\", "ends with"),
            (&"a".repeat(201), "201 letters"),
        ] {
            let error = Glob::read(pattern).unwrap_err();
            assert!(error.contains(why), "{pattern}: {error}");
        }
    }

    #[test]
    fn deep_ones_are_known() {
        let deep = |pattern| Glob::read(pattern).unwrap().deep;
        assert!(!deep("*.md") && deep("**") && deep("a/*") && deep("**/*.md"));
    }

    /// What makes others take exponential time.
    #[test]
    fn many_stars_cost_little() {
        let glob = Glob::read(&"*a".repeat(100)).unwrap();
        assert!(!glob.matches(&("a".repeat(1000) + "b")));
        assert!(glob.matches(&"a".repeat(1000)));
    }
}
