//! The threads that read: a few, each with a connection of its own, fed from one queue.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
};

use renkei_core::{Applied, Error, Result};
use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{
    error::{Doing, Trouble, breaks},
    open::{self, Options},
};
use crate::measure::Measures;

/// Reads that wait for a thread; more wait outside.
const WAITING: usize = 256;

type Work = Box<dyn FnOnce(&mut Reader) + Send>;

#[derive(Debug)]
pub(super) struct Readers {
    options: Arc<Options>,
    measures: Measures,
    works: Mutex<Option<Sender<Work>>>,
    room: Semaphore,
    /// Ends when the last thread has.
    alive: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

pub(super) struct Reader {
    options: Arc<Options>,
    connection: Option<Connection>,
}

impl Readers {
    pub(super) fn start(options: Arc<Options>, measures: Measures) -> Result<Self> {
        let (sender, receiver) = channel::<Work>();
        let receiver = Arc::new(Mutex::new(receiver));
        let (living, alive) = mpsc::channel(1);
        for number in 0..options.readers.max(1) {
            let (receiver, options, living) = (receiver.clone(), options.clone(), living.clone());
            std::thread::Builder::new()
                .name(format!("store-read-{number}"))
                .spawn(move || {
                    let _living = living;
                    serve(&receiver, options);
                })
                .map_err(|why| {
                    Error::unavailable("open the store: no thread could be started").detail(why)
                })?;
        }
        let (works, room) = (Mutex::new(Some(sender)), Semaphore::new(WAITING));
        Ok(Readers { options, measures, works, room, alive: tokio::sync::Mutex::new(alive) })
    }

    /// Waits for the threads, and with them for their connections.
    pub(super) async fn close(&self) {
        self.room.close();
        self.works.lock().unwrap_or_else(PoisonError::into_inner).take();
        while self.alive.lock().await.recv().await.is_some() {}
    }

    /// Reads one moment of the file.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.measures.read(self.ask(work)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let closed = || {
            Error::unavailable(format!("read from the store `{}`: it is closed", self.options.path.display()))
        };
        let _room = self.room.acquire().await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |reader| {
            let _ = answer.send(reader.snapshot(work));
        });
        let sent = match &*self.works.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(works) => works.send(work).is_ok(),
            None => false,
        };
        if !sent {
            return Err(closed());
        }
        answered.await.unwrap_or_else(|_| {
            let path = self.options.path.display();
            Err(Error::internal(format!("read from the store `{path}`: it failed unexpectedly"))
                .applied(Applied::No))
        })
    }
}

fn serve(works: &Mutex<Receiver<Work>>, options: Arc<Options>) {
    let mut reader = Reader { options, connection: None };
    loop {
        let work = works.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = work else { return };
        if catch_unwind(AssertUnwindSafe(|| work(&mut reader))).is_err() {
            reader.connection = None;
        }
    }
}

impl Reader {
    fn snapshot<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let done = (|| {
            let connection = match self.connection.take() {
                Some(connection) => connection,
                None => open::reader(&self.options)?,
            };
            let connection = self.connection.insert(connection);
            let transaction = connection.transaction()?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })();
        done.map_err(|why| {
            if breaks(&why) {
                self.connection = None;
            }
            Trouble { path: &self.options.path, doing: Doing::Read }.error(&why)
        })
    }
}
