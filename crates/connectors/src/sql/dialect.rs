//! What differs between SQL dialects, as data.

/// One SQL dialect as the lexer and the placement of templates need it.
#[derive(Debug)]
pub struct Dialect {
    /// As people call it, for messages.
    pub name: &'static str,
    pub quotes: &'static [Quote],
    pub backslash: Backslash,
    /// `$$ … $$` and `$tag$ … $tag$`.
    pub dollar_quotes: bool,
    /// What starts a comment to the end of the line.
    pub line_comments: &'static [&'static str],
    /// Whether `--` is a comment only before white space.
    pub dashes_need_space: bool,
    /// The characters that end a line comment.
    pub line_ends: &'static [char],
    pub nested_comments: bool,
    /// `/*! … */`: a comment whose content the database runs.
    pub executable_comments: bool,
    /// Characters that outside of quotes start a placeholder of the driver.
    pub placeholders: &'static [char],
    /// Words after which this dialect, beside the common ones, takes a value.
    pub value_words: &'static [&'static str],
    /// Functions and tables that no statement may name, and why; `*` stands for any ending of a function.
    pub forbidden: &'static [(&'static str, &'static str)],
    pub parameters: Parameters,
    /// What becomes of `in (${…})`.
    pub lists: Lists,
    /// Whether a single value may be an array or an object, since the database says what type it expects.
    pub structures: bool,
    /// A subquery without rows, for `not in` an empty list.
    pub no_rows: &'static str,
}

/// A pair of quotation marks.
#[derive(Clone, Copy, Debug)]
pub struct Quote {
    pub open: char,
    pub close: char,
    pub content: Quoted,
    /// Whether the doubled closing mark stands for itself.
    pub doubled: bool,
}

/// What quotation marks enclose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoted {
    Text,
    Name,
}

/// Where a backslash in a text takes away the meaning of the next character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backslash {
    Nowhere,
    /// In `E'…'`.
    InEscapeTexts,
    Everywhere,
}

/// How a statement names its bound parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// A mark and a number, from 1: one value can be used in several places.
    Numbered(&'static str),
    /// The same mark for each: values are bound in the order of the places.
    InOrder(&'static str),
}

/// How a list of values is given to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// One parameter for each element; an empty one becomes `in (null)` or `not in (NO ROWS)`.
    Expanded,
    /// One parameter for all: `in (…)` is written as `= any(…)`, and `not in (…)` as `<> all(…)`.
    Array,
}

const fn same(mark: char, content: Quoted) -> Quote {
    Quote { open: mark, close: mark, content, doubled: true }
}

const BEYOND: &str = "it reaches beyond the rows of this database";

/// <https://sqlite.org/lang_expr.html> and the tokenizer of the library.
pub static SQLITE: Dialect = Dialect {
    name: "SQLite",
    quotes: &[
        same('\'', Quoted::Text),
        same('"', Quoted::Name),
        same('`', Quoted::Name),
        Quote { open: '[', close: ']', content: Quoted::Name, doubled: false },
    ],
    backslash: Backslash::Nowhere,
    dollar_quotes: false,
    line_comments: &["--"],
    dashes_need_space: false,
    line_ends: &['\n'],
    nested_comments: false,
    executable_comments: false,
    placeholders: &['?', ':', '@', '$', '#'],
    value_words: &["glob", "regexp", "match", "is"],
    forbidden: &[
        ("load_extension", "it would load code into this process"),
        ("fts3_tokenizer", "it would load code into this process"),
        ("pragma_*", BEYOND),
        ("pragma_application_id", BEYOND),
        ("pragma_collation_list", BEYOND),
        ("pragma_compile_options", BEYOND),
        ("pragma_database_list", BEYOND),
        ("pragma_foreign_key_check", BEYOND),
        ("pragma_function_list", BEYOND),
        ("pragma_integrity_check", BEYOND),
        ("pragma_journal_mode", BEYOND),
        ("pragma_module_list", BEYOND),
        ("pragma_pragma_list", BEYOND),
        ("pragma_quick_check", BEYOND),
        ("pragma_schema_version", BEYOND),
        ("pragma_table_list", BEYOND),
        ("pragma_user_version", BEYOND),
    ],
    parameters: Parameters::Numbered("?"),
    lists: Lists::Expanded,
    structures: false,
    no_rows: "select null where 0",
};

/// PostgreSQL, "4.1. Lexical Structure".
pub static POSTGRES: Dialect = Dialect {
    name: "PostgreSQL",
    quotes: &[same('\'', Quoted::Text), same('"', Quoted::Name)],
    backslash: Backslash::InEscapeTexts,
    dollar_quotes: true,
    line_comments: &["--"],
    dashes_need_space: false,
    line_ends: &['\n', '\r'],
    nested_comments: true,
    executable_comments: false,
    placeholders: &['$'],
    value_words: &["ilike", "zone"],
    forbidden: &[],
    parameters: Parameters::Numbered("$"),
    lists: Lists::Array,
    structures: true,
    no_rows: "select null where false",
};

/// MariaDB and MySQL, in the SQL mode that the connector sets: without `ANSI_QUOTES` and `NO_BACKSLASH_ESCAPES`.
/// The driver has placeholders of its own, `:name`.
pub static MYSQL: Dialect = mysql(&['?', '@', ':']);

/// What the server gets: a statement of [`MYSQL`] with its parameters.
pub static MYSQL_RENDERED: Dialect = mysql(&[]);

const MYSQL_QUOTES: &[Quote] = &[same('\'', Quoted::Text), same('"', Quoted::Text), same('`', Quoted::Name)];

const fn mysql(placeholders: &'static [char]) -> Dialect {
    Dialect {
        name: "MySQL",
        quotes: MYSQL_QUOTES,
        backslash: Backslash::Everywhere,
        dollar_quotes: false,
        line_comments: &["--", "#"],
        dashes_need_space: true,
        line_ends: &['\n'],
        nested_comments: false,
        executable_comments: true,
        placeholders,
        value_words: &["regexp", "rlike", "div", "mod", "xor", "binary", "interval"],
        forbidden: &[],
        parameters: Parameters::InOrder("?"),
        lists: Lists::Expanded,
        structures: false,
        no_rows: "select null from dual where false",
    }
}
