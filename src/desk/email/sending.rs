//! How does a mail get out?
//!
//! With an id that is the same over all attempts. What a server puts off is tried again by
//! the outbox; what it refuses for good is told and lies with the dead letters. If this
//! process dies between the server's word that it has the mail and our note of that, the
//! mail goes out once more under the same Message-ID, and most programs show it once;
//! SMTP knows no better.

use std::error::Error as _;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{SmtpTransport, Transport as _};
use serde_json::Value;

use super::reach::{addresses, words as told_words};
use super::{reach_of, settings, words};
use crate::channels::Spoken;
use crate::channels::email::writing::{Place, write};
use crate::channels::email::{Security, Settings};
use crate::desk::Desk;
use crate::desk::platforms::Told;
use crate::store::{Channel, Taken};

/// So many steps a letter's delivery has: a connection, its encryption, who we are, from, to, the
/// letter itself, a farewell, and one that is tried again.
const STEPS: i64 = 10;

/// Sends what was said.
pub(in crate::desk) fn say(desk: &Desk, channel: &Channel, taken: &Taken) -> Told {
    if !matches!(taken.kind.as_str(), "reply" | "acknowledgement") {
        // That somebody has ended a conversation is no letter.
        return Told::Done;
    }
    let settings = match settings(channel) {
        Ok(settings) => settings,
        Err(why) => return Told::Again(why, None),
    };
    let body: Value = serde_json::from_str(&taken.body).unwrap_or_default();
    // Not the whole of it but every step may take as long as a call.
    match desk.talk().note_progress(taken, &body, desk.now(), desk.lease(STEPS)) {
        Ok(true) => {}
        Ok(false) => return Told::Done,
        Err(e) => return Told::Again(e.to_string(), None),
    }
    let place = body.get("address").cloned().unwrap_or_default();
    let place: Place = match serde_json::from_value(place) {
        Ok(place) => place,
        Err(e) => return Told::Never(format!("where the customer is cannot be read: {e}")),
    };
    let by_person = body.get("author").is_some();
    let ready = match write(&settings, &place, &words(&body), &Spoken::of(&body).cards, &taken.id, by_person)
    {
        Ok(ready) => ready,
        Err(why) => return Told::Never(why),
    };
    let transport = match transport(desk, &settings) {
        Ok(transport) => transport,
        Err(why) => return Told::Again(why, None),
    };
    match transport.send_raw(&ready.envelope, &ready.bytes) {
        Ok(_) => Told::Done,
        Err(error) => {
            let why = chain(&settings, &error);
            // A password may be mended, and a server that does not know us yet may learn.
            let code = error.status().map(|code| code.to_string()).unwrap_or_default();
            let is_ours = ["530", "534", "535", "538"].contains(&code.as_str());
            if error.is_permanent() && !is_ours { Told::Never(why) } else { Told::Again(why, None) }
        }
    }
}

fn chain(settings: &Settings, error: &lettre::transport::smtp::Error) -> String {
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !why.contains(&more) {
            why.push_str(&format!(": {more}"));
        }
        source = inner.source();
    }
    told_words(&settings.smtp_host, settings.smtp_port(), &why)
}

fn transport(desk: &Desk, settings: &Settings) -> Result<SmtpTransport, String> {
    let (host, port) = (&settings.smtp_host, settings.smtp_port());
    let found = addresses(reach_of(settings), host, port)?;
    // Of version 4 first: that of version 6 is often announced and seldom there.
    let address = found.iter().find(|one| one.is_ipv4()).or(found.first()).map(|one| one.ip().to_string());
    let tls = || -> Result<TlsParameters, String> {
        let mut builder = TlsParameters::builder(host.clone());
        if let Some(pem) = &settings.authority {
            let own = Certificate::from_pem(pem.as_bytes()).map_err(|e| format!("`authority`: {e}"))?;
            builder = builder.add_root_certificate(own);
        }
        builder.build().map_err(|e| format!("{host}: {e}"))
    };
    let tls = match settings.smtp_security {
        Security::Tls => Tls::Wrapper(tls()?),
        Security::Starttls => Tls::Required(tls()?),
        Security::Plain => Tls::None,
    };
    let name = settings.address.rsplit_once('@').map_or("localhost", |(_, host)| host);
    Ok(SmtpTransport::builder_dangerous(address.unwrap_or_default())
        .port(port)
        .tls(tls)
        .hello_name(ClientId::Domain(name.to_owned()))
        .credentials(Credentials::new(settings.user().to_owned(), settings.password.clone()))
        .timeout(Some(desk.settings().calls.whole))
        .build())
}

/// Whether the server lets us in.
pub(super) fn test(desk: &Desk, settings: &Settings) -> Result<(), String> {
    match transport(desk, settings)?.test_connection() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{}: it does not reply to NOOP", settings.smtp_host)),
        Err(error) => Err(chain(settings, &error)),
    }
}
