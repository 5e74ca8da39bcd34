//! What must survive?
//!
//! ```text
//! data/access.db               tenants, keys, people, who changed what
//! data/conversations.db        conversations, handoffs, tickets, webhooks, what is to be delivered
//! data/zhida.db                drafts with their words and history, records of releases, what is served
//! data/kbs/NAME/releases/12/   what was published, never changed again
//! data/nodes.db                servers that share all of it, if there are several; in no backup
//! data/models/NAME/            models that were fetched or adapted
//! data/files/CONVERSATION/…    pictures that customers and agents show each other
//! data/secret.key              what secrets in conversations.db are sealed with; in no backup
//! ```
//!
//! A [`Store`] is the data directory, a [`Shelf`] one knowledge base in it.
//! Every change is one transaction in the database, and every folder is
//! written beside its place and renamed into it, so a crash leaves the old
//! state or the new one. Several processes may work on one directory at once. A
//! directory that cannot be written (a read-only mount) is read all the same.

mod access;
mod audit;
mod backlog;
mod backup;
mod canned;
mod channel_standing;
mod channel_state;
mod channels;
mod collect;
mod columns;
mod conversations;
mod database;
mod deletions;
mod depots;
mod draft;
mod edit;
mod editing;
mod evaluations;
mod fetched;
mod forget;
mod ground;
mod handoffs;
mod holders;
mod keeping;
mod keys;
mod known;
mod left_out;
mod legacy;
mod metered;
mod models;
mod moving;
mod nodes;
mod notes;
mod objects;
mod outbox;
mod outline;
mod overview;
mod pattern;
mod pending;
mod people;
mod pictures;
mod presence;
mod proposals;
mod queries;
mod releases;
mod restore;
mod revive;
mod rewind;
mod room;
mod schedules;
mod sealed;
mod served;
mod service;
mod sessions;
mod signature;
mod steps;
mod stream;
mod suggestions;
mod tenants;
mod tickets;
mod undelivered;
mod webhooks;
mod words;

pub use access::{Access, Counted, Grant, Table};
pub use audit::{Verdict, WantedAudit};
pub use backlog::Backlog;
pub use backup::{Backup, Manifest as BackupManifest};
pub use canned::CannedReply;
pub use channel_standing::Standing;
pub use channel_state::{Admission, Spent};
pub use channels::Channel;
pub use collect::Collected;
pub use columns::IgnoredColumns;
pub use conversations::{Conversation, Conversations, Heard, NewLine, Place};
pub use database::Noted;
pub use database::cluster::Cluster;
pub use deletions::Deleted;
pub use depots::{CollectedDepot, Looked, Put, Which};
pub use draft::{Action, Revision};
pub use edit::{Edit, Edited, Expected, Filter, LiveChanges, Page, Stored};
pub use evaluations::Evaluated;
pub use fetched::Compared;
pub use forget::Forgotten;
pub use handoffs::{Act, NewHandoff, PastHandoffs, Wanted};
pub use holders::Holder;
pub use keeping::REMEMBERED;
pub use keys::{KeyRecord, NewKey};
pub use left_out::LeftOut;
pub use models::Models;
pub use moving::Copied;
pub use nodes::{NodeRecord, Nodes, SILENT};
pub use outbox::{Fetched, Job, Settled, Taken};
pub use outline::Outline;
pub use overview::{Overview, Pending};
pub use people::{NewPerson, PersonChange, PersonRecord, SignIn, folded};
pub use pictures::picture_name;
pub use presence::Present;
pub use proposals::Proposal;
pub use releases::{Approval, Publication, Record, Served};
pub use restore::Restored;
pub use revive::{Checked, check as check_backup};
pub use rewind::Rewound;
pub use schedules::{PlanState, Planned, Scheduled};
pub use sealed::{MARK as SEALED, is_secret};
pub use service::{ServiceEdit, ServiceText};
pub use sessions::{Counted as CountedAttempt, Departure, Errand, Lasting, SessionRecord, Wait};
pub use signature::Signature;
pub use stream::News;
pub use suggestions::{Decided, DecidedBy};
pub use tenants::TenantRecord;
pub use tickets::{NewTicket, Note, Ticket, TicketChange, WantedTickets};
pub use undelivered::Undelivered;
pub use webhooks::{MOST as MOST_WEBHOOKS, Webhook};
pub use words::Words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::prelude::*;

use self::database::schema::{entries, kbs};
use self::database::{Ceiling, Connection, Database, Kind, Outcome};
use self::ground::Ground;
use self::sealed::{KEY_FILE, Seal};
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::kb::{EntryId, KnowledgeBase};
use crate::release::{Built, Release};

/// Drafts with their words and history, records of releases, what is served.
const DRAFTS: Kind = Kind {
    file: "zhida.db",
    schema: "drafts",
    steps: steps::DRAFTS,
    prepare: tidy_up,
    waits: legacy::is_there,
    is_told: true,
};

/// Conversations and what belongs to them. A database of its own: an import holds the
/// other one for seconds, and no customer's message waits for that.
const TALK: Kind = Kind {
    file: "conversations.db",
    schema: "conversations",
    steps: steps::TALK,
    prepare: |_, _| Ok(()),
    waits: |_| false,
    is_told: false,
};

/// Who may come in, and who has changed what.
const DOOR: Kind = Kind {
    file: "access.db",
    schema: "access",
    steps: steps::DOOR,
    prepare: |_, _| Ok(()),
    waits: |_| false,
    is_told: false,
};

/// Which servers share the records.
const NODES: Kind = Kind {
    file: "nodes.db",
    schema: "nodes",
    steps: steps::NODES,
    prepare: |_, _| Ok(()),
    waits: |_| false,
    is_told: false,
};

/// Releases that lie with the records, for several servers that share nothing else.
const RELEASES: Kind = Kind {
    file: "releases.db",
    schema: "releases",
    steps: steps::RELEASES,
    prepare: |_, _| Ok(()),
    waits: |_| false,
    is_told: false,
};

/// Does what a crash or an older zhida has left to do.
fn tidy_up(root: &Path, connection: &mut Connection) -> Outcome<()> {
    deletions::sweep(connection, root);
    legacy::move_in(root, connection)
}

/// A data directory, with its records in it or on a server.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    database: Arc<Database>,
    conversations: Arc<Database>,
    seal: Arc<Seal>,
    /// Whether the key's file is where the operator said, the same for all tenants.
    key_is_elsewhere: bool,
    ground: Ground,
}

/// A knowledge base in a data directory.
#[derive(Debug, Clone)]
pub struct Shelf {
    name: String,
    store: Store,
    signature: Signature,
    /// What was set for a time and is being done, if this is.
    due: Option<schedules::Due>,
}

/// A release that was just made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its number.
    pub number: u32,
    /// What making it took.
    pub built: Built,
}

impl Store {
    /// The data directory at a path; it need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let seal = Arc::new(Seal::in_file(root.join(KEY_FILE)));
        let ground = Ground::default();
        let (database, conversations) = (ground.database(&root, DRAFTS), ground.database(&root, TALK));
        Self { root, database, conversations, seal, key_is_elsewhere: false, ground }
    }

    /// The same; secrets of channels and webhooks are sealed with the key in a file,
    /// which is made at the first of them. Without this it lies beside the databases.
    #[must_use]
    pub fn with_key_file(self, file: impl Into<PathBuf>) -> Self {
        Self { seal: Arc::new(Seal::in_file(file.into())), key_is_elsewhere: true, ..self }
    }

    /// Seals what an older zhida has left in plain, if there is anything.
    ///
    /// # Errors
    /// When secrets are sealed and their key is not there.
    pub fn seal_secrets(&self) -> Result<()> {
        self.seal.sweep(&self.conversations)
    }

    /// Whether anything may be changed.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] when not, and when the directory cannot be made.
    pub fn writable(&self) -> Result<()> {
        self.database.writable()
    }

    /// Whether its database is there.
    pub fn is_there(&self) -> bool {
        self.database.is_there()
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The data directory of a tenant: one of its own inside this one.
    ///
    /// # Errors
    /// When the name could not be a folder's.
    pub fn tenant(&self, name: &str) -> Result<Self> {
        if !is_sound(name) {
            return Err(Error::Refused(format!("tenant name {name:?}: {SOUND}")));
        }
        let ground = Ground { tenant: Some(name.to_owned()), ..self.ground.clone() };
        let store = Self::at(self.root.join("tenants").join(name)).grounded(ground);
        Ok(if self.key_is_elsewhere { store.with_key_file(self.seal.file()) } else { store })
    }

    /// Says how many entries may be in all drafts together; `None` for any number.
    pub fn limit_entries(&self, most: Option<u64>) {
        let count = |connection: &mut Connection| -> Outcome<u64> {
            let count: i64 = entries::table.count().get_result(connection)?;
            Ok(u64::try_from(count).unwrap_or_default())
        };
        self.database.limit(most.map(|most| Ceiling { what: "entries", most, count }));
    }

    /// Where fetched and adapted models lie.
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// The names of all knowledge bases, in order.
    pub fn names(&self) -> Result<Vec<String>> {
        Ok(self.heads()?.into_iter().map(|head| head.name).collect())
    }

    /// What every knowledge base serves, by name. Cheap: a server asks for it
    /// all the time.
    pub fn heads(&self) -> Result<Vec<Head>> {
        let rows = self.database.read(|connection| {
            Ok(kbs::table.order(kbs::name).select(draft::Kb::as_select()).load(connection)?)
        })?;
        Ok(rows.unwrap_or_default().into_iter().map(Head::of).collect())
    }

    /// A knowledge base that exists.
    pub fn shelf(&self, name: &str) -> Result<Shelf> {
        let shelf = self.shelf_to_create(name)?;
        if shelf.head()?.is_some() {
            Ok(shelf)
        } else {
            Err(Error::Unknown { what: "knowledge base", name: name.to_owned(), known: self.names()? })
        }
    }

    /// A knowledge base that may not exist yet.
    ///
    /// # Errors
    /// When the name could not be a folder's.
    pub fn shelf_to_create(&self, name: &str) -> Result<Shelf> {
        if !is_sound(name) {
            return Err(Error::Refused(format!("knowledge base name {name:?}: {SOUND}")));
        }
        Ok(Shelf { name: name.to_owned(), store: self.clone(), signature: Signature::default(), due: None })
    }

    /// A knowledge base that is made if there is none.
    ///
    /// # Errors
    /// When the name could not be a folder's, or a command would take that of a new one for
    /// a flag; those that are there already go on.
    pub fn shelf_to_make(&self, name: &str) -> Result<Shelf> {
        let shelf = self.shelf_to_create(name)?;
        if name.starts_with('-') && shelf.head()?.is_none() {
            return Err(Error::Refused(format!("knowledge base name {name:?}: {SOUND}, nor with '-'")));
        }
        Ok(shelf)
    }
}

/// The longest name in bytes: folders take 255, and models are named after it.
const NAME_BYTES: usize = 192;

/// What a name may be.
const SOUND: &str = "use 1 to 64 letters, digits, Chinese characters, '-', '_' or '.' (192 bytes at most), not beginning with '.'";

/// Whether a knowledge base or tenant may have a name: it is also that of a folder.
fn is_sound(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES
        && name.chars().count() <= 64
        && !name.starts_with('.')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Where the releases of a knowledge base lie.
fn kb_folder(root: &Path, name: &str) -> PathBuf {
    root.join("kbs").join(name)
}

/// What a knowledge base serves at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Its number, which no other knowledge base ever gets.
    pub kb: i32,
    /// The knowledge base.
    pub name: String,
    /// The release; `None` when nothing was published.
    pub current: Option<u32>,
    /// The last revision of any kind.
    pub revision: i64,
    /// Live edits after this revision are served on top of the release, …
    pub live_from: i64,
    /// … and this is the last one.
    pub live_to: i64,
    /// Its goal; `None` for the default.
    pub max_wrong: Option<f64>,
}

impl Head {
    fn of(row: draft::Kb) -> Self {
        Self {
            kb: row.id,
            name: row.name,
            current: row.current.and_then(|number| u32::try_from(number).ok()),
            revision: row.revision,
            live_from: row.live_from,
            live_to: row.live_to,
            max_wrong: row.max_wrong,
        }
    }
}

impl Shelf {
    /// The knowledge base's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The data directory that it is in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The same knowledge base; changes are recorded under a signature.
    #[must_use]
    pub fn signed(self, signature: Signature) -> Self {
        Self { signature, ..self }
    }

    /// Sets the goal, at most this share wrong among the answered; `None` for the
    /// default. What is served keeps it from now on, without a publication.
    pub fn set_goal(&self, max_wrong: Option<f64>) -> Result<()> {
        self.store.database.write(|connection| {
            diesel::update(kbs::table.filter(kbs::name.eq(&self.name)))
                .set(kbs::max_wrong.eq(max_wrong))
                .execute(connection)?;
            Ok(())
        })
    }

    /// The goal, or another one when it has none.
    pub fn goal_or(&self, default: f64) -> Result<f64> {
        Ok(self.goal()?.unwrap_or(default))
    }

    /// The goal; `None` for the default.
    pub fn goal(&self) -> Result<Option<f64>> {
        Ok(self.head()?.and_then(|head| head.max_wrong))
    }

    /// Names the state of the draft and of what is served, for the audit; `None`
    /// when the knowledge base does not exist. The history says what it means.
    pub fn state(&self) -> Result<Option<String>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let served =
            head.current.map_or_else(|| "no release".to_owned(), |number| format!("release {number}"));
        let goal = head.max_wrong.map_or_else(String::new, |share| format!(", goal {share}"));
        Ok(Some(format!("revision {}, {served}{goal}", head.revision)))
    }

    /// What is served; `None` when the knowledge base does not exist.
    pub fn head(&self) -> Result<Option<Head>> {
        let row = self.store.database.read(|connection| draft::find(connection, &self.name))?;
        Ok(row.flatten().map(Head::of))
    }

    /// Makes the draft equal to some entries. Every entry that differs gets a
    /// revision.
    pub fn save_draft(&self, base: &KnowledgeBase) -> Result<()> {
        self.store.database.write(|connection| {
            deletions::bury(connection, &self.store.root, Some(&self.name))?;
            draft::replace(connection, &self.name, base, &self.signature)
        })
    }

    /// Changes the draft as a whole: `change` gets what is there, and nobody
    /// else writes until its outcome is recorded. What was said of columns is
    /// recorded with it. Gives back the last revision before it, and the last one of it.
    ///
    /// # Errors
    /// What `change` says; then nothing is changed.
    pub fn change_draft(
        &self,
        columns: IgnoredColumns<'_>,
        change: impl FnOnce(KnowledgeBase) -> Result<KnowledgeBase>,
    ) -> Result<(i64, i64)> {
        self.change_draft_at(columns, |draft, _| change(draft))
    }

    /// The same; `change` gets the last revision of what is there, too.
    pub(crate) fn change_draft_at(
        &self,
        columns: IgnoredColumns<'_>,
        change: impl FnOnce(KnowledgeBase, i64) -> Result<KnowledgeBase>,
    ) -> Result<(i64, i64)> {
        self.store.database.write(|connection| {
            let (known, before) = match draft::find(connection, &self.name)? {
                Some(kb) => (draft::load(connection, kb.id)?, kb.revision),
                None => (Vec::new(), 0),
            };
            let base = change(KnowledgeBase::of_validated(known), before)?;
            deletions::bury(connection, &self.store.root, Some(&self.name))?;
            draft::replace(connection, &self.name, &base, &self.signature)?;
            let kb = draft::known(connection, &self.name)?;
            columns::remember(connection, kb.id, columns)?;
            Ok((before, kb.revision))
        })
    }

    /// The draft; empty when there is none.
    pub fn draft(&self) -> Result<KnowledgeBase> {
        Ok(self.draft_and_revision()?.0)
    }

    /// The draft and the last revision in it.
    fn draft_and_revision(&self) -> Result<(KnowledgeBase, i64)> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(None) };
            let entries = draft::load(connection, kb.id)?;
            let base = KnowledgeBase::of_validated(entries)
                .with_lexicon(words::load(connection, kb.id)?)
                .with_service(service::load(connection, kb.id)?);
            Ok(Some((base, kb.revision)))
        })?;
        Ok(found.flatten().unwrap_or_default())
    }

    /// The revisions of everything in the draft or of one entry, newest first;
    /// with `before` only those with a lower number.
    pub fn history(
        &self,
        entry: Option<&EntryId>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Revision>> {
        let found = self.store.database.read(|connection| {
            let Some(kb) = draft::find(connection, &self.name)? else { return Ok(Vec::new()) };
            let mut revisions = draft::history(connection, kb.id, entry, before, limit)?;
            if entry.is_none() {
                revisions.extend(words::history(connection, kb.id, before, limit)?);
                revisions.extend(service::history(connection, kb.id, before, limit)?);
                revisions.sort_by_key(|revision| std::cmp::Reverse(revision.number));
                revisions.truncate(limit);
            }
            Ok(revisions)
        })?;
        Ok(found.unwrap_or_default())
    }

    fn folder(&self) -> PathBuf {
        kb_folder(&self.store.root, &self.name)
    }

    fn releases(&self) -> PathBuf {
        self.folder().join("releases")
    }

    /// The folder of a release; with a depot it may not be there yet
    /// ([`Self::fetched_folder`]).
    pub fn release_folder(&self, number: u32) -> PathBuf {
        self.releases().join(number.to_string())
    }

    /// The number that is served, if anything was published.
    pub fn current(&self) -> Result<Option<u32>> {
        Ok(self.head()?.and_then(|head| head.current))
    }

    /// Opens the release that is served.
    pub fn open_current(&self, encoder: Option<Arc<Encoder>>) -> Result<Release> {
        self.open_release(self.current_number()?, encoder)
    }

    /// Where the release lies that is served; `None` when nothing was published, or it cannot
    /// be had here. For its vectors, which only save time.
    pub fn folder_served(&self) -> Option<PathBuf> {
        let number = self.current().ok().flatten()?;
        self.fetched_folder(number).ok()
    }

    /// The number that is served.
    ///
    /// # Errors
    /// When nothing was published.
    pub fn current_number(&self) -> Result<u32> {
        self.current()?.ok_or_else(|| {
            Error::Refused(format!(
                "knowledge base {} has no release yet; run `zhida kb publish --kb {}`",
                self.name, self.name
            ))
        })
    }

    /// Opens a release by its number.
    ///
    /// # Errors
    /// When it does not open, or its manifest says that it is another one: a
    /// folder that was copied by hand.
    pub fn open_release(&self, number: u32, encoder: Option<Arc<Encoder>>) -> Result<Release> {
        let folder = self.fetched_folder(number)?;
        let release = Release::open(&folder, encoder)?;
        let manifest = release.manifest();
        if manifest.number != number || manifest.kb != self.name {
            return Err(Error::release(
                folder,
                format!(
                    "should be release {number} of {}, its manifest says release {} of {}; run `zhida kb rollback --kb {} {}` or publish again",
                    self.name, manifest.number, manifest.kb, self.name, manifest.number
                ),
            ));
        }
        Ok(release)
    }
}
