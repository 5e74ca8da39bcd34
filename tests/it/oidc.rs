//! Signing in at a provider: a stand-in that does what OpenID Connect says, and what
//! an attacker would have it do.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zhida::access::Role;
use zhida::server::{Openness, ProviderSettings, Registry, Server, router};
use zhida::store::{NewPerson, SignIn};

use crate::http::{Got, MAX_WRONG, admission, publish, send};
use crate::people::person;
use crate::receiver::{Answer, Receiver};
use crate::support::SMALL_KB;

const CLIENT: &str = "zhida-test";

/// A key of the provider.
struct Signer(EcdsaKeyPair, &'static str);

impl Signer {
    fn new(name: &'static str) -> Self {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self(pair.expect("a key"), name)
    }

    fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.1,
            "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..65]),
        })
    }

    fn token(&self, claims: &Value) -> String {
        let head = json!({"alg": "ES256", "typ": "JWT", "kid": self.1});
        let signed = format!("{}.{}", BASE64.encode(head.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", BASE64.encode(signature.as_ref()))
    }
}

/// What the provider has, and what it gives for codes.
#[derive(Default)]
struct Desk {
    keys: Vec<Value>,
    /// The token and the challenge of each code.
    codes: HashMap<String, (String, String)>,
}

struct Provider {
    url: String,
    desk: Arc<Mutex<Desk>>,
    _receiver: Receiver,
}

impl Provider {
    fn start(signer: &Signer) -> Self {
        let desk = Arc::new(Mutex::new(Desk { keys: vec![signer.jwk()], ..Desk::default() }));
        let (own, held): (Arc<OnceLock<String>>, _) = (Arc::default(), Arc::clone(&desk));
        let known = Arc::clone(&own);
        let receiver = Receiver::scripted(move |call| {
            let url = known.get().expect("started");
            let mut desk = held.lock().expect("whole");
            match call.path.as_str() {
                "/.well-known/openid-configuration" => Answer::Json(
                    200,
                    json!({
                        "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
                        "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
                        "response_types_supported": ["code"], "subject_types_supported": ["public"],
                        "id_token_signing_alg_values_supported": ["ES256"],
                    }),
                ),
                "/jwks" => Answer::Json(200, json!({"keys": desk.keys})),
                "/token" => {
                    let sent: HashMap<&str, &str> =
                        call.body.split('&').filter_map(|pair| pair.split_once('=')).collect();
                    let verifier = sent.get("code_verifier").copied().unwrap_or_default();
                    let challenge = BASE64.encode(Sha256::digest(verifier.as_bytes()));
                    match desk.codes.remove(sent.get("code").copied().unwrap_or_default()) {
                        Some((token, wanted)) if wanted == challenge => Answer::Json(
                            200,
                            json!({
                                "access_token": "access", "token_type": "Bearer", "id_token": token,
                            }),
                        ),
                        _ => Answer::Json(400, json!({"error": "invalid_grant"})),
                    }
                }
                _ => Answer::Status(404),
            }
        });
        own.set(receiver.url.clone()).expect("once");
        Self { url: receiver.url.clone(), desk, _receiver: receiver }
    }

    fn app(&self, data: &Path, roles: &[(Role, &str)]) -> Router {
        self.app_of(data, roles, None)
    }

    fn app_of(&self, data: &Path, roles: &[(Role, &str)], tenant_claim: Option<&str>) -> Router {
        let registry = Arc::new(Registry::new(crate::support::store(data), None, MAX_WRONG, "demo"));
        registry.open_all().expect("everything opens");
        let settings = ProviderSettings {
            issuer: self.url.clone(),
            client_id: CLIENT.to_owned(),
            client_secret: Some("a secret".to_owned()),
            public_url: "http://localhost:8080".to_owned(),
            scopes: vec!["groups".to_owned()],
            name_claim: "preferred_username".to_owned(),
            role_claim: "roles".to_owned(),
            tenant_claim: tenant_claim.map(str::to_owned),
            roles: roles.iter().map(|(role, value)| (*role, (*value).to_owned())).collect(),
        };
        let provider = Some(settings.checked().expect("sound"));
        router(Server::with(registry, admission(), Openness { provider, ..Openness::default() }))
    }

    /// What a sound token says.
    fn claims(&self, trip: &Trip, name: &str) -> Value {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        json!({
            "iss": self.url, "aud": CLIENT, "sub": format!("subject of {name}"), "nonce": trip.nonce,
            "iat": now, "exp": now + 300, "preferred_username": name, "name": "王芳",
        })
    }

    /// Gives a code for a token.
    fn code(&self, trip: &Trip, token: String) -> String {
        let code = format!("code-{}", trip.state);
        self.desk.lock().expect("whole").codes.insert(code.clone(), (token, trip.challenge.clone()));
        code
    }
}

/// A browser at the provider.
struct Trip {
    state: String,
    nonce: String,
    challenge: String,
    cookie: String,
}

impl Trip {
    async fn start(app: &Router, provider: &Provider) -> Self {
        let got = send(app, get("/v1/oidc/start?back=/console")).await;
        assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.text());
        let address = got.header(header::LOCATION);
        let query = address.strip_prefix(&format!("{}/authorize?", provider.url)).expect("to the provider");
        let sent: HashMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        assert_eq!((sent["client_id"], sent["response_type"]), (CLIENT, "code"));
        assert_eq!(sent["code_challenge_method"], "S256");
        assert_eq!(sent["redirect_uri"], "http%3A%2F%2Flocalhost%3A8080%2Fv1%2Foidc%2Fcallback");
        assert_eq!(sent["scope"], "openid+profile+email+groups");
        let cookie = got.header(header::SET_COOKIE);
        assert!(cookie.contains("HttpOnly; SameSite=Lax") && cookie.contains("Path=/v1/oidc;"), "{cookie}");
        Self {
            state: sent["state"].to_owned(),
            nonce: sent["nonce"].to_owned(),
            challenge: sent["code_challenge"].to_owned(),
            cookie: cookie.split(';').next().expect("a cookie").to_owned(),
        }
    }

    async fn back(&self, app: &Router, code: &str) -> Got {
        let path = format!("/v1/oidc/callback?state={}&code={code}", self.state);
        let request = Request::get(path).header(header::COOKIE, &self.cookie).body(Body::empty());
        send(app, request.expect("a request")).await
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).expect("a request")
}

/// Goes there and comes back with a token that somebody made out of a sound one.
async fn goes(
    app: &Router,
    provider: &Provider,
    signer: &Signer,
    name: &str,
    change: impl FnOnce(&mut Value),
) -> Got {
    let trip = Trip::start(app, provider).await;
    let mut claims = provider.claims(&trip, name);
    change(&mut claims);
    let code = provider.code(&trip, signer.token(&claims));
    trip.back(app, &code).await
}

/// Who somebody is after they came back.
async fn me(app: &Router, got: &Got) -> Value {
    assert_eq!(
        (got.status, got.header(header::LOCATION)),
        (StatusCode::SEE_OTHER, "/console"),
        "{}",
        got.text()
    );
    let cookie = got.header(header::SET_COOKIE).split(';').next().expect("a cookie").to_owned();
    let request = Request::get("/v1/me").header(header::COOKIE, cookie).body(Body::empty());
    send(app, request.expect("a request")).await.json()
}

fn expected(data: &Path, name: &str, role: Role) {
    let new = NewPerson {
        tenant: "default".to_owned(),
        name: name.to_owned(),
        display_name: String::new(),
        role,
        kbs: None,
        sign_in: SignIn::Provider,
        password: None,
        subject: None,
    };
    crate::support::store(data).access().create_person(new).expect("a person");
}

#[tokio::test]
async fn only_a_sound_token_lets_anybody_in() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    expected(folder.path(), "anna", Role::Author);
    let (signer, stranger) = (Signer::new("one"), Signer::new("one"));
    let provider = Provider::start(&signer);
    let app = provider.app(folder.path(), &[]);
    let ways = send(&app, get("/v1/login")).await.json();
    assert_eq!(ways["provider"], "v1/oidc/start");
    let no = |got: Got| got.problem(401, "not-signed-in");
    no(goes(&app, &provider, &stranger, "anna", |_| ()).await);
    no(goes(&app, &provider, &signer, "anna", |claims| claims["nonce"] = json!("another")).await);
    no(goes(&app, &provider, &signer, "anna", |claims| claims["aud"] = json!("somebody else")).await);
    no(goes(&app, &provider, &signer, "anna", |claims| claims["iss"] = json!("https://evil.example")).await);
    no(goes(&app, &provider, &signer, "anna", |claims| claims["exp"] = json!(1_000_000_000)).await);
    no(goes(&app, &provider, &signer, "anna", |claims| {
        drop(claims.as_object_mut().map(|all| all.remove("nonce")))
    })
    .await);
    // A token that nobody has signed.
    let trip = Trip::start(&app, &provider).await;
    let claims = provider.claims(&trip, "anna").to_string();
    let bare = format!("{}.{}.", BASE64.encode(r#"{"alg":"none"}"#), BASE64.encode(claims));
    let code = provider.code(&trip, bare);
    no(trip.back(&app, &code).await);
    // A code of another trip: the proof of who left does not fit.
    let (one, two) = (Trip::start(&app, &provider).await, Trip::start(&app, &provider).await);
    let code = provider.code(&one, signer.token(&provider.claims(&two, "anna")));
    no(two.back(&app, &code).await);
    // A state that nobody left with, and one of another browser.
    let trip = Trip::start(&app, &provider).await;
    let code = provider.code(&trip, signer.token(&provider.claims(&trip, "anna")));
    let other = Trip { cookie: "zhida_oidc=other".to_owned(), ..Trip::start(&app, &provider).await };
    no(Trip { state: "unknown".to_owned(), ..trip }.back(&app, &code).await);
    no(other.back(&app, &code).await);
    // What the provider refuses.
    let trip = Trip::start(&app, &provider).await;
    let path = format!("/v1/oidc/callback?state={}&error=access_denied", trip.state);
    let request =
        Request::get(&path).header(header::COOKIE, &trip.cookie).header(header::ACCEPT, "text/html");
    let got = send(&app, request.body(Body::empty()).expect("a request")).await;
    assert_eq!(got.header(header::LOCATION), "/login#not-signed-in", "people see a page");
    for back in ["//evil.example", "https://evil.example", "/%5Cevil.example"] {
        send(&app, get(&format!("/v1/oidc/start?back={back}"))).await.problem(422, "invalid-field");
    }
    // And then the sound one; once.
    let trip = Trip::start(&app, &provider).await;
    let code = provider.code(&trip, signer.token(&provider.claims(&trip, "anna")));
    let got = trip.back(&app, &code).await;
    let known = me(&app, &got).await;
    assert_eq!((&known["name"], &known["role"]), (&json!("anna"), &json!("author")));
    provider.code(&trip, signer.token(&provider.claims(&trip, "anna")));
    no(trip.back(&app, &code).await);
    // New keys of the provider are asked for when a token has one that is unknown.
    let renewed = Signer::new("two");
    provider.desk.lock().expect("whole").keys = vec![renewed.jwk()];
    me(&app, &goes(&app, &provider, &renewed, "anna", |_| ()).await).await;
}

#[tokio::test]
async fn a_claim_says_what_somebody_is_for_and_names_take_nobody_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    let boss = person(root, "default", "boss", Role::Admin);
    expected(root, "anna", Role::Admin);
    let signer = Signer::new("one");
    let provider = Provider::start(&signer);
    let app = provider.app(root, &[(Role::Agent, "kefu"), (Role::Author, "faq")]);
    let no = |got: Got| got.problem(401, "not-signed-in");
    let with = |roles: Value| move |claims: &mut Value| claims["roles"] = roles;
    // Unknown people need a role; names of others do not help.
    no(goes(&app, &provider, &signer, "berta", |_| ()).await);
    no(goes(&app, &provider, &signer, "berta", with(json!(["other"]))).await);
    no(goes(&app, &provider, &signer, "boss", with(json!(["faq"]))).await);
    let known = me(&app, &goes(&app, &provider, &signer, "Berta", with(json!(["kefu", "faq"]))).await).await;
    assert_eq!(
        (&known["name"], &known["display_name"], &known["role"]),
        (&json!("berta"), &json!("王芳"), &json!("author"))
    );
    let known = me(&app, &goes(&app, &provider, &signer, "Berta", with(json!("kefu"))).await).await;
    assert_eq!(known["role"], "agent", "as the provider says now");
    no(goes(&app, &provider, &signer, "Berta", |_| ()).await);
    // Whom an admin expects keeps the role that the admin gave.
    let anna = me(&app, &goes(&app, &provider, &signer, "anna", with(json!("kefu"))).await).await;
    assert_eq!(anna["role"], "admin");
    // Somebody else who is called so now is somebody else.
    let other = |claims: &mut Value| claims["sub"] = json!("another subject");
    no(goes(&app, &provider, &signer, "anna", other).await);
    let access = crate::support::store(root).access();
    let change = zhida::store::PersonChange { disabled: Some(true), ..Default::default() };
    access.change_person("default", "anna", &change).expect("changed");
    no(goes(&app, &provider, &signer, "anna", |_| ()).await);
    // They have no password here, and get none.
    assert!(access.create_link(Some(&access.person("default", "berta").expect("berta")), 1_000).is_err());
    let mut actions = Vec::new();
    access
        .every_link("default", |link| {
            actions.push(link.deed.action);
            Ok(())
        })
        .expect("the audit");
    for action in ["create_person", "change_person", "login", "login_failed"] {
        assert!(actions.iter().any(|known| known == action), "{action} in {actions:?}");
    }
    assert_eq!(access.sessions(&boss.id).expect("sessions"), []);
    // Without a provider there is nothing to go to.
    let registry = Arc::new(Registry::new(crate::support::store(root), None, MAX_WRONG, "demo"));
    let bare = router(Server::new(registry, admission()));
    send(&bare, get("/v1/oidc/start")).await.problem(404, "not-here");
}

#[tokio::test]
async fn people_of_several_tenants_come_from_one_provider() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    publish(root, "demo", SMALL_KB, None);
    crate::support::store(root).access().create_tenant("acme", &Default::default()).expect("a tenant");
    let signer = Signer::new("one");
    let provider = Provider::start(&signer);
    let app = provider.app_of(root, &[(Role::Author, "faq")], Some("org.shop"));
    let of = |tenant: Value| {
        move |claims: &mut Value| {
            claims["roles"] = json!("faq");
            claims["org"] = json!({"shop": tenant});
        }
    };
    for nobody in [json!(null), json!("other"), json!(""), json!(["acme"]), json!("../acme")] {
        goes(&app, &provider, &signer, "anna", of(nobody)).await.problem(401, "not-signed-in");
    }
    let known = me(&app, &goes(&app, &provider, &signer, "anna", of(json!("acme"))).await).await;
    assert_eq!((&known["tenant"], &known["role"]), (&json!("acme"), &json!("author")));
    assert_eq!(known["knowledge_bases"], json!([]), "the first tenant's are not theirs");
    // Of the same name in another tenant is somebody else; who moves is no one they were.
    let known = me(&app, &goes(&app, &provider, &signer, "anna", of(json!("default"))).await).await;
    assert_eq!(known["tenant"], "default");
}
