//! Which node holds which knowledge base?
//!
//! Nodes that share their records tell each other there that they are alive, every
//! second. Every one then ranks them for a knowledge base by a hash of both (rendezvous
//! hashing): the first few hold it, and when one goes, only what it held moves. Nobody
//! decides and nothing is kept; two nodes that for a moment do not see the same others
//! open a knowledge base once more than needed, and that is all.
//!
//! It is a matter of memory and of nothing else: any node can open any knowledge base,
//! and does so when none of those that hold it can be reached.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, HeaderName, Uri};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::elsewhere::Sender;
use super::holding::Holding;
use super::peer::{Client, text};
use crate::access::{Digest, key};
use crate::error::{Error, Result};
use crate::store::{self, NodeRecord, Store};
use crate::trust::Authorities;

/// How often a node says that it is alive.
const BEAT: Duration = Duration::from_secs(1);

/// One that did not take a request is sent none for so long.
const SUSPECT: Duration = Duration::from_secs(3);

/// The longest address of a node, in bytes.
const URL_BYTES: usize = 200;

/// So many of the others may read at a time what happened here; more wait.
const READERS: usize = 4;

/// Shows that another node sends a request.
pub(super) const NODE: HeaderName = HeaderName::from_static("zhida-node");

/// For whom it does.
pub(super) const FOR: HeaderName = HeaderName::from_static("zhida-node-for");

/// How much one server of several holds.
#[derive(Debug, Clone, Default)]
pub struct Sharing {
    /// Where the other nodes reach this one; `None` when it is alone, and then it holds
    /// everything.
    pub node_url: Option<String>,
    /// Who may say that one of the others is who it says, where they are called by `https`.
    pub believed: Authorities,
    /// How many nodes hold each knowledge base.
    pub replicas: usize,
    /// How many bytes of knowledge bases may be open; `None` for any number.
    pub memory: Option<u64>,
}

/// What this server holds, and who holds the rest.
pub struct Share {
    holding: Holding,
    nodes: Option<Nodes>,
}

impl Default for Share {
    fn default() -> Self {
        Self { holding: Holding::new(None), nodes: None }
    }
}

impl Share {
    /// As the operator said.
    ///
    /// # Errors
    /// When that is no address, or the system has no randomness.
    pub fn new(store: &Store, sharing: &Sharing) -> Result<Self> {
        let nodes = sharing.node_url.as_deref().map(|url| Nodes::new(store.nodes(), url, sharing));
        Ok(Self { holding: Holding::new(sharing.memory), nodes: nodes.transpose()? })
    }

    /// What is open here.
    pub(super) fn holding(&self) -> &Holding {
        &self.holding
    }

    /// The others; `None` for a server that is alone.
    pub(super) fn nodes(&self) -> Option<&Nodes> {
        self.nodes.as_ref()
    }

    /// Whether not everything need be open here.
    pub(super) fn is_partial(&self) -> bool {
        self.nodes.is_some() || self.holding.budget().is_some()
    }

    /// Whether this node is one of those that hold a knowledge base.
    pub(super) fn is_own(&self, tenant: &str, kb: &str) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.is_own(tenant, kb))
    }

    /// Whether it is the first of them: what must be done once is done there.
    pub(super) fn is_first(&self, tenant: &str) -> bool {
        let first = |nodes: &Nodes| {
            let members = nodes.members.load();
            ranked(&members, tenant, "").first().is_none_or(|node| node.url == nodes.me.url)
        };
        self.nodes.as_ref().is_none_or(first)
    }

    /// Hears again and again which nodes are alive, as long as anybody holds this, and says
    /// that this one is, from [`Self::arrive`] on.
    pub(super) fn live(self: &Arc<Self>) {
        let Some(nodes) = &self.nodes else { return };
        if let Err(error) = nodes.records.succeed(&nodes.me.url) {
            tracing::debug!(%error, "the others may take this node for the one before it");
        }
        nodes.look();
        let held = Arc::downgrade(self);
        let living = std::thread::Builder::new().name("nodes".to_owned()).spawn(move || {
            while let Some(share) = held.upgrade() {
                share.nodes.iter().for_each(Nodes::look);
                drop(share);
                std::thread::sleep(BEAT);
            }
        });
        if let Err(error) = living {
            tracing::error!(%error, "the other nodes do not hear of this one");
        }
    }

    /// From now on the others may send requests to this node: what it holds is open.
    pub(super) fn arrive(&self) {
        let Some(nodes) = &self.nodes else { return };
        nodes.heard().has_arrived = true;
        nodes.look();
    }

    /// Says that this node goes, and from then on no more that it is alive.
    pub(super) fn leave(&self) {
        let Some(nodes) = &self.nodes else { return };
        let mut heard = nodes.heard();
        heard.has_left = true;
        if let Err(error) = nodes.records.leave(&nodes.me) {
            tracing::debug!(%error, "the other nodes find out by themselves that this one has gone");
        }
    }
}

/// The nodes that share the records.
pub(super) struct Nodes {
    records: store::Nodes,
    me: NodeRecord,
    digest: Digest,
    replicas: usize,
    /// Those that are alive, this one among them once it was heard.
    members: ArcSwap<Vec<NodeRecord>>,
    /// Those that are not, and were within the last day, whether they left or vanished.
    silent: ArcSwap<Vec<NodeRecord>>,
    /// Those that did not take a request, and when.
    suspects: Mutex<BTreeMap<String, Instant>>,
    sender: Sender,
    /// What asks others for a thread that waits, once the server runs.
    handle: OnceLock<Handle>,
    /// Who of the others may read what happened here.
    readers: Arc<Semaphore>,
    forwarded: AtomicU64,
    failed: AtomicU64,
    /// How often somebody has come or gone.
    turns: AtomicU64,
    /// Held while it says that it is alive, so that nothing of that comes after its leave.
    heard: Mutex<Heard>,
}

/// What the others know of this node.
#[derive(Default)]
struct Heard {
    /// Whether the last beat failed; said once.
    is_failing: bool,
    /// Whether it may be sent requests. Until then it opens what will be its share.
    has_arrived: bool,
    /// Whether it has left. It knows the others as they were then, and sends requests on to
    /// them until it ends.
    has_left: bool,
}

impl Nodes {
    fn new(records: store::Nodes, url: &str, sharing: &Sharing) -> Result<Self> {
        let url = sound(url)?;
        let token = key::random(40)?;
        let digest = Digest::of(&token);
        let started_at = records.now();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let me = NodeRecord { url, version, token, started_at, seen_at: started_at };
        Ok(Self {
            records,
            me,
            digest,
            replicas: sharing.replicas.max(1),
            members: ArcSwap::default(),
            silent: ArcSwap::default(),
            suspects: Mutex::default(),
            sender: Sender::new(sharing.believed.clone())?,
            handle: OnceLock::new(),
            readers: Arc::new(Semaphore::new(READERS)),
            forwarded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            heard: Mutex::default(),
        })
    }

    /// Says that this node is alive, and hears which others are. When the records do not
    /// answer, those that were alive before are taken for alive.
    fn look(&self) {
        let mut heard = self.heard();
        if heard.has_left {
            return;
        }
        let known = if heard.has_arrived { self.records.beat(&self.me) } else { self.others_and_me() };
        match known {
            Ok(known) => {
                heard.is_failing = false;
                let now = self.records.now();
                let (members, silent): (Vec<_>, Vec<_>) =
                    known.into_iter().partition(|node| node.seen_at >= now - store::SILENT);
                self.silent.store(Arc::new(silent));
                let urls = |all: &[NodeRecord]| all.iter().map(|one| one.url.clone()).collect::<Vec<_>>();
                let (before, now) = (urls(&self.members.load()), urls(&members));
                if before != now {
                    tracing::info!(nodes = now.join(" "), "these nodes share the knowledge bases");
                }
                self.members.store(Arc::new(members));
                // Once it can be seen who.
                self.turns.fetch_add(u64::from(before != now), Ordering::Relaxed);
            }
            Err(error) if !heard.is_failing => {
                heard.is_failing = true;
                tracing::warn!(%error, "the other nodes do not hear of this one");
            }
            Err(_) => {}
        }
    }

    /// The nodes that there will be when this one has arrived.
    fn others_and_me(&self) -> Result<Vec<NodeRecord>> {
        let mut all = self.records.known()?;
        all.retain(|node| node.url != self.me.url);
        all.push(NodeRecord { seen_at: self.records.now(), ..self.me.clone() });
        all.sort_by(|one, other| one.url.cmp(&other.url));
        Ok(all)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This one.
    pub(super) fn me(&self) -> &NodeRecord {
        &self.me
    }

    /// Those that are alive, by their addresses.
    pub(super) fn members(&self) -> Arc<Vec<NodeRecord>> {
        self.members.load_full()
    }

    /// How many nodes hold each knowledge base.
    pub(super) fn replicas(&self) -> usize {
        self.replicas
    }

    /// Sends requests to others.
    pub(super) fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Says what requests of threads that wait run on.
    pub(super) fn run_on(&self, handle: Handle) {
        let _ = self.handle.set(handle);
    }

    pub(super) fn handle(&self) -> Option<&Handle> {
        self.handle.get()
    }

    /// Who of the others may read what happened here.
    pub(super) fn readers(&self) -> &Arc<Semaphore> {
        &self.readers
    }

    /// The others that are alive.
    pub(super) fn others(&self) -> Vec<NodeRecord> {
        self.members.load().iter().filter(|node| node.url != self.me.url).cloned().collect()
    }

    /// Those that are not alive and were within the last day: figures lack what they know.
    pub(super) fn silent(&self) -> Vec<NodeRecord> {
        Vec::clone(&self.silent.load())
    }

    /// A number that is another one when somebody has come or gone since.
    pub(super) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// How many requests others have answered, and how often one of them could not be reached.
    pub(super) fn sent(&self) -> (u64, u64) {
        (self.forwarded.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    fn is_own(&self, tenant: &str, kb: &str) -> bool {
        let members = self.members.load();
        // One that nobody has heard of yet must open what it can.
        members.iter().all(|node| node.url != self.me.url)
            || ranked(&members, tenant, kb).iter().take(self.replicas).any(|node| node.url == self.me.url)
    }

    /// The other nodes that hold a knowledge base, the first to be asked first; those that
    /// could not be reached a moment ago are left out, and the next ones take their place.
    pub(super) fn holders(&self, tenant: &str, kb: &str) -> Vec<NodeRecord> {
        let members = self.members.load();
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.retain(|_, since| since.elapsed() < SUSPECT);
        let well = ranked(&members, tenant, kb).into_iter().filter(|node| !suspects.contains_key(&node.url));
        well.take(self.replicas).filter(|node| node.url != self.me.url).cloned().collect()
    }

    /// A node has answered.
    pub(super) fn reached(&self) {
        self.forwarded.fetch_add(1, Ordering::Relaxed);
    }

    /// A node could not be reached.
    pub(super) fn missed(&self, node: &NodeRecord, why: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        if suspects.insert(node.url.clone(), Instant::now()).is_none() {
            tracing::warn!(node = node.url, error = why, "a node cannot be reached; others answer for it");
        }
    }

    /// For whom another node sends a request; `None` when it is none that does. What shows
    /// it is taken away in any case.
    pub(super) fn sent_for(&self, headers: &mut HeaderMap) -> Option<Client> {
        let told = headers.remove(FOR);
        let shown = headers.remove(NODE)?;
        let shown = Digest::of(shown.to_str().ok()?);
        if !shown.matches(&self.digest) {
            return None;
        }
        let mut of = HeaderMap::new();
        of.insert(FOR, told?);
        let mut parts = text(&of, &FOR)?.split(';');
        Some(Client {
            address: parts.next()?.parse().ok()?,
            is_encrypted: parts.next()? == "1",
            is_own_page: parts.next()? == "1",
        })
    }
}

/// How a node says for whom it asks.
pub(super) fn told_for(client: Client) -> String {
    let flag = |is: bool| if is { "1" } else { "0" };
    format!("{};{};{}", client.address, flag(client.is_encrypted), flag(client.is_own_page))
}

/// An address that requests can be sent to, without a stroke at its end.
fn sound(url: &str) -> Result<String> {
    let wrong = || {
        Error::Refused(format!(
            "--node-url is where the other nodes reach this one, a scheme, a host and a port, such as http://10.0.0.5:8080 or https://node1.example:8443; got {url:?}"
        ))
    };
    let plain = url.trim_end_matches('/');
    let uri: Uri = plain.parse().map_err(|_| wrong())?;
    let is_bare = uri.path() == "/" && uri.query().is_none();
    let is_host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if plain.len() > URL_BYTES || !matches!(uri.scheme_str(), Some("http" | "https")) || !is_bare || !is_host
    {
        return Err(wrong());
    }
    Ok(plain.to_ascii_lowercase())
}

/// All nodes, the first to hold a knowledge base first.
fn ranked<'a>(members: &'a [NodeRecord], tenant: &str, kb: &str) -> Vec<&'a NodeRecord> {
    let mut ranked: Vec<_> = members.iter().map(|node| (score(&node.url, tenant, kb), node)).collect();
    ranked.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.url.cmp(&other.url)));
    ranked.into_iter().map(|(_, node)| node).collect()
}

/// The same number on every node and in every version.
fn score(url: &str, tenant: &str, kb: &str) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in [url, tenant, kb] {
        hasher.update(part.as_bytes());
        // In none of the three.
        hasher.update([0]);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize()[..16]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(number: usize) -> Vec<NodeRecord> {
        let node = |at: usize| NodeRecord {
            url: format!("http://10.0.0.{at}:8080"),
            version: String::new(),
            token: String::new(),
            started_at: 0,
            seen_at: 0,
        };
        (1..=number).map(node).collect()
    }

    fn holders(members: &[NodeRecord], kb: usize) -> Vec<&str> {
        let kb = format!("商城{kb}");
        ranked(members, "acme", &kb).into_iter().take(2).map(|node| node.url.as_str()).collect()
    }

    #[test]
    fn every_node_gets_its_share() {
        let five = members(5);
        let mut held = BTreeMap::<&str, usize>::new();
        for kb in 0..10_000 {
            holders(&five, kb).into_iter().for_each(|url| *held.entry(url).or_default() += 1);
        }
        // 4,000 each; five standard deviations are 245.
        assert!(held.len() == 5 && held.values().all(|count| (3_750..4_250).contains(count)), "{held:?}");
    }

    #[test]
    fn only_what_a_node_held_moves_when_it_goes() {
        let (five, four) = (members(5), members(4));
        let gone = five[4].url.as_str();
        for kb in 0..1_000 {
            let (before, after) = (holders(&five, kb), holders(&four, kb));
            let stays = before.iter().filter(|url| **url != gone);
            assert!(stays.clone().all(|url| after.contains(url)), "{before:?} {after:?}");
        }
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(sound("http://Node-1:8080/").expect("sound"), "http://node-1:8080");
        for wrong in ["", "node-1:8080", "ftp://node-1", "http://a/b", "http://me:hush@a", "http://a?b"] {
            assert!(sound(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_who_knows_the_token_speaks_for_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::at(folder.path());
        let nodes = Nodes::new(store.nodes(), "http://a:1", &Sharing::default()).expect("nodes");
        let client = Client { address: [203, 0, 113, 9].into(), is_encrypted: true, is_own_page: false };
        let send = |token: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(NODE, token.parse().expect("a value"));
            headers.insert(FOR, told_for(client).parse().expect("a value"));
            let told = nodes.sent_for(&mut headers);
            assert!(headers.is_empty());
            told
        };
        assert_eq!(send(&nodes.me.token), Some(client));
        assert_eq!(send("made-up"), None);
    }
}
