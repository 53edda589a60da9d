//! SQLite databases in files.
