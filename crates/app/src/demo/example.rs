//! Where the shop's config is: in the clone, or, when the demo runs elsewhere, unpacked from the binary.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

/// The shop's config and its catalogue on disk.
#[derive(Debug)]
pub(super) struct Example {
    /// The folder `examples`.
    root: PathBuf,
    /// Removes the unpacked copy at the end.
    unpacked: Option<TempDir>,
}

/// What is unpacked: path below `examples`, content.
macro_rules! files {
    ($($path:literal)*) => { &[$(($path, include_bytes!(concat!("../../../../examples/", $path)))),*] };
}
const FILES: &[(&str, &[u8])] = files! {
    "broken.yaml" "shop/shop.yaml" "shop/catalogue.yaml" "shop/stock.yaml" "shop/bank.yaml" "shop/parcels.yaml"
    "shop/catalogue.db" "shop/LICENSE-USB-IDS"
};

impl Example {
    /// The clone's `examples` if the demo runs in its root, so that a reader can edit what is served.
    pub(super) fn find() -> anyhow::Result<Self> {
        let root = Path::new("examples");
        if FILES.iter().all(|(path, _)| root.join(path).is_file()) {
            return Ok(Example { root: root.into(), unpacked: None });
        }
        Self::unpack()
    }

    fn unpack() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("renkei-demo-")
            .tempdir()
            .context("failed to make a temporary folder")?;
        for (path, content) in FILES {
            let path = folder.path().join(path);
            let written = std::fs::create_dir_all(path.parent().unwrap_or(folder.path()))
                .and_then(|()| std::fs::write(&path, content));
            written.with_context(|| format!("failed to write `{}`", path.display()))?;
        }
        Ok(Example { root: folder.path().into(), unpacked: Some(folder) })
    }

    /// The folder that is served.
    pub(super) fn shop(&self) -> PathBuf {
        self.root.join("shop")
    }

    /// The config with mistakes.
    pub(super) fn broken(&self) -> PathBuf {
        self.root.join("broken.yaml")
    }

    /// Whether the reader can edit what is served.
    pub(super) fn is_in_clone(&self) -> bool {
        self.unpacked.is_none()
    }

    /// The numbers of all products in the catalogue.
    pub(super) fn skus(&self) -> anyhow::Result<Vec<String>> {
        let path = self.shop().join("catalogue.db");
        let read = || {
            let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let mut statement = db.prepare("select sku from products")?;
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        read().with_context(|| format!("failed to read `{}`", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Product = (String, String, String, String, i64, i64);

    fn products(db: &Connection) -> Vec<Product> {
        let mut statement = db.prepare("select * from products order by sku").unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        };
        statement.query_map([], row).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn the_catalogue_is_built_from_its_source() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
        let source = Connection::open_in_memory().unwrap();
        source.execute_batch(&std::fs::read_to_string(folder.join("catalogue.sql")).unwrap()).unwrap();
        let built =
            Connection::open_with_flags(folder.join("catalogue.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)
                .unwrap();
        let (source, built) = (products(&source), products(&built));
        assert!(source.len() > 3_000);
        assert!(
            source == built,
            "catalogue.db is not what catalogue.sql says; in examples/shop, run \
             `rm -f catalogue.db && sqlite3 catalogue.db < catalogue.sql`"
        );
    }

    #[test]
    fn everything_that_the_shop_needs_is_in_the_binary() {
        let example = Example::unpack().unwrap();
        assert!(example.skus().unwrap().len() > 3_000);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".yaml") && !name.ends_with(".test.yaml") {
                assert!(example.shop().join(&name).is_file(), "{name} is not unpacked");
            }
        }
    }
}
