//! Stock: how many of each product there are, and reservations that take from them.
//!
//! | | |
//! |---|---|
//! | `GET /levels?sku=…&sku=…` | several levels; unknown numbers are left out |
//! | `GET /levels/{sku}` | one level |
//! | `POST /reservations` | `{ key, sku, quantity }`; the same key again gives the same reservation |
//! | `GET /reservations/{id}` | one reservation |
//! | `DELETE /reservations/{id}` | gives the pieces back; a repeat changes nothing more |

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{
        Path, RawQuery, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::StatusCode,
    routing,
};
use serde::{Deserialize, Serialize};

use super::{MAX_RECORDS, problem::Problem};

/// The most pieces in one reservation.
const MAX_QUANTITY: u32 = 100;

#[derive(Clone, Debug, Default)]
struct Stock(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    levels: BTreeMap<String, Level>,
    /// Numbered from 1: `r-1` stands first.
    reservations: Vec<Reservation>,
    by_key: BTreeMap<String, usize>,
}

#[derive(Clone, Debug, Serialize)]
struct Level {
    sku: String,
    on_hand: u32,
    reserved: u32,
    available: u32,
}

#[derive(Clone, Debug, Serialize)]
struct Reservation {
    id: String,
    sku: String,
    quantity: u32,
    status: Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Held,
    Cancelled,
}

pub(super) fn router(skus: impl IntoIterator<Item = String>) -> Router {
    let levels = skus
        .into_iter()
        .map(|sku| {
            let on_hand = invented_level(&sku);
            (sku.clone(), Level { sku, on_hand, reserved: 0, available: on_hand })
        })
        .collect();
    let stock = Stock(Arc::new(Mutex::new(Books { levels, ..Books::default() })));
    Router::new()
        .route("/levels", routing::get(several))
        .route("/levels/{sku}", routing::get(one))
        .route("/reservations", routing::post(reserve))
        .route("/reservations/{id}", routing::get(show).delete(cancel))
        .with_state(stock)
}

/// 0 to 40 pieces, always the same for a number; one product in eight is sold out.
fn invented_level(sku: &str) -> u32 {
    // FNV-1a: small, and the same on every machine.
    let hash =
        sku.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    if hash % 8 == 0 { 0 } else { 1 + (hash >> 8) % 40 }
}

impl Stock {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn position(&self, id: &str) -> Result<usize, Problem> {
        id.strip_prefix("r-")
            .and_then(|number| number.parse::<usize>().ok()?.checked_sub(1))
            .filter(|at| *at < self.reservations.len())
            .ok_or_else(|| Problem::not_found("reservation", id))
    }
}

async fn several(State(stock): State<Stock>, RawQuery(query): RawQuery) -> Json<Vec<Level>> {
    let books = stock.books();
    let pairs = url::form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes());
    let skus = pairs.filter(|(name, _)| name == "sku");
    Json(skus.filter_map(|(_, sku)| books.levels.get(&*sku).cloned()).collect())
}

async fn one(
    State(stock): State<Stock>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Level>, Problem> {
    let Path(sku) = path?;
    stock.books().levels.get(&sku).cloned().map(Json).ok_or_else(|| Problem::not_found("product", &sku))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reserve {
    key: String,
    sku: String,
    quantity: u32,
}

async fn reserve(
    State(stock): State<Stock>,
    body: Result<Json<Reserve>, JsonRejection>,
) -> Result<(StatusCode, Json<Reservation>), Problem> {
    let Json(Reserve { key, sku, quantity }) = body?;
    if key.is_empty() || key.len() > 200 {
        return Err(Problem::invalid("`key` must have 1 to 200 characters"));
    }
    if !(1..=MAX_QUANTITY).contains(&quantity) {
        return Err(Problem::invalid(format!("`quantity` must be 1 to {MAX_QUANTITY}, not {quantity}")));
    }
    let mut books = stock.books();
    let books = &mut *books;
    if let Some(at) = books.by_key.get(&key) {
        let earlier = &books.reservations[*at];
        if earlier.sku != sku || earlier.quantity != quantity {
            return Err(Problem::conflict("key_reused", "this key belongs to another reservation"));
        }
        return Ok((StatusCode::OK, Json(earlier.clone())));
    }
    if books.reservations.len() >= MAX_RECORDS {
        return Err(Problem::full());
    }
    let level = books.levels.get_mut(&sku).ok_or_else(|| Problem::not_found("product", &sku))?;
    if level.available < quantity {
        let text = format!("{} of `{sku}` are available, {quantity} were asked for", level.available);
        return Err(Problem::conflict("not_enough", text));
    }
    level.available -= quantity;
    level.reserved += quantity;
    let at = books.reservations.len();
    let reservation = Reservation { id: format!("r-{}", at + 1), sku, quantity, status: Status::Held };
    books.reservations.push(reservation.clone());
    books.by_key.insert(key, at);
    Ok((StatusCode::CREATED, Json(reservation)))
}

async fn show(
    State(stock): State<Stock>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Reservation>, Problem> {
    let Path(id) = path?;
    let books = stock.books();
    let at = books.position(&id)?;
    Ok(Json(books.reservations[at].clone()))
}

async fn cancel(
    State(stock): State<Stock>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Reservation>, Problem> {
    let Path(id) = path?;
    let mut books = stock.books();
    let at = books.position(&id)?;
    let books = &mut *books;
    let reservation = &mut books.reservations[at];
    if reservation.status == Status::Held {
        reservation.status = Status::Cancelled;
        if let Some(level) = books.levels.get_mut(&reservation.sku) {
            level.available += reservation.quantity;
            level.reserved -= reservation.quantity;
        }
    }
    Ok(Json(reservation.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::testing::send, *};

    fn shop() -> Router {
        router(["046d:c52b".to_owned(), "046d:c077".to_owned()])
    }

    async fn available(router: &Router, sku: &str) -> u64 {
        let (status, level) = send(router, &format!("GET /levels/{sku}"), &[], "").await;
        assert_eq!(status, 200);
        level["available"].as_u64().unwrap()
    }

    #[tokio::test]
    async fn a_key_reserves_once() {
        let router = shop();
        let before = available(&router, "046d:c52b").await;
        let body = json!({ "key": "k1", "sku": "046d:c52b", "quantity": 1 }).to_string();
        let (status, first) = send(&router, "POST /reservations", &[], body.clone()).await;
        assert_eq!((status.as_u16(), &first["id"]), (201, &json!("r-1")));
        let (status, again) = send(&router, "POST /reservations", &[], body).await;
        assert_eq!((status.as_u16(), again), (200, first));
        assert_eq!(available(&router, "046d:c52b").await, before - 1);

        let other = json!({ "key": "k1", "sku": "046d:c52b", "quantity": 2 }).to_string();
        let (status, problem) = send(&router, "POST /reservations", &[], other).await;
        assert_eq!((status.as_u16(), &problem["error"]), (409, &json!("key_reused")));
    }

    #[tokio::test]
    async fn a_cancelled_reservation_gives_back_once() {
        let router = shop();
        let before = available(&router, "046d:c52b").await;
        let body = json!({ "key": "k1", "sku": "046d:c52b", "quantity": 1 }).to_string();
        send(&router, "POST /reservations", &[], body).await;
        for _ in 0..2 {
            let (status, gone) = send(&router, "DELETE /reservations/r-1", &[], "").await;
            assert_eq!((status.as_u16(), &gone["status"]), (200, &json!("cancelled")));
            assert_eq!(available(&router, "046d:c52b").await, before);
        }
    }

    #[tokio::test]
    async fn says_no_with_a_reason() {
        let router = shop();
        let reserve = async |sku: &str, quantity: i64| {
            let body = json!({ "key": format!("{sku}{quantity}"), "sku": sku, "quantity": quantity });
            let (status, problem) = send(&router, "POST /reservations", &[], body.to_string()).await;
            (status.as_u16(), problem["error"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(reserve("046d:c52b", 100).await, (409, "not_enough".into()));
        assert_eq!(reserve("046d:c52b", 101).await, (422, "invalid".into()));
        assert_eq!(reserve("046d:c52b", 0).await, (422, "invalid".into()));
        assert_eq!(reserve("046d:c52b", -1).await, (422, "unreadable".into()));
        assert_eq!(reserve("nothing", 1).await, (404, "not_found".into()));
        for line in
            ["GET /reservations/r-1", "GET /reservations/r-0", "DELETE /reservations/x", "GET /levels/x"]
        {
            assert_eq!(send(&router, line, &[], "").await.0, 404, "{line}");
        }
    }

    #[tokio::test]
    async fn several_levels_leave_out_the_unknown() {
        let (_, levels) = send(&shop(), "GET /levels?sku=046d:c077&sku=nothing&sku=046d:c52b", &[], "").await;
        let skus: Vec<_> =
            levels.as_array().unwrap().iter().map(|level| level["sku"].as_str().unwrap()).collect();
        assert_eq!(skus, ["046d:c077", "046d:c52b"]);
    }
}
