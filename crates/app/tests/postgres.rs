//! `examples/postgres` on a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "whatever fails here fails the test")]

use std::{path::PathBuf, process::Command};

use renkei_testkit::postgres::Server;
use serde_json::{Value, json};

struct Shop {
    server: Server,
    database: String,
}

impl Shop {
    fn new() -> Shop {
        let server = Server::shared();
        let database = server.new_database();
        server.run(&database, &std::fs::read_to_string(folder().join("orders.sql")).unwrap());
        Shop { server, database }
    }

    /// The result of `renkei call`, as JSON.
    fn call(&self, words: &[&str]) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_renkei"))
            .arg("call")
            .args(words)
            .arg("--json")
            .current_dir(folder())
            .env("ORDERS_URL", self.server.url(&self.database))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.server.drop_database(&self.database);
        }
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/postgres")
}

#[test]
fn the_example_works() {
    let shop = Shop::new();
    let placed = shop.call(&["place_order", "customer=ada", "sku=bell", "quantity=2"]);
    assert_eq!(placed["ok"], true, "{placed}");
    let id = placed["structured"]["order_id"].as_str().unwrap_or_else(|| panic!("{placed}"));

    let order = shop.call(&["get_order", &format!("id={id}")]);
    let order = &order["structured"];
    assert_eq!((&order["total"], &order["state"]), (&json!("25.00"), &json!("open")), "{order}");
    assert_eq!(order["lines"], json!([{ "sku": "bell", "quantity": 2 }]));

    let found = |words: &[&str]| {
        let list = shop.call(&[&["find_orders", "customer=ada"], words].concat());
        list["structured"]["result"].as_array().unwrap_or_else(|| panic!("{list}")).len()
    };
    assert_eq!(found(&[]), 1);
    assert_eq!(found(&["states:=[\"open\", \"paid\"]", "order=dearest"]), 1);
    assert_eq!(found(&["states:=[\"shipped\"]"]), 0);

    // More than there is: nothing happens at all.
    let refused = shop.call(&["place_order", "customer=ada", "sku=anvil", "quantity=4"]);
    assert_eq!(refused["error"]["kind"], "not_found", "{refused}");
    assert_eq!(shop.server.run(&shop.database, "select quantity from stock order by sku"), "3\n38");
}
