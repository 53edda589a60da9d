//! The SQLite store in a folder of its own.

use std::sync::Arc;

use async_trait::async_trait;
use renkei_core::{Secret, clock::Clock, store::Maintain};
use renkei_store::{
    sealed::{Keys, Sealed},
    sqlite::{Options, SqliteStore},
};
use tempfile::TempDir;

use crate::member::Member;

pub(crate) struct Sqlite {
    folder: TempDir,
    sealed: bool,
}

impl Sqlite {
    pub(crate) async fn start(sealed: bool) -> Box<dyn Member> {
        Box::new(Sqlite { folder: TempDir::new().unwrap(), sealed })
    }
}

#[async_trait]
impl Member for Sqlite {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Maintain> {
        let options = Options { clock, ..Options::new(self.folder.path().join("renkei.db")) };
        let store = Arc::new(SqliteStore::open(options).await.unwrap());
        if !self.sealed {
            return store;
        }
        let secret = Secret::new("a secret of this test, long enough to be one".to_owned());
        Arc::new(Sealed::new(store, Keys::new(&[secret]).unwrap()))
    }
}
