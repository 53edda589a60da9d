//! One open connection, and the statements that it has prepared.
//!
//! The library's connection is a future that moves bytes. It is polled by the call that uses it, so that no
//! task runs beside the calls: while nobody uses a connection, nothing happens on it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use indexmap::IndexMap;
use renkei_pg::Target;
use tokio_postgres::{Client, Connection, Error, Socket, Statement, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::rows::Columns;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 100;

type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// An open connection.
pub(super) struct Session {
    pub(super) wire: Wire,
    pub(super) link: Link,
}

/// The half that moves bytes.
pub(super) struct Wire {
    /// Nothing when it has ended; dropping it wakes whoever waits for an answer.
    connection: Option<Box<Connection<Socket, Stream>>>,
    /// The server's last word.
    ended: Option<Error>,
}

/// The half that asks.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) statements: Statements,
}

impl Session {
    /// Connects, and sets what every statement relies on.
    pub(super) async fn open(
        target: &Target,
        tls: MakeRustlsConnect,
        settings: &Settings<'_>,
    ) -> Result<Session, Error> {
        let (client, connection) = target.postgres.connect(tls).await?;
        let text = settings.text(connection.parameter("server_version"));
        let mut wire = Wire { connection: Some(Box::new(connection)), ended: None };
        let set = wire.drive(client.batch_execute(&text)).await;
        if let Err(why) = set {
            return Err(wire.ended.filter(|_| why.is_closed()).unwrap_or(why));
        }
        Ok(Session { wire, link: Link { client, statements: Statements::default() } })
    }

    /// Whether the connection is still open, as far as is known here.
    pub(super) async fn is_open(&mut self) -> bool {
        let mut looked = false;
        // One look at the socket: what the server said meanwhile, or that it is gone.
        self.wire
            .drive(poll_fn(|_| match std::mem::replace(&mut looked, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }))
            .await;
        self.wire.connection.is_some() && !self.link.client.is_closed()
    }
}

impl Wire {
    /// Does the work while the connection moves its bytes.
    pub(super) async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            self.move_bytes(cx);
            // What has just come in may be all that it waited for.
            work.as_mut().poll(cx)
        })
        .await
    }

    fn move_bytes(&mut self, cx: &mut Context<'_>) {
        while let Some(connection) = &mut self.connection {
            match connection.poll_message(cx) {
                Poll::Pending => return,
                // Notices and notifications are for nobody.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(why))) => {
                    self.ended = Some(why);
                    self.connection = None;
                }
                Poll::Ready(None) => self.connection = None,
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// Why the connection ended, if the server or the network said so.
    pub(super) fn ended(&self) -> Option<&Error> {
        self.ended.as_ref()
    }
}

/// What is set once for each connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'a> {
    pub(super) read_only: bool,
    pub(super) search_path: &'a [String],
}

/// From this version on the server looks whether its client is still there while it works.
const CHECKS_CLIENT: u32 = 14;

impl Settings<'_> {
    fn text(&self, version: Option<&str>) -> String {
        // The lexer relies on the first: a backslash in a plain text is just that.
        let mut text = String::from(
            "set standard_conforming_strings = on; set datestyle = 'ISO, YMD'; set intervalstyle = 'iso_8601'",
        );
        if self.read_only {
            text.push_str("; set default_transaction_read_only = on");
        }
        if !self.search_path.is_empty() {
            let names: Vec<String> =
                self.search_path.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
            text.push_str("; set search_path = ");
            text.push_str(&names.join(", "));
        }
        let major = version.and_then(|version| version.split(|char: char| !char.is_ascii_digit()).next());
        if major.and_then(|major| major.parse().ok()).is_some_and(|major: u32| major >= CHECKS_CLIENT) {
            text.push_str("; set client_connection_check_interval = '5s'");
        }
        text
    }
}

/// A statement as the server has it.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) statement: Statement,
    pub(super) columns: Arc<Columns>,
}

/// The statements that were used last.
#[derive(Debug, Default)]
pub(super) struct Statements(IndexMap<String, Prepared>);

impl Statements {
    pub(super) fn get(&mut self, text: &str) -> Option<Prepared> {
        let index = self.0.get_index_of(text)?;
        self.0.move_index(index, self.0.len() - 1);
        self.0.get(text).cloned()
    }

    /// Keeps it; the one that was used longest ago may have to go.
    pub(super) fn keep(&mut self, text: &str, prepared: Prepared) {
        if self.0.len() >= STATEMENTS {
            self.0.shift_remove_index(0);
        }
        self.0.insert(text.to_owned(), prepared);
    }

    pub(super) fn forget(&mut self, text: &str) {
        self.0.shift_remove(text);
    }
}
