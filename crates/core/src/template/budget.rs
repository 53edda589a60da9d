//! The limits of templates. Each is fixed, so that a config means the same everywhere.

/// The longest expression between `${` and `}`, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 16 * 1024;

/// How deep brackets and interpolated strings may nest in an expression.
pub const MAX_NESTING: usize = 32;

/// The most operators and keywords in one expression: each is a level of the parser's recursion.
pub const MAX_OPERATORS: usize = 160;

/// The most steps of one evaluation. Optimised, the worst expressions known take some tenths of a microsecond
/// for each: it is about a tenth of a second in all.
pub const MAX_WORK: u64 = 300_000;

/// A step is this many units: looking at one value, or at some bytes, is one unit.
pub const WORK_UNITS: u64 = 16;

/// How deep generators may nest at run time. It keeps an evaluation within one MiB of stack, in
/// debug builds, too.
pub const MAX_STACK: usize = 200;

/// The most bytes that one evaluation may create, results thrown away on the way included.
pub const MAX_CREATED_BYTES: u64 = 64 * 1024 * 1024;

/// The largest value that may come out of one evaluation, in bytes of JSON.
pub const MAX_OUTPUT_BYTES: u64 = 16 * 1024 * 1024;

/// How deep a value may be nested that an expression takes apart or builds.
pub const MAX_VALUE_DEPTH: usize = 64;

/// The largest compiled regular expression, in bytes.
pub const MAX_REGEX_BYTES: usize = 256 * 1024;

/// What compiling a computed regular expression costs, in units of work.
pub const REGEX_WORK: u64 = 200_000;
