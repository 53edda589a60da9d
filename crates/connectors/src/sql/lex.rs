//! Takes SQL text apart: words, names, texts, symbols, and the templates between them.
//!
//! The lexer is stricter than a database: what is not closed, or could be read in two ways, is a fault.
//! So a text that passes has the same statements for the database as for us.

use super::dialect::{Backslash, Dialect, Quote, Quoted};

/// One character of the text, or a template in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Char(char),
    /// The template with this index.
    Hole(usize),
}

/// A token and where it stands, as indexes of units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub what: What,
    pub from: usize,
    pub to: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A keyword or a plain name, in lower case.
    Word(String),
    /// A name in quotation marks.
    Name,
    /// A text in quotation marks.
    Text,
    Number,
    Symbol(char),
    Hole(usize),
}

impl Token {
    pub fn is_symbol(&self, symbol: char) -> bool {
        self.what == What::Symbol(symbol)
    }

    pub fn word(&self) -> Option<&str> {
        match &self.what {
            What::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// Why a text cannot be taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The template with this index stands inside a text, a name or a comment.
    Inside { hole: usize, place: &'static str },
    /// What opens at this unit is not closed.
    Open { at: usize, what: &'static str },
    /// A placeholder of the driver.
    Placeholder { at: usize },
    /// A comment that the database would run.
    Executable { at: usize },
    /// A control character, which databases read in different ways; NUL ends the text for some, even in quotes.
    Control { at: usize },
}

/// The tokens of the text, without comments and white space; or everything that is wrong with it.
pub fn lex(units: &[Unit], dialect: &Dialect) -> Result<Vec<Token>, Vec<Fault>> {
    let mut lexer = Lexer { units, dialect, at: 0, tokens: Vec::new(), faults: Vec::new() };
    while lexer.at < units.len() {
        lexer.next();
    }
    if lexer.faults.is_empty() { Ok(lexer.tokens) } else { Err(lexer.faults) }
}

struct Lexer<'a> {
    units: &'a [Unit],
    dialect: &'a Dialect,
    at: usize,
    tokens: Vec<Token>,
    faults: Vec<Fault>,
}

impl Lexer<'_> {
    /// The character `ahead` of the current place; nothing at the end or for a template.
    fn peek(&self, ahead: usize) -> Option<char> {
        match self.units.get(self.at + ahead) {
            Some(Unit::Char(char)) => Some(*char),
            _ => None,
        }
    }

    fn looking_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(ahead, char)| self.peek(ahead) == Some(char))
    }

    fn push(&mut self, what: What, from: usize) {
        self.tokens.push(Token { what, from, to: self.at });
    }

    fn next(&mut self) {
        let from = self.at;
        let Some(char) = self.peek(0) else {
            if let Some(Unit::Hole(hole)) = self.units.get(from) {
                self.at += 1;
                self.push(What::Hole(*hole), from);
            }
            return;
        };
        if char.is_ascii_whitespace() {
            self.at += 1;
        } else if char.is_control() || char == '\u{feff}' {
            self.faults.push(Fault::Control { at: from });
            self.at += 1;
        } else if let Some(start) = self.line_comment() {
            self.at += start;
            self.skip_line();
        } else if self.looking_at("/*") {
            self.skip_block(from);
        } else if let Some(quote) = self.dialect.quotes.iter().find(|quote| quote.open == char) {
            self.quoted(*quote, from);
        } else if starts_word(char) {
            let mut word = String::new();
            while let Some(char) = self.peek(0).filter(|char| continues_word(*char)) {
                word.push(char.to_ascii_lowercase());
                self.at += 1;
            }
            self.push(What::Word(word), from);
        } else if char.is_ascii_digit() || char == '.' && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.number();
            self.push(What::Number, from);
        } else if let Some(tag) = self.dollar_tag() {
            self.dollar_quoted(&tag, from);
        } else {
            if self.dialect.placeholders.contains(&char) {
                self.faults.push(Fault::Placeholder { at: from });
            }
            self.at += 1;
            self.push(What::Symbol(char), from);
        }
    }

    /// The length of what starts a line comment here.
    fn line_comment(&self) -> Option<usize> {
        let start = self.dialect.line_comments.iter().find(|start| self.looking_at(start))?;
        let needs_space = *start == "--" && self.dialect.dashes_need_space;
        // At the end of the text the database sees nothing after the dashes either.
        let spaced = self.at + 2 >= self.units.len() || self.peek(2).is_some_and(|c| c <= ' ');
        (!needs_space || spaced).then_some(start.len())
    }

    fn skip_line(&mut self) {
        while let Some(unit) = self.units.get(self.at) {
            match unit {
                Unit::Char(char) if self.dialect.line_ends.contains(char) => return,
                Unit::Char('\0') => self.faults.push(Fault::Control { at: self.at }),
                Unit::Char(_) => {}
                Unit::Hole(hole) => self.faults.push(Fault::Inside { hole: *hole, place: "a comment" }),
            }
            self.at += 1;
        }
    }

    fn skip_block(&mut self, from: usize) {
        self.at += 2;
        if self.dialect.executable_comments && matches!(self.peek(0), Some('!' | 'M')) {
            self.faults.push(Fault::Executable { at: from });
        }
        let mut depth = 1;
        while let Some(unit) = self.units.get(self.at) {
            if self.looking_at("*/") {
                self.at += 2;
                depth -= 1;
                if depth == 0 {
                    return;
                }
                continue;
            }
            if self.dialect.nested_comments && self.looking_at("/*") {
                self.at += 2;
                depth += 1;
                continue;
            }
            match unit {
                Unit::Hole(hole) => self.faults.push(Fault::Inside { hole: *hole, place: "a comment" }),
                Unit::Char('\0') => self.faults.push(Fault::Control { at: self.at }),
                Unit::Char(_) => {}
            }
            self.at += 1;
        }
        self.faults.push(Fault::Open { at: from, what: "comment" });
    }

    fn quoted(&mut self, quote: Quote, from: usize) {
        let (place, what) = match quote.content {
            Quoted::Text => ("a text in quotes", "text"),
            Quoted::Name => ("a quoted name", "quoted name"),
        };
        let escapes = quote.content == Quoted::Text
            && match self.dialect.backslash {
                Backslash::Nowhere => false,
                Backslash::Everywhere => true,
                Backslash::InEscapeTexts => {
                    self.tokens.last().is_some_and(|token| token.to == from && token.word() == Some("e"))
                }
            };
        self.at += 1;
        while let Some(unit) = self.units.get(self.at) {
            self.at += 1;
            match unit {
                Unit::Hole(hole) => self.faults.push(Fault::Inside { hole: *hole, place }),
                Unit::Char('\0') => self.faults.push(Fault::Control { at: self.at - 1 }),
                // A template after the backslash is left for the next round, which refuses it.
                Unit::Char('\\') if escapes && self.peek(0).is_some() => self.at += 1,
                Unit::Char(char) if *char == quote.close => {
                    if quote.doubled && self.peek(0) == Some(quote.close) {
                        self.at += 1;
                        continue;
                    }
                    let what = match quote.content {
                        Quoted::Text => What::Text,
                        Quoted::Name => What::Name,
                    };
                    return self.push(what, from);
                }
                Unit::Char(_) => {}
            }
        }
        self.faults.push(Fault::Open { at: from, what });
    }

    fn number(&mut self) {
        let mut last = ' ';
        while let Some(char) = self.peek(0) {
            // Only before a digit: `0x1e--` is a number and a comment.
            let sign = matches!(char, '+' | '-')
                && matches!(last, 'e' | 'E')
                && self.peek(1).is_some_and(|next| next.is_ascii_digit());
            if !(continues_word(char) || char == '.' || sign) {
                return;
            }
            last = char;
            self.at += 1;
        }
    }

    /// `$tag$` here, with both its dollars.
    fn dollar_tag(&self) -> Option<String> {
        if !self.dialect.dollar_quotes || self.peek(0) != Some('$') {
            return None;
        }
        let mut tag = String::from("$");
        loop {
            match self.peek(tag.chars().count())? {
                '$' => {
                    tag.push('$');
                    return Some(tag);
                }
                char if starts_word(char) || tag.len() > 1 && char.is_ascii_digit() => tag.push(char),
                _ => return None,
            }
        }
    }

    fn dollar_quoted(&mut self, tag: &str, from: usize) {
        let length = tag.chars().count();
        self.at += length;
        while let Some(unit) = self.units.get(self.at) {
            if self.looking_at(tag) {
                self.at += length;
                return self.push(What::Text, from);
            }
            match unit {
                Unit::Hole(hole) => {
                    self.faults.push(Fault::Inside { hole: *hole, place: "a text in quotes" });
                }
                Unit::Char('\0') => self.faults.push(Fault::Control { at: self.at }),
                Unit::Char(_) => {}
            }
            self.at += 1;
        }
        self.faults.push(Fault::Open { at: from, what: "text" });
    }
}

fn starts_word(char: char) -> bool {
    char.is_ascii_alphabetic() || char == '_' || !char.is_ascii()
}

fn continues_word(char: char) -> bool {
    starts_word(char) || char.is_ascii_digit() || char == '$'
}

/// The units of a text without templates.
pub fn units(text: &str) -> Vec<Unit> {
    text.chars().map(Unit::Char).collect()
}
