//! Parcels: takes a parcel, says where it is, and gives it back while it has not left.
//!
//! | | |
//! |---|---|
//! | `POST /parcels` | `{ reference, to: { name, street, city, postcode?, country }, weight_grams, service? }`; a reference is taken once |
//! | `GET /parcels/{number}` | status and history; a parcel moves by itself, a stop every 30 s |
//! | `DELETE /parcels/{number}` | while it is `announced` |

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::StatusCode,
    routing,
};
use serde::{Deserialize, Serialize};

use super::{MAX_RECORDS, problem::Problem};

const MAX_WEIGHT_GRAMS: u32 = 30_000;

/// From one stop to the next.
const STOP_EVERY: Duration = Duration::from_secs(30);

const STOPS: [&str; 4] = ["announced", "collected", "in_transit", "delivered"];

#[derive(Clone, Debug, Default)]
struct Office(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    /// Numbered from 1: `P000001` stands first.
    parcels: Vec<Parcel>,
    by_reference: BTreeMap<String, usize>,
}

#[derive(Clone, Debug)]
struct Parcel {
    number: String,
    new: NewParcel,
    announced: SystemTime,
    cancelled: bool,
}

#[derive(Debug, Serialize)]
struct View {
    number: String,
    reference: String,
    status: &'static str,
    service: Delivery,
    to: Address,
    weight_grams: u32,
    history: Vec<Stop>,
}

#[derive(Debug, Serialize)]
struct Stop {
    status: &'static str,
    /// RFC 3339.
    at: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewParcel {
    reference: String,
    to: Address,
    weight_grams: u32,
    #[serde(default)]
    service: Delivery,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Address {
    name: String,
    street: String,
    city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    postcode: Option<String>,
    /// ISO 3166-1, two letters.
    country: String,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Delivery {
    #[default]
    Standard,
    Express,
}

pub(super) fn router() -> Router {
    Router::new()
        .route("/parcels", routing::post(announce))
        .route("/parcels/{number}", routing::get(track).delete(cancel))
        .with_state(Office::default())
}

impl Office {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn position(&self, number: &str) -> Result<usize, Problem> {
        number
            .strip_prefix('P')
            .and_then(|digits| digits.parse::<usize>().ok()?.checked_sub(1))
            .filter(|at| *at < self.parcels.len())
            .ok_or_else(|| Problem::not_found("parcel", number))
    }
}

impl Parcel {
    /// How many stops it has reached after `age`.
    fn stops(age: Duration) -> usize {
        1 + usize::try_from(age.as_secs() / STOP_EVERY.as_secs()).unwrap_or(STOPS.len()).min(STOPS.len() - 1)
    }

    fn view(&self, now: SystemTime) -> View {
        let reached = Self::stops(now.duration_since(self.announced).unwrap_or_default());
        let at = |stop: u32| {
            let time = jiff::Timestamp::try_from(self.announced + STOP_EVERY * stop).unwrap_or_default();
            format!("{time:.0}")
        };
        let mut history: Vec<Stop> =
            (0u32..).zip(STOPS).take(reached).map(|(stop, status)| Stop { status, at: at(stop) }).collect();
        if self.cancelled {
            history = vec![Stop { status: STOPS[0], at: at(0) }, Stop { status: "cancelled", at: at(0) }];
        }
        let NewParcel { reference, to, weight_grams, service } = self.new.clone();
        View {
            number: self.number.clone(),
            reference,
            status: history.last().map_or(STOPS[0], |stop| stop.status),
            service,
            to,
            weight_grams,
            history,
        }
    }
}

fn check(new: &NewParcel) -> Result<(), Problem> {
    let Address { name, street, city, country, .. } = &new.to;
    for (field, text) in [("reference", &new.reference), ("name", name), ("street", street), ("city", city)] {
        if text.trim().is_empty() || text.len() > 200 {
            return Err(Problem::invalid(format!("`{field}` must have 1 to 200 characters")));
        }
    }
    if country.len() != 2 || !country.bytes().all(|letter| letter.is_ascii_uppercase()) {
        return Err(Problem::invalid(format!("`country` must be two capital letters, not `{country}`")));
    }
    if !(1..=MAX_WEIGHT_GRAMS).contains(&new.weight_grams) {
        let text = format!("`weight_grams` must be 1 to {MAX_WEIGHT_GRAMS}, not {}", new.weight_grams);
        return Err(Problem::invalid(text));
    }
    Ok(())
}

async fn announce(
    State(office): State<Office>,
    body: Result<Json<NewParcel>, JsonRejection>,
) -> Result<(StatusCode, Json<View>), Problem> {
    let Json(new) = body?;
    check(&new)?;
    let mut books = office.books();
    if let Some(at) = books.by_reference.get(&new.reference) {
        let number = &books.parcels[*at].number;
        let text = format!("`{}` already travels as parcel {number}", new.reference);
        return Err(Problem::conflict("reference_taken", text));
    }
    if books.parcels.len() >= MAX_RECORDS {
        return Err(Problem::full());
    }
    let at = books.parcels.len();
    books.by_reference.insert(new.reference.clone(), at);
    let announced = SystemTime::now();
    let parcel = Parcel { number: format!("P{:06}", at + 1), new, announced, cancelled: false };
    let view = parcel.view(announced);
    books.parcels.push(parcel);
    Ok((StatusCode::CREATED, Json(view)))
}

async fn track(
    State(office): State<Office>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<View>, Problem> {
    let Path(number) = path?;
    let books = office.books();
    let at = books.position(&number)?;
    Ok(Json(books.parcels[at].view(SystemTime::now())))
}

async fn cancel(
    State(office): State<Office>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<View>, Problem> {
    let Path(number) = path?;
    let now = SystemTime::now();
    let mut books = office.books();
    let at = books.position(&number)?;
    let status = books.parcels[at].view(now).status;
    if status != STOPS[0] && status != "cancelled" {
        let text = format!("parcel {number} is {status}; only an announced one can be cancelled");
        return Err(Problem::conflict("too_late", text));
    }
    books.parcels[at].cancelled = true;
    let reference = books.parcels[at].new.reference.clone();
    // The reference may be used for a new parcel.
    books.by_reference.remove(&reference);
    Ok(Json(books.parcels[at].view(now)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::testing::send, *};

    fn parcel(change: &[(&str, Value)]) -> String {
        let to = json!({ "name": "Ada", "street": "12 Hill Rd", "city": "London", "country": "GB" });
        let mut parcel = json!({ "reference": "r-1", "to": to, "weight_grams": 500 });
        for (pointer, value) in change {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            parcel.pointer_mut(parent).unwrap()[key] = value.clone();
        }
        parcel.to_string()
    }

    #[tokio::test]
    async fn a_parcel_can_be_announced_tracked_and_cancelled() {
        let router = router();
        let (status, new) = send(&router, "POST /parcels", &[], parcel(&[])).await;
        assert_eq!((status.as_u16(), &new["number"]), (201, &json!("P000001")));
        assert_eq!((&new["status"], &new["service"]), (&json!("announced"), &json!("standard")));
        let (status, problem) = send(&router, "POST /parcels", &[], parcel(&[])).await;
        assert_eq!((status.as_u16(), &problem["error"]), (409, &json!("reference_taken")));
        assert_eq!(send(&router, "GET /parcels/P000001", &[], "").await.1, new);
        for _ in 0..2 {
            let (status, gone) = send(&router, "DELETE /parcels/P000001", &[], "").await;
            assert_eq!((status.as_u16(), &gone["status"]), (200, &json!("cancelled")));
        }
        assert_eq!(send(&router, "POST /parcels", &[], parcel(&[])).await.1["number"], "P000002");
        assert_eq!(send(&router, "GET /parcels/P000009", &[], "").await.0, 404);
    }

    #[tokio::test]
    async fn refuses_what_it_cannot_deliver() {
        let router = router();
        let wrong = [
            ("/reference", json!(" ")),
            ("/to/city", json!("")),
            ("/to/country", json!("uk")),
            ("/weight_grams", json!(0)),
            ("/weight_grams", json!(30_001)),
            ("/service", json!("teleport")),
            ("/extra", json!(1)),
        ];
        for (pointer, value) in wrong {
            let body = parcel(&[(pointer, value.clone())]);
            assert_eq!(send(&router, "POST /parcels", &[], body).await.0, 422, "{pointer}: {value}");
        }
    }

    #[test]
    fn a_parcel_moves_with_time() {
        let stops: Vec<_> =
            [0, 29, 30, 60, 90, 9_000].map(|age| Parcel::stops(Duration::from_secs(age))).into();
        assert_eq!(stops, [1, 1, 2, 3, 4, 4]);
    }
}
