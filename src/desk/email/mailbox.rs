//! What has come into the mailbox since we looked last?
//!
//! A thread for each channel stays signed in and is told of what comes (IDLE), or looks
//! now and then where the server cannot tell. How far it came is kept with the letters
//! themselves, in one transaction: UIDVALIDITY and the last UID. Whoever dies in between
//! fetches them again and keeps none twice, and of several processes one keeps them. A
//! letter is marked as read or moved only when it is on our disk.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use async_imap::types::Mailbox;
use async_imap::{Client, Session};
use futures_util::TryStreamExt as _;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::reach::{CONNECT, addresses, tls, words};
use super::{reach_of, settings};
use crate::channels::email::{KIND, Security, Settings, read};
use crate::desk::{Desk, Parts};
use crate::error::failed;
use crate::store::{Channel, Conversations, Fetched, Job};

/// A command may take so long.
const COMMAND: Duration = Duration::from_secs(60);

/// So long we wait for a word of the server before we look anyway.
const IDLE: Duration = Duration::from_secs(60);

/// So often we look where the server cannot tell.
const POLL: Duration = Duration::from_secs(15);

/// Letters that are fetched at a time.
const PAGE: usize = 10;

/// Of a letter no more is fetched, in bytes: attachments are only named.
const BYTES: usize = 1 << 20;

/// Where UIDs are not those that we know, letters of so long ago are looked at again, in
/// milliseconds; what was kept of them is remembered for longer.
const AGAIN: i64 = 3 * 24 * 60 * 60 * 1000;

/// After a failure we rest, in seconds: longer each time.
const RESTS: [u64; 6] = [1, 5, 15, 60, 120, 300];

trait Wire: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug> Wire for T {}

type Open = Session<Box<dyn Wire>>;

/// Channels that somebody in this process looks after, by desk and name.
static WATCHED: Mutex<Option<HashSet<(String, String)>>> = Mutex::new(None);

fn watched<T>(change: impl FnOnce(&mut HashSet<(String, String)>) -> T) -> T {
    let mut all = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    change(all.get_or_insert_default())
}

/// A mailbox that has a thread, as long as this is there.
struct Watched((String, String));

impl Drop for Watched {
    fn drop(&mut self) {
        watched(|all| all.remove(&self.0));
    }
}

/// Whether there is a mailbox to look into.
///
/// # Errors
/// When the channels cannot be read.
pub fn has_mailbox(talk: &Conversations) -> crate::error::Result<bool> {
    Ok(talk.channels_sealed()?.iter().any(|channel| channel.kind == KIND))
}

/// Gives every mailbox that has none a thread.
pub(in crate::desk) fn tend(desk: &Desk) -> crate::error::Result<()> {
    for channel in desk.talk().channels_sealed()?.into_iter().filter(|channel| channel.kind == KIND) {
        let name = (desk.0.worker.clone(), channel.id.clone());
        if !watched(|all| all.insert(name.clone())) {
            continue;
        }
        let parts = std::sync::Arc::downgrade(&desk.0);
        let own = name.clone();
        let begun = thread::Builder::new().name("mailbox".to_owned()).spawn(move || {
            let _watched = Watched(own.clone());
            watch(&parts, &own.1);
        });
        if let Err(error) = begun {
            tracing::error!(%error, channel = channel.id, "no thread for a mailbox");
            watched(|all| all.remove(&name));
        }
    }
    Ok(())
}

/// Looks after a mailbox as long as there is a channel for it.
fn watch(parts: &Weak<Parts>, id: &str) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime for a mailbox");
            return;
        }
    };
    let mut failures = 0;
    loop {
        let Some(channel) = channel(parts, id) else { return };
        let outcome = match settings(&channel) {
            Ok(settings) => runtime.block_on(visit(parts, &channel, &settings, &mut failures)),
            Err(why) => Err(why),
        };
        if let Err(why) = outcome {
            let rest = RESTS[failures.min(RESTS.len() - 1)];
            failures += 1;
            tracing::warn!(channel = id, why, rest, "the mailbox cannot be looked into");
            thread::sleep(Duration::from_secs(rest));
        }
    }
}

/// The channel as it is now, if it and the desk are still there.
fn channel(parts: &Weak<Parts>, id: &str) -> Option<Channel> {
    let desk = Desk(parts.upgrade()?);
    match desk.talk().channel(id) {
        Ok(found) => found.filter(|channel| channel.kind == KIND),
        Err(error) => {
            failed!(error, channel = id, "a channel cannot be read");
            thread::sleep(Duration::from_secs(5));
            None
        }
    }
}

async fn within<T, E: fmt::Display>(
    most: Duration,
    what: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(most, what).await {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(_) => Err("it timed out".to_owned()),
    }
}

/// Stays signed in until something fails, or the channel changes.
async fn visit(
    parts: &Weak<Parts>,
    known: &Channel,
    settings: &Settings,
    failures: &mut usize,
) -> Result<(), String> {
    let (mut session, can_tell) = open(settings).await?;
    let mailbox = within(COMMAND, session.select(&settings.folder)).await?;
    loop {
        {
            let Some(desk) = parts.upgrade().map(Desk) else { return Ok(()) };
            match channel(parts, &known.id) {
                Some(now) if now == *known => {}
                _ => break,
            }
            fetch(&desk, known, settings, &mut session, &mailbox).await?;
        }
        *failures = 0;
        if can_tell {
            let mut idle = session.idle();
            within(COMMAND, idle.init()).await?;
            let (waiting, _stop) = idle.wait_with_timeout(IDLE);
            within(IDLE + COMMAND, waiting).await?;
            session = within(COMMAND, idle.done()).await?;
        } else {
            tokio::time::sleep(POLL).await;
        }
        within(COMMAND, session.noop()).await?;
    }
    within(COMMAND, session.logout()).await.ok();
    Ok(())
}

/// Signs in; says whether the server tells of what comes.
async fn open(settings: &Settings) -> Result<(Open, bool), String> {
    let (host, port) = (&settings.imap_host, settings.imap_port());
    let failed = |why: String| words(host, port, &why);
    let found = addresses(reach_of(settings), host, port)?;
    let plain = within(CONNECT, TcpStream::connect(&found[..])).await.map_err(failed)?;
    let secured = async |plain: TcpStream| -> Result<Box<dyn Wire>, String> {
        let (config, name) = tls(settings, host)?;
        let secured = TlsConnector::from(config).connect(name, plain);
        let secured: Box<dyn Wire> = Box::new(within(CONNECT, secured).await.map_err(failed)?);
        Ok(secured)
    };
    let greeted = "it closes the connection without a greeting";
    let mut client = match settings.imap_security {
        Security::Starttls => {
            let mut client = Client::new(plain);
            within(COMMAND, client.read_response())
                .await
                .map_err(failed)?
                .ok_or_else(|| failed(greeted.to_owned()))?;
            within(COMMAND, client.run_command_and_check_ok("STARTTLS", None)).await.map_err(failed)?;
            Client::new(secured(client.into_inner()).await?)
        }
        Security::Tls => Client::new(secured(plain).await?),
        Security::Plain => Client::new(Box::new(plain) as Box<dyn Wire>),
    };
    if settings.imap_security != Security::Starttls {
        within(COMMAND, client.read_response())
            .await
            .map_err(failed)?
            .ok_or_else(|| failed(greeted.to_owned()))?;
    }
    let login = timeout(COMMAND, client.login(settings.user(), &settings.password)).await;
    let mut session = match login {
        Ok(Ok(session)) => session,
        Ok(Err((error, _))) => return Err(failed(format!("login: {error}"))),
        Err(_) => return Err(failed("it timed out".to_owned())),
    };
    let able = within(COMMAND, session.capabilities()).await.map_err(failed)?;
    if able.has_str("ID") {
        // NetEase lets nobody in who does not say what they are.
        let own = [("name", Some("zhida")), ("version", Some(env!("CARGO_PKG_VERSION")))];
        within(COMMAND, session.id(own)).await.ok();
    }
    let can_tell = able.has_str("IDLE");
    Ok((session, can_tell))
}

/// A day as IMAP writes it, one earlier: servers count days in their own time.
fn day_before(millis: i64) -> String {
    let day =
        OffsetDateTime::from_unix_timestamp(millis / 1000 - 86_400).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let month = day.month().to_string();
    format!("{:02}-{}-{}", day.day(), &month[..3], day.year())
}

/// Fetches what there is behind the cursor, and keeps it.
async fn fetch(
    desk: &Desk,
    channel: &Channel,
    settings: &Settings,
    session: &mut Open,
    mailbox: &Mailbox,
) -> Result<(), String> {
    let account = format!("{}/{}/{}", settings.imap_host, settings.user(), settings.folder);
    let validity = mailbox.uid_validity.ok_or("the server names no UIDVALIDITY")?;
    let failed = |e: crate::error::Error| e.to_string();
    loop {
        let mut before = desk.talk().cursor(&channel.id, &account).map_err(failed)?;
        let last = before.split_once(':').filter(|(of, _)| *of == validity.to_string());
        let last: Option<u32> = last.and_then(|(_, uid)| uid.parse().ok());
        let earliest = match before.is_empty() {
            // What lay there before there was this channel is somebody else's matter.
            true => channel.created_at,
            false => channel.created_at.max(desk.now() - AGAIN),
        };
        let query = match last {
            Some(last) => format!("UID {}:*", last.saturating_add(1)),
            None => format!("SINCE {}", day_before(earliest)),
        };
        let found = within(COMMAND, session.uid_search(&query)).await?;
        // "*" is the last one, even where that is known.
        let mut found: Vec<u32> =
            found.into_iter().filter(|uid| last.is_none_or(|last| *uid > last)).collect();
        found.sort_unstable();
        if found.is_empty() {
            if last.is_none() {
                let next = format!("{validity}:{}", mailbox.uid_next.unwrap_or(1).saturating_sub(1));
                keep(desk, channel, &account, &before, &next, Vec::new())?;
            }
            return Ok(());
        }
        for page in found.chunks(PAGE) {
            let set = page.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let what = format!("(UID INTERNALDATE BODY.PEEK[]<0.{BYTES}>)");
            let letters = async { session.uid_fetch(&set, &what).await?.try_collect::<Vec<_>>().await };
            let letters = within(COMMAND * 2, letters).await?;
            let (mut jobs, mut taken) = (Vec::new(), Vec::new());
            for one in &letters {
                let (Some(uid), Some(bytes)) = (one.uid, one.body()) else { continue };
                let came = one.internal_date().map(|date| date.timestamp_millis());
                if last.is_none() && came.is_some_and(|came| came + 1_000 < earliest) {
                    continue;
                }
                match read(bytes, &[&settings.address, settings.user()]) {
                    Ok(letter) => {
                        taken.push(uid.to_string());
                        jobs.push(Job {
                            id: letter.id.clone(),
                            target: format!("inbox:{}", channel.id),
                            lane: settings.thread(&letter),
                            kind: "message".to_owned(),
                            body: serde_json::to_string(&letter).map_err(|e| e.to_string())?,
                        });
                    }
                    Err(why) => {
                        tracing::info!(channel = channel.id, uid, why = why.told(), "a mail is not answered");
                    }
                }
            }
            let next = format!("{validity}:{}", page.last().copied().unwrap_or_default());
            if !keep(desk, channel, &account, &before, &next, jobs)? {
                // Somebody else was faster; from where they came to.
                break;
            }
            before = next;
            done_with(session, settings, &taken.join(",")).await;
        }
    }
}

/// Keeps a page; says whether nobody else has.
fn keep(
    desk: &Desk,
    channel: &Channel,
    account: &str,
    before: &str,
    next: &str,
    jobs: Vec<Job>,
) -> Result<bool, String> {
    let page = Fetched { channel: &channel.id, account, before, next: Some(next), jobs };
    let kept = desk.talk().receive_page(&page, &channel.kb, desk.now()).map_err(|e| e.to_string())?;
    desk.wake();
    Ok(kept.is_some())
}

/// Marks or moves what was kept; that it could not be is no reason not to answer.
async fn done_with(session: &mut Open, settings: &Settings, set: &str) {
    if set.is_empty() {
        return;
    }
    if settings.mark_seen {
        let marked =
            async { session.uid_store(set, "+FLAGS.SILENT (\\Seen)").await?.try_collect::<Vec<_>>().await };
        if let Err(why) = within(COMMAND, marked).await {
            tracing::warn!(why, "mails cannot be marked as read");
        }
    }
    if let Some(folder) = &settings.move_to
        && let Err(why) = within(COMMAND, session.uid_mv(set, folder)).await
    {
        tracing::warn!(why, folder, "mails cannot be moved");
    }
}

/// Whether we are let in, and what lies there, in words.
pub(super) fn test(settings: &Settings) -> Result<String, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let (mut session, can_tell) = open(settings).await?;
        let folder = &settings.folder;
        let mailbox = within(COMMAND, session.select(folder)).await.map_err(|why| {
            format!("{}: the folder {folder:?} cannot be opened: {why}", settings.imap_host)
        })?;
        within(COMMAND, session.logout()).await.ok();
        let how = if can_tell { "it tells of what comes" } else { "it is asked every 15 seconds" };
        Ok(format!("{} mails lie in {folder}, {how}", mailbox.exists))
    })
}
