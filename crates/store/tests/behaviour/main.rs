//! One suite for all stores: what holds for each, whatever it stands on.
//!
//! A store joins with a [`member::Member`] and one line below. New behaviour is a new trial, and every store takes it.

#![expect(clippy::unwrap_used, reason = "whatever fails here fails the trial")]

mod member;
mod postgres;
mod sqlite;
mod trials;

trials::all! {
    on_sqlite: sqlite::Sqlite::start(false),
    sealed: sqlite::Sqlite::start(true),
    on_postgres: postgres::Postgres::start(),
}
