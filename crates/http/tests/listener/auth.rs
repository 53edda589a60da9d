//! Credentials: those that let in, and those that must not.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::StatusCode;
use jsonwebtoken::{EncodingKey, Header, encode};
use renkei_core::Secret;
use renkei_http::{Algorithm, ApiKey, Authentication, JwtKey, JwtOptions, Options};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::wire::{Answer, ask};

const SECRET: &str = "a secret that is long enough for HS256";
const RSA_PUBLIC: &str = include_str!("keys/rsa.public.pem");
const RSA_PRIVATE: &str = include_str!("keys/rsa.private.pem");
const RSA_OTHER: &str = include_str!("keys/rsa.other.pem");

fn api_key(name: &str, key: &str) -> ApiKey {
    ApiKey::new(name, Sha256::digest(key.as_bytes()).into())
}

fn jwt_options(algorithm: Algorithm, key: &str) -> JwtOptions {
    JwtOptions {
        algorithm,
        key: Secret::new(key),
        issuer: Some("https://issuer.example.com".into()),
        audience: vec!["renkei".into(), "shop".into()],
        expiry_optional: false,
    }
}

fn options(jwt: &[JwtOptions]) -> Options {
    let authentication = Authentication {
        anonymous_allowed: false,
        api_keys: vec![api_key("ada", "key-of-ada"), api_key("bob", "key-of-bob")],
        jwt: jwt.iter().map(|options| JwtKey::new(options).unwrap()).collect(),
    };
    Options { authentication, ..Options::default() }
}

async fn send(options: &Options, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("host", "localhost:8383")];
    all.extend(headers);
    ask(options, "127.0.0.1:8383", "GET", "/", &all).await
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Claims that are let in.
fn claims() -> Value {
    json!({"sub": "ada", "iss": "https://issuer.example.com", "aud": "renkei", "exp": now() + 600, "team": ["a"]})
}

/// A token of a shared secret, with the claims changed.
fn token(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims();
    change(&mut claims);
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// A token whose parts are given as they are.
fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), BASE64.encode(signature))
}

fn without(claim: &'static str) -> String {
    token(|claims| drop(claims.as_object_mut().unwrap().remove(claim)))
}

#[tokio::test]
async fn keys_and_tokens_say_who_it_is() {
    let options = options(&[jwt_options(Algorithm::Hs256, SECRET)]);
    for headers in [
        ("authorization", "Bearer key-of-ada"),
        ("authorization", "bearer  key-of-ada"),
        ("x-api-key", "key-of-ada"),
    ] {
        let answer = send(&options, &[headers]).await;
        assert_eq!(answer.body, json!({"name": "ada", "auth": "api_key", "claims": {}}), "{headers:?}");
    }
    assert_eq!(send(&options, &[("x-api-key", "key-of-bob")]).await.body["name"], "bob");
    let answer = send(&options, &[("authorization", &format!("Bearer {}", token(|_| {})))]).await;
    assert_eq!(answer.body["name"], "ada");
    assert_eq!(answer.body["auth"], "jwt");
    assert_eq!(answer.body["claims"]["team"], json!(["a"]));
}

#[tokio::test]
async fn every_algorithm_works_with_its_key() {
    let ec = (include_str!("keys/ec.private.pem"), include_str!("keys/ec.public.pem"));
    let ed = (include_str!("keys/ed.private.pem"), include_str!("keys/ed.public.pem"));
    let long = SECRET.repeat(2);
    let secret = |algorithm| (algorithm, EncodingKey::from_secret(long.as_bytes()), &*long);
    let rsa = |algorithm| (algorithm, EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap(), RSA_PUBLIC);
    for (name, (algorithm, key, public)) in [
        ("HS256", secret(jsonwebtoken::Algorithm::HS256)),
        ("HS384", secret(jsonwebtoken::Algorithm::HS384)),
        ("HS512", secret(jsonwebtoken::Algorithm::HS512)),
        ("RS256", rsa(jsonwebtoken::Algorithm::RS256)),
        ("RS384", rsa(jsonwebtoken::Algorithm::RS384)),
        ("RS512", rsa(jsonwebtoken::Algorithm::RS512)),
        ("PS256", rsa(jsonwebtoken::Algorithm::PS256)),
        ("ES256", (jsonwebtoken::Algorithm::ES256, EncodingKey::from_ec_pem(ec.0.as_bytes()).unwrap(), ec.1)),
        ("EdDSA", (jsonwebtoken::Algorithm::EdDSA, EncodingKey::from_ed_pem(ed.0.as_bytes()).unwrap(), ed.1)),
    ] {
        let options = options(&[jwt_options(Algorithm::parse(name).unwrap(), public)]);
        let token = encode(&Header::new(algorithm), &claims(), &key).unwrap();
        let answer = send(&options, &[("x-api-key", &token)]).await;
        assert_eq!(answer.body["name"], "ada", "{name}: {}", answer.body);
        // The same claims under a signature that is cut, changed or gone.
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let changed = format!("{signed}.{}", signature.chars().rev().collect::<String>());
        for wrong in [changed, format!("{signed}."), signed.to_owned(), token[..token.len() - 8].to_owned()] {
            assert_eq!(
                send(&options, &[("x-api-key", &wrong)]).await.status,
                StatusCode::UNAUTHORIZED,
                "{name}"
            );
        }
    }
    assert_eq!(Algorithm::parse("none"), None);
    assert_eq!(Algorithm::parse("hs256"), None);
}

#[tokio::test]
async fn what_must_not_let_in() {
    let options = options(&[jwt_options(Algorithm::Hs256, SECRET)]);
    let bearer = |token: &str| format!("Bearer {token}");
    let none = json!({"alg": "none", "typ": "JWT"});
    let hour = 3600;
    let other_key =
        encode(&Header::default(), &claims(), &EncodingKey::from_secret(b"another secret of a fair length"));
    let with_jku = Header { jku: Some("https://evil.example.com/keys".into()), ..Header::default() };
    let with_jku = encode(&with_jku, &claims(), &EncodingKey::from_secret(b"the attacker's own secret"));
    let critical = Header { crit: Some(vec!["exp".into()]), ..Header::default() };
    let critical = encode(&critical, &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    let hs512 = encode(
        &Header::new(jsonwebtoken::Algorithm::HS512),
        &claims(),
        &EncodingKey::from_secret(SECRET.as_bytes()),
    );
    let good = token(|_| {});
    let parts: Vec<&str> = good.split('.').collect();
    let escalated = {
        let mut claims = claims();
        claims["sub"] = "root".into();
        format!("{}.{}.{}", parts[0], BASE64.encode(claims.to_string()), parts[2])
    };
    let attacks: Vec<(&str, String, &str)> = vec![
        ("alg none", bearer(&forged(&none, &claims(), b"")), "not known here"),
        ("alg none, signed", bearer(&forged(&none, &claims(), b"x")), "not known here"),
        ("alg nOnE", bearer(&forged(&json!({"alg": "nOnE"}), &claims(), b"")), "not known here"),
        ("alg missing", bearer(&forged(&json!({"typ": "JWT"}), &claims(), b"")), "not known here"),
        ("alg of the same family", bearer(&hs512.unwrap()), "not known here"),
        ("another key", bearer(&other_key.unwrap()), "not known here"),
        ("a key in the header", bearer(&with_jku.unwrap()), "not known here"),
        ("changed claims", bearer(&escalated), "not known here"),
        ("no signature", bearer(&format!("{}.{}.", parts[0], parts[1])), "not known here"),
        ("two parts", bearer(&format!("{}.{}", parts[0], parts[1])), "not known here"),
        ("four parts", bearer(&format!("{good}.x")), "not known here"),
        ("not base64", bearer("a.b!.c"), "not known here"),
        ("garbage", bearer("garbage"), "not known here"),
        ("dots", bearer(".."), "not known here"),
        ("crit", bearer(&critical), "it has a `crit` header"),
        ("expired", bearer(&token(|claims| claims["exp"] = (now() - hour).into())), "it has expired"),
        ("expired at the dawn", bearer(&token(|claims| claims["exp"] = 0.into())), "it has expired"),
        ("exp as text", bearer(&token(|claims| claims["exp"] = "9999999999".into())), "it has no `exp`"),
        ("exp negative", bearer(&token(|claims| claims["exp"] = (-1).into())), "it has no `exp`"),
        ("exp null", bearer(&token(|claims| claims["exp"] = Value::Null)), "it has no `exp`"),
        ("no exp", bearer(&without("exp")), "it has no `exp`"),
        ("not yet", bearer(&token(|claims| claims["nbf"] = (now() + hour).into())), "it is not valid yet"),
        ("nbf as text", bearer(&token(|claims| claims["nbf"] = "0".into())), "is not a number"),
        (
            "another issuer",
            bearer(&token(|claims| claims["iss"] = "https://evil.example.com".into())),
            "by somebody else",
        ),
        (
            "issuers",
            bearer(&token(|claims| claims["iss"] = json!(["https://issuer.example.com"]))),
            "by somebody else",
        ),
        ("no issuer", bearer(&without("iss")), "it has no `iss`"),
        (
            "another audience",
            bearer(&token(|claims| claims["aud"] = "crm".into())),
            "it is for somebody else",
        ),
        (
            "other audiences",
            bearer(&token(|claims| claims["aud"] = json!(["crm", "erp"]))),
            "it is for somebody else",
        ),
        ("no audience", bearer(&without("aud")), "it has no `aud`"),
        ("audience a number", bearer(&token(|claims| claims["aud"] = 1.into())), "it has no `aud`"),
        ("audience empty", bearer(&token(|claims| claims["aud"] = json!([]))), "it is for somebody else"),
        ("no subject", bearer(&without("sub")), "it has no `sub`"),
        ("subject empty", bearer(&token(|claims| claims["sub"] = "".into())), "it names nobody"),
        ("subject a number", bearer(&token(|claims| claims["sub"] = 1.into())), "it has no `sub`"),
        ("empty", "".into(), "must be `Bearer`"),
        ("only the scheme", "Bearer".into(), "must be `Bearer`"),
        ("an empty token", "Bearer ".into(), "the credential is empty"),
        ("basic", "Basic a2V5LW9mLWFkYQ==".into(), "must be `Bearer`"),
        ("no scheme", "key-of-ada".into(), "must be `Bearer`"),
        ("the start of a key", bearer("key-of-a"), "not known here"),
        ("a key and more", bearer("key-of-ada2"), "not known here"),
        ("another case", bearer("KEY-OF-ADA"), "not known here"),
        ("the name of a key", bearer("ada"), "not known here"),
        ("the hash of a key", bearer(&hex(&Sha256::digest(b"key-of-ada"))), "not known here"),
        ("two keys in one", bearer("key-of-ada, Bearer key-of-bob"), "a space or a comma"),
        ("two keys with a comma", bearer("key-of-ada,key-of-bob"), "a space or a comma"),
    ];
    assert!(attacks.len() >= 40);
    for (attack, authorization, reason) in attacks {
        let answer = send(&options, &[("authorization", &authorization)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{attack}: {}", answer.body);
        assert_eq!(answer.headers["www-authenticate"], r#"Bearer realm="renkei", error="invalid_token""#);
        assert_eq!(answer.body["error"], "unauthenticated");
        let message = answer.body["message"].as_str().unwrap();
        assert!(message.contains(reason), "{attack}: {message}");
    }
    for headers in [
        [("authorization", "Bearer key-of-ada"), ("authorization", "Bearer key-of-ada")],
        [("authorization", "Bearer key-of-ada"), ("x-api-key", "key-of-ada")],
        [("x-api-key", "key-of-ada"), ("x-api-key", "key-of-bob")],
    ] {
        let answer = send(&options, &headers).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.body["message"], "the request carries more than one credential");
    }
}

/// The public key is public: it must not work as a shared secret.
#[tokio::test]
async fn a_public_key_is_no_secret() {
    let options = options(&[jwt_options(Algorithm::Rs256, RSA_PUBLIC)]);
    for secret in [RSA_PUBLIC, RSA_PUBLIC.trim()] {
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = encode(&Header::default(), &claims(), &key).unwrap();
        assert_eq!(send(&options, &[("x-api-key", &token)]).await.status, StatusCode::UNAUTHORIZED);
    }
    let key = EncodingKey::from_rsa_pem(RSA_OTHER.as_bytes()).unwrap();
    let token = encode(&Header::new(jsonwebtoken::Algorithm::RS256), &claims(), &key).unwrap();
    assert_eq!(send(&options, &[("x-api-key", &token)]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn clocks_may_differ_a_little() {
    let options = options(&[jwt_options(Algorithm::Hs256, SECRET)]);
    for claims in [("exp", now() - 30), ("nbf", now() + 30)] {
        let token = token(|all| all[claims.0] = claims.1.into());
        assert_eq!(send(&options, &[("x-api-key", &token)]).await.status, StatusCode::OK, "{claims:?}");
    }
}

#[tokio::test]
async fn what_is_not_configured_is_not_asked_for() {
    let mut open = jwt_options(Algorithm::Hs256, SECRET);
    open.issuer = None;
    open.audience = vec![];
    open.expiry_optional = true;
    let options = options(&[open]);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = |claims: Value| encode(&Header::default(), &claims, &key).unwrap();
    let status = async |claims: Value| send(&options, &[("x-api-key", &token(claims))]).await.status;
    assert_eq!(status(json!({"sub": "ada"})).await, StatusCode::OK);
    assert_eq!(status(json!({"sub": "ada", "iss": "anybody"})).await, StatusCode::OK);
    // Still: a token for somebody is not for us, and one that has an end has it.
    assert_eq!(status(json!({"sub": "ada", "aud": "crm"})).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(json!({"sub": "ada", "aud": 1})).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(json!({"sub": "ada", "exp": now() - 3600})).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(json!({"sub": "ada", "exp": "never"})).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn several_issuers() {
    let mut second = jwt_options(Algorithm::Rs256, RSA_PUBLIC);
    second.issuer = Some("https://other.example.com".into());
    let options = options(&[jwt_options(Algorithm::Hs256, SECRET), second]);
    let mut claims = claims();
    claims["iss"] = "https://other.example.com".into();
    let key = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    let rsa = Header::new(jsonwebtoken::Algorithm::RS256);
    let token = encode(&rsa, &claims, &key).unwrap();
    assert_eq!(send(&options, &[("x-api-key", &token)]).await.status, StatusCode::OK);
    // A key signs for its own issuer only.
    claims["iss"] = "https://issuer.example.com".into();
    let token = encode(&rsa, &claims, &key).unwrap();
    assert_eq!(send(&options, &[("x-api-key", &token)]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nobody_may_come_in_where_it_is_said() {
    let mut options = options(&[]);
    let answer = send(&options, &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers["www-authenticate"], r#"Bearer realm="renkei""#);
    options.authentication.anonymous_allowed = true;
    assert_eq!(send(&options, &[]).await.body, json!({"name": "anonymous", "auth": "none", "claims": {}}));
    // Wrong is worse than nothing.
    assert_eq!(send(&options, &[("x-api-key", "wrong")]).await.status, StatusCode::UNAUTHORIZED);
    // Where nothing is configured, clients may send what they like.
    let answer = send(&Options::default(), &[("authorization", "Bearer whatever")]).await;
    assert_eq!(answer.body["name"], "anonymous");
    // Where nobody can come in, nobody does.
    let closed = Authentication { anonymous_allowed: false, ..Authentication::default() };
    let closed = Options { authentication: closed, ..Options::default() };
    assert_eq!(send(&closed, &[("x-api-key", "x")]).await.status, StatusCode::UNAUTHORIZED);
}

/// Clients that were refused look there for an authorization server; 401 would send them in circles.
#[tokio::test]
async fn where_to_authenticate_is_no_secret() {
    let options = options(&[]);
    let host = [("host", "localhost:8383")];
    for (path, status) in [
        ("/.well-known/oauth-protected-resource/mcp", StatusCode::NOT_FOUND),
        ("/.well-known", StatusCode::UNAUTHORIZED),
        ("/x/.well-known/y", StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(ask(&options, "127.0.0.1:8383", "GET", path, &host).await.status, status, "{path}");
    }
}

#[test]
fn keys_that_do_not_fit_are_refused_at_start() {
    let private = include_str!("keys/ec.private.pem");
    let ec = include_str!("keys/ec.public.pem");
    for (name, key, text) in [
        ("HS256", "short", "the shared secret has 5 bytes and needs at least 32"),
        ("HS512", SECRET, "needs at least 64"),
        ("HS256", RSA_PUBLIC, "a shared secret is needed"),
        ("RS256", SECRET, "not an RSA public key in PEM"),
        ("RS256", RSA_PRIVATE, "this is a private key"),
        ("RS256", ec, "not an RSA public key in PEM"),
        ("ES256", RSA_PUBLIC, "not an EC public key in PEM"),
        ("ES256", private, "this is a private key"),
        ("EdDSA", ec, "not an Ed25519 public key in PEM"),
        ("EdDSA", "", "not an Ed25519 public key in PEM"),
    ] {
        let error = JwtKey::new(&jwt_options(Algorithm::parse(name).unwrap(), key)).unwrap_err();
        assert!(error.contains(text), "{name}: {error}");
    }
    let shown = format!("{:?}", options(&[jwt_options(Algorithm::Hs256, SECRET)]));
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn hashes_of_keys() {
    let hash: [u8; 32] = Sha256::digest(b"key-of-ada").into();
    assert_eq!(ApiKey::parse_sha256(&hex(&hash)), Some(hash));
    assert_eq!(ApiKey::parse_sha256(&hex(&hash).to_uppercase()), Some(hash));
    for wrong in ["", "abc", &hex(&hash)[1..], &format!("{}zz", &hex(&hash)[2..]), &"é".repeat(32)] {
        assert_eq!(ApiKey::parse_sha256(wrong), None, "{wrong}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
