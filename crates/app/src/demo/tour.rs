//! The tour: a client's requests, what came back, and whether that was right.

use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use renkei_mcp::client::{Client, Era};
use serde_json::{Value, json};

use super::{example::Example, paper::Paper, systems::Systems};

/// Takes the tour; the error says which step did not go as it should.
pub(super) async fn take(
    url: &str,
    systems: &Systems,
    example: &Example,
    paper: Paper,
) -> anyhow::Result<()> {
    let client = Client::connect(url, Era::Modern, "renkei-demo").await.context("failed to connect")?;
    paper.text(&format!("A client connects (MCP {}).", client.version()));
    let mut tour = Tour { url: url.to_owned(), client, systems, paper, step: 0 };
    tour.list().await?;
    let skus = tour.search().await?;
    let (sku, price) = tour.stock(&skus).await?;
    let reservation = tour.reserve(&sku).await?;
    tour.pay(&reservation, price).await?;
    let parcel = tour.send(&reservation).await?;
    tour.recover(&parcel).await?;
    tour.refuse_input(&sku).await?;
    tour.refuse_injection().await?;
    tour.broken_config(example)?;
    tour.client.close().await.context("failed to disconnect")
}

struct Tour<'a> {
    url: String,
    client: Client,
    systems: &'a Systems,
    paper: Paper,
    step: usize,
}

impl Tour<'_> {
    fn title(&mut self, text: &str) {
        self.step += 1;
        self.paper.heading(&format!("{}. {text}", self.step));
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        self.title("Which tools are there?");
        self.paper.ask("tools/list");
        let tools = self.client.list_tools().await?;
        let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
        for row in names.chunks(5) {
            self.paper.answer(&row.join(", "));
        }
        ensure!(names.len() == 13, "13 tools were expected, {} are listed", names.len());
        let hint = |tool: &str, hint: &str| {
            tools.iter().find(|entry| entry["name"] == tool).map(|entry| entry["annotations"][hint].clone())
        };
        ensure!(hint("search_products", "readOnlyHint") == Some(true.into()), "a search should be read-only");
        ensure!(hint("search_products", "openWorldHint") == Some(false.into()), "a file is no open world");
        ensure!(hint("reserve", "readOnlyHint") == Some(false.into()), "a reservation is no read");
        let older = Client::connect(&self.url, Era::Legacy, "renkei-demo").await?;
        ensure!(older.list_tools().await?.len() == names.len(), "an older client sees another list");
        self.paper.checked(&format!(
            "13 tools on 4 systems; the same for an older client (MCP {})",
            older.version()
        ));
        older.close().await?;
        Ok(())
    }

    async fn search(&mut self) -> anyhow::Result<Vec<String>> {
        self.title("Search the catalogue (SQLite)");
        let arguments = json!({ "text": "laser mouse", "category": "mice", "order": "dearest", "limit": 4 });
        let found = self.succeed("search_products", arguments).await?;
        let products = found["products"].as_array().context("`products` is not a list")?;
        ensure!(products.len() == 4, "4 products were expected, {} came", products.len());
        let prices: Vec<_> = products.iter().map(|product| product["price_cents"].as_i64()).collect();
        ensure!(prices.is_sorted_by(|a, b| a >= b), "the dearest should come first");
        self.paper
            .checked("arguments are bound parameters; the order is one of three that the config offers");
        products
            .iter()
            .map(|product| product["sku"].as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .context("a product has no number")
    }

    /// Gives the first of `skus` that is in stock, and its price in cents.
    async fn stock(&mut self, skus: &[String]) -> anyhow::Result<(String, i64)> {
        self.title("Which of them are there? (REST)");
        let levels = self.succeed("stock_levels", json!({ "skus": skus })).await?;
        let levels = levels["result"].as_array().context("`result` is not a list")?;
        ensure!(levels.len() == skus.len(), "{} levels were expected, {} came", skus.len(), levels.len());
        let there = levels.iter().find(|level| level["available"].as_i64() >= Some(1));
        let sku = there.and_then(|level| level["sku"].as_str()).context("nothing is in stock")?.to_owned();
        let product = self.succeed("get_product", json!({ "sku": sku })).await?;
        ensure!(product["sku"] == sku, "another product came");
        self.paper.checked("another system, the same way to ask; a list became ?sku=…&sku=…");
        let price = product["price_cents"].as_i64().context("the product has no price")?;
        Ok((sku, price))
    }

    async fn available(&mut self, sku: &str) -> anyhow::Result<i64> {
        let result = self.client.call_tool("stock_levels", json!({ "skus": [sku] }), |_| ()).await?;
        result["structuredContent"]["result"][0]["available"].as_i64().context("there is no level")
    }

    async fn reserve(&mut self, sku: &str) -> anyhow::Result<String> {
        self.title("Reserve a piece while the stock service fails once");
        let before = self.available(sku).await?;
        let seen = self.systems.stock.faults.seen();
        self.systems.stock.faults.arm(1);
        let reservation = self.succeed("reserve", json!({ "sku": sku, "quantity": 1 })).await?;
        let requests = self.systems.stock.faults.seen() - seen;
        ensure!(requests == 2, "2 requests were expected, the service saw {requests}");
        let after = self.available(sku).await?;
        ensure!(after == before - 1, "{before} were available, now {after}");
        self.paper.checked("repeated with the same key: 2 requests, 1 reservation");
        let id = reservation["id"].as_str().context("the reservation has no id")?;
        Ok(id.to_owned())
    }

    async fn pay(&mut self, reservation: &str, price: i64) -> anyhow::Result<()> {
        self.title("Pay: one card is declined, the next one pays");
        let charge = |card: &str| json!({ "amount_cents": price, "card": card, "reference": reservation });
        let text = self.fail("charge_card", charge("card-empty")).await?;
        ensure!(text.contains("insufficient funds"), "the bank's reason is missing");
        self.paper.checked("the bank answered 200; `reject_when` makes it the no that it is");
        let paid = self.succeed("charge_card", charge("card-visa")).await?;
        ensure!(paid["status"] == "paid", "the card did not pay");
        Ok(())
    }

    async fn send(&mut self, reservation: &str) -> anyhow::Result<String> {
        self.title("Send it");
        let arguments = json!({
            "reservation": reservation, "name": "Ada Byron", "street": "12 St James's Sq", "city": "London",
            "country": "GB", "weight_grams": 420,
        });
        let parcel = self.succeed("create_parcel", arguments).await?;
        ensure!(parcel["service"] == "standard", "the default was not applied");
        let number = parcel["number"].as_str().context("the parcel has no number")?;
        Ok(number.to_owned())
    }

    async fn recover(&mut self, parcel: &str) -> anyhow::Result<()> {
        self.title("Track it while the parcels service fails twice");
        let seen = self.systems.parcels.faults.seen();
        self.systems.parcels.faults.arm(2);
        let tracked = self.succeed("track_parcel", json!({ "number": parcel })).await?;
        ensure!(tracked["number"] == parcel, "another parcel came");
        let requests = self.systems.parcels.faults.seen() - seen;
        ensure!(requests == 3, "3 requests were expected, the service saw {requests}");
        self.paper
            .checked("503, 503, 200: the retry layer waited and asked again; the client saw only the answer");
        Ok(())
    }

    async fn refuse_input(&mut self, sku: &str) -> anyhow::Result<()> {
        self.title("Input that does not fit, and what the model reads");
        let seen = self.systems.stock.faults.seen();
        let text = self.fail("reserve", json!({ "sku": sku, "quantity": "two", "colour": "red" })).await?;
        for word in ["quantity", "colour"] {
            ensure!(text.contains(word), "the text does not name `{word}`");
        }
        ensure!(self.systems.stock.faults.seen() == seen, "something was sent");
        self.paper.checked("every problem at once; nothing was sent to the system");
        Ok(())
    }

    async fn refuse_injection(&mut self) -> anyhow::Result<()> {
        self.title("Input that wants to be something else");
        let hostile = json!({ "text": "'; drop table products; --" });
        let found = self.succeed("search_products", hostile).await?;
        ensure!(found["products"] == json!([]), "something was found");
        let text = self.fail("get_reservation", json!({ "id": ".." })).await?;
        ensure!(!text.is_empty(), "there is no text");
        let still = self.client.call_tool("search_products", json!({ "limit": 1 }), |_| ()).await?;
        ensure!(still["structuredContent"]["products"][0].is_object(), "the catalogue is gone");
        self.paper.checked("a value stays a value: bound in SQL, encoded in a path");
        Ok(())
    }

    fn broken_config(&mut self, example: &Example) -> anyhow::Result<()> {
        self.title("A config with mistakes");
        let path = example.broken();
        self.paper.ask(&format!("renkei check {}", path.display()));
        let Err(report) = crate::load::load(&[path], false) else {
            bail!("the broken config was accepted");
        };
        let text = report.render(self.paper.style());
        self.paper.indented(&text);
        for word in ["timout", "strng", "stok", "quantty"] {
            ensure!(text.contains(word), "the report does not name `{word}`");
        }
        self.paper.checked("every problem at once, with its place and a hint; nothing was started");
        Ok(())
    }

    /// Calls a tool that should answer, and gives its structured content.
    async fn succeed(&mut self, tool: &str, arguments: Value) -> anyhow::Result<Value> {
        let result = self.call(tool, arguments).await?;
        ensure!(result["isError"] != true, "`{tool}` answered with an error");
        Ok(result["structuredContent"].clone())
    }

    /// Calls a tool that should refuse, and gives the text that the model reads.
    async fn fail(&mut self, tool: &str, arguments: Value) -> anyhow::Result<String> {
        let result = self.call(tool, arguments).await?;
        ensure!(result["isError"] == true, "`{tool}` should have refused");
        Ok(text_of(&result))
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> anyhow::Result<Value> {
        self.paper.ask(&format!("{tool} {arguments}"));
        let start = Instant::now();
        let result = self.client.call_tool(tool, arguments, |_| ()).await?;
        let took = start.elapsed();
        match &result["structuredContent"] {
            Value::Null => self.paper.words(&text_of(&result)),
            value => self.paper.answer(&rows(value)),
        }
        self.paper.took(took);
        Ok(result)
    }
}

/// All text parts of a result.
fn text_of(result: &Value) -> String {
    let parts = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}

/// JSON with one line a member; a list of objects as a table.
fn rows(value: &Value) -> String {
    let Value::Object(members) = value else { return value.to_string() };
    let mut lines = Vec::new();
    for (name, member) in members {
        match member.as_array() {
            Some(items) if !items.is_empty() => {
                lines.push(format!("{name}:"));
                lines.extend(table(items).into_iter().map(|row| format!("  {row}")));
            }
            _ => lines.push(format!("{name}: {member}")),
        }
    }
    lines.join("\n")
}

/// The members of flat objects in columns, under their names; anything else a line each.
fn table(items: &[Value]) -> Vec<String> {
    let plain = || items.iter().map(Value::to_string).collect();
    let Some(names) = items.first().and_then(Value::as_object) else { return plain() };
    let names: Vec<&String> = names.keys().collect();
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut rows: Vec<Vec<String>> = vec![names.iter().map(ToString::to_string).collect()];
    rows.extend(items.iter().map(|item| names.iter().map(|name| cell(&item[name.as_str()])).collect()));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_shown_in_rows() {
        let products = json!([{ "sku": "a", "n": 10 }, { "sku": "bcd", "n": 2 }]);
        let value = json!({ "products": products, "none": [], "plain": [1, 2], "more": false });
        let shown = "products:\n  sku  n\n  a    10\n  bcd  2\nnone: []\nplain:\n  1\n  2\nmore: false";
        assert_eq!(rows(&value), shown);
    }
}
