//! The bank: charges a card on file and refunds it. Form bodies, a bearer token, and the
//! `Idempotency-Key` header, as card processors have them.
//!
//! | | |
//! |---|---|
//! | `POST /charges` | `amount` (cents), `currency`, `card`, `reference`; a declined card is answered 200 with `status: declined` |
//! | `GET /charges/{id}` | one charge |
//! | `POST /charges/{id}/refunds` | `amount` (cents; the rest if left out) |
//!
//! Cards: `card-visa` and `card-jcb` work, `card-empty` has no money, `card-expired` is expired.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Form, Json, Router,
    extract::{
        Path, Request, State,
        rejection::{FormRejection, PathRejection},
    },
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing,
};
use serde::{Deserialize, Serialize};

use super::{MAX_RECORDS, problem::Problem};

/// What the bank wants to see as bearer token. Not a secret: it opens nothing but this stand-in.
pub(crate) const TOKEN: &str = "demo-bank-token";

/// The largest charge, in cents.
const MAX_AMOUNT: u64 = 500_000;

#[derive(Clone, Debug, Default)]
struct Bank(Arc<Mutex<Ledger>>);

#[derive(Debug, Default)]
struct Ledger {
    /// Numbered from 1: `ch-1` stands first.
    charges: Vec<Charge>,
    /// What was asked and answered under a key.
    by_key: BTreeMap<String, (Asked, Charge)>,
}

#[derive(Clone, Debug, Serialize)]
struct Charge {
    id: String,
    status: Status,
    amount: u64,
    refunded: u64,
    currency: String,
    card: String,
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Paid,
    Declined,
    Refunded,
    PartlyRefunded,
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Charge(NewCharge),
    Refund(String, Option<u64>),
}

pub(super) fn router() -> Router {
    Router::new()
        .route("/charges", routing::post(charge))
        .route("/charges/{id}", routing::get(show))
        .route("/charges/{id}/refunds", routing::post(refund))
        .layer(middleware::from_fn(authenticate))
        .with_state(Bank::default())
}

async fn authenticate(request: Request, next: Next) -> Response {
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if token.and_then(|token| token.strip_prefix("Bearer ")) != Some(TOKEN) {
        let text = "send the shop's bearer token";
        return Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", text).into_response();
    }
    next.run(request).await
}

impl Bank {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn position(&self, id: &str) -> Result<usize, Problem> {
        id.strip_prefix("ch-")
            .and_then(|number| number.parse::<usize>().ok()?.checked_sub(1))
            .filter(|at| *at < self.charges.len())
            .ok_or_else(|| Problem::not_found("charge", id))
    }

    /// The answer that `key` had before, if it had one.
    fn earlier(&self, key: &str, asked: &Asked) -> Result<Option<Charge>, Problem> {
        match self.by_key.get(key) {
            Some((earlier, answer)) if earlier == asked => Ok(Some(answer.clone())),
            Some(_) => {
                Err(Problem::conflict("key_reused", "this Idempotency-Key belongs to another request"))
            }
            None if self.by_key.len() >= MAX_RECORDS => Err(Problem::full()),
            None => Ok(None),
        }
    }
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match key.len() {
        1..=200 => Ok(key.to_owned()),
        _ => Err(Problem::invalid("the header Idempotency-Key must have 1 to 200 characters")),
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCharge {
    amount: u64,
    currency: String,
    card: String,
    reference: Option<String>,
}

async fn charge(
    State(bank): State<Bank>,
    headers: HeaderMap,
    body: Result<Form<NewCharge>, FormRejection>,
) -> Result<Json<Charge>, Problem> {
    let key = key(&headers)?;
    let Form(new) = body?;
    if !(1..=MAX_AMOUNT).contains(&new.amount) {
        return Err(Problem::invalid(format!(
            "`amount` must be 1 to {MAX_AMOUNT} cents, not {}",
            new.amount
        )));
    }
    if !["EUR", "JPY", "USD"].contains(&new.currency.as_str()) {
        return Err(Problem::invalid("`currency` must be EUR, JPY or USD"));
    }
    let (status, reason) = match new.card.as_str() {
        "card-visa" | "card-jcb" => (Status::Paid, None),
        "card-empty" => (Status::Declined, Some("insufficient funds")),
        "card-expired" => (Status::Declined, Some("the card has expired")),
        other => return Err(Problem::invalid(format!("there is no card `{other}` on file"))),
    };
    let mut ledger = bank.ledger();
    let asked = Asked::Charge(new.clone());
    if let Some(answer) = ledger.earlier(&key, &asked)? {
        return Ok(Json(answer));
    }
    let NewCharge { amount, currency, card, reference } = new;
    let id = format!("ch-{}", ledger.charges.len() + 1);
    let charge = Charge { id, status, amount, refunded: 0, currency, card, reference, reason };
    ledger.charges.push(charge.clone());
    ledger.by_key.insert(key, (asked, charge.clone()));
    Ok(Json(charge))
}

async fn show(
    State(bank): State<Bank>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Charge>, Problem> {
    let Path(id) = path?;
    let ledger = bank.ledger();
    let at = ledger.position(&id)?;
    Ok(Json(ledger.charges[at].clone()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRefund {
    amount: Option<u64>,
}

async fn refund(
    State(bank): State<Bank>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
    body: Result<Form<NewRefund>, FormRejection>,
) -> Result<Json<Charge>, Problem> {
    let key = key(&headers)?;
    let Path(id) = path?;
    let Form(NewRefund { amount }) = body?;
    let mut ledger = bank.ledger();
    let at = ledger.position(&id)?;
    let asked = Asked::Refund(id, amount);
    if let Some(answer) = ledger.earlier(&key, &asked)? {
        return Ok(Json(answer));
    }
    let charge = &mut ledger.charges[at];
    let left = if charge.status == Status::Declined { 0 } else { charge.amount - charge.refunded };
    let amount = amount.unwrap_or(left);
    if amount == 0 || amount > left {
        let text = format!("{left} of {} cents can be refunded, {amount} were asked for", charge.amount);
        return Err(Problem::conflict("nothing_left", text));
    }
    charge.refunded += amount;
    charge.status = if charge.refunded == charge.amount { Status::Refunded } else { Status::PartlyRefunded };
    let charge = charge.clone();
    ledger.by_key.insert(key, (asked, charge.clone()));
    Ok(Json(charge))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::testing::send, *};

    const BEARER: (&str, &str) = ("authorization", "Bearer demo-bank-token");

    async fn post(router: &Router, path: &str, key: &str, body: &str) -> (u16, Value) {
        let headers = [BEARER, ("idempotency-key", key)];
        let form = if body.is_empty() { "amount=" } else { body };
        let (status, value) = send(router, &format!("POST {path}"), &headers, form).await;
        (status.as_u16(), value)
    }

    #[tokio::test]
    async fn wants_its_token() {
        let router = router();
        assert_eq!(send(&router, "GET /charges/ch-1", &[], "").await.0, 401);
        assert_eq!(send(&router, "GET /charges/ch-1", &[("authorization", "Bearer x")], "").await.0, 401);
        assert_eq!(send(&router, "GET /charges/ch-1", &[BEARER], "").await.0, 404);
    }

    #[tokio::test]
    async fn a_key_charges_once() {
        let router = router();
        let body = "amount=1290&currency=EUR&card=card-visa&reference=r-1";
        let (status, first) = post(&router, "/charges", "k1", body).await;
        assert_eq!((status, &first["id"], &first["status"]), (200, &json!("ch-1"), &json!("paid")));
        assert_eq!(post(&router, "/charges", "k1", body).await, (200, first));
        let (status, problem) = post(&router, "/charges", "k1", "amount=1&currency=EUR&card=card-visa").await;
        assert_eq!((status, &problem["error"]), (409, &json!("key_reused")));
        assert_eq!(post(&router, "/charges", "k2", body).await.1["id"], "ch-2");
    }

    #[tokio::test]
    async fn a_declined_card_is_an_answer_and_a_wrong_one_is_not() {
        let router = router();
        let (status, declined) =
            post(&router, "/charges", "k1", "amount=1&currency=EUR&card=card-empty").await;
        assert_eq!((status, &declined["reason"]), (200, &json!("insufficient funds")));
        let wrong = ["amount=0&currency=EUR&card=card-visa", "amount=1&currency=QQQ&card=card-visa"];
        for body in wrong.into_iter().chain(["amount=1&currency=EUR&card=x", "amount=x", "amount=1&x=1"]) {
            assert_eq!(post(&router, "/charges", "k2", body).await.0, 422, "{body}");
        }
        assert_eq!(
            send(&router, "POST /charges", &[BEARER], "amount=1&currency=EUR&card=card-visa").await.0,
            422
        );
    }

    #[tokio::test]
    async fn refunds_no_more_than_was_paid() {
        let router = router();
        post(&router, "/charges", "k1", "amount=1000&currency=EUR&card=card-visa").await;
        let (_, charge) = post(&router, "/charges/ch-1/refunds", "r1", "amount=400").await;
        assert_eq!((&charge["status"], &charge["refunded"]), (&json!("partly_refunded"), &json!(400)));
        let (_, again) = post(&router, "/charges/ch-1/refunds", "r1", "amount=400").await;
        assert_eq!(again["refunded"], 400);
        assert_eq!(post(&router, "/charges/ch-1/refunds", "r2", "amount=601").await.0, 409);
        let (_, charge) = post(&router, "/charges/ch-1/refunds", "r3", "amount=600").await;
        assert_eq!(charge["status"], "refunded");
        assert_eq!(post(&router, "/charges/ch-1/refunds", "r4", "amount=1").await.0, 409);
        assert_eq!(post(&router, "/charges/ch-9/refunds", "r5", "amount=1").await.0, 404);
    }

    #[tokio::test]
    async fn a_declined_charge_has_nothing_to_refund() {
        let router = router();
        post(&router, "/charges", "k1", "amount=1000&currency=EUR&card=card-empty").await;
        assert_eq!(post(&router, "/charges/ch-1/refunds", "r1", "amount=1").await.0, 409);
    }
}
