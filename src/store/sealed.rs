//! How are secrets of channels and webhooks kept?
//!
//! Sealed with AES-256-GCM under a key that lies in a file of its own, so that a copy of
//! the database alone opens nothing. The file is made at the first secret, beside the
//! databases or where the operator says, and only its owner may read it. What an older
//! zhida has written in plain is sealed when a process first looks at it. Where there
//! are sealed secrets and no key, nothing is made up: the operator is told.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;

use super::database::talk::{channels, tokens, webhooks};
use super::database::{Connection, Database, Outcome};
use crate::error::{Error, Result};

/// The key's file beside the databases.
pub const KEY_FILE: &str = "secret.key";

/// How a sealed text begins.
pub const MARK: &str = "sealed:1:";

/// The bytes of the key.
const KEY: usize = 32;

/// Settings of channels whose names hold one of these are secrets; a new kind of
/// channel names its own so.
const SECRET: [&str; 5] = ["secret", "token", "password", "key", "credential"];

/// Whether a setting of a name is a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET.iter().any(|word| name.contains(word))
}

/// Changes every secret text in some settings.
pub(super) fn each_secret(
    value: &mut Value,
    change: &mut dyn FnMut(&mut String) -> Result<()>,
) -> Result<()> {
    fn walk(
        value: &mut Value,
        secret: bool,
        change: &mut dyn FnMut(&mut String) -> Result<()>,
    ) -> Result<()> {
        match value {
            Value::String(text) if secret => change(text),
            Value::Object(fields) => {
                fields.iter_mut().try_for_each(|(name, field)| walk(field, secret || is_secret(name), change))
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| walk(item, secret, change)),
            _ => Ok(()),
        }
    }
    walk(value, false, change)
}

/// Whether a text is sealed.
pub(super) fn is_sealed(text: &str) -> bool {
    text.starts_with(MARK)
}

/// What secrets of a data directory are sealed and opened with.
pub(super) struct Seal {
    file: PathBuf,
    key: Mutex<Option<Arc<LessSafeKey>>>,
    /// Whether this process has seen to what an older zhida wrote in plain.
    swept: AtomicBool,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Seal {
    pub(super) fn in_file(file: PathBuf) -> Self {
        Self { file, key: Mutex::default(), swept: AtomicBool::new(false) }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Seals a text that belongs to something; put elsewhere, it does not open.
    pub(super) fn seal(&self, connection: &mut Connection, of: &str, text: &str) -> Outcome<String> {
        let key = self.key_to_seal_with(connection)?;
        Ok(sealed(&key, of, text)?)
    }

    /// Opens a text that belongs to something; one that is not sealed is as it is.
    pub(super) fn open(&self, of: &str, text: &str) -> Result<String> {
        let Some(sealed) = text.strip_prefix(MARK) else { return Ok(text.to_owned()) };
        let key = self.key()?.ok_or_else(|| self.missing())?;
        let wrong = || {
            Error::Refused(format!(
                "the secrets of {of} do not open with the key in {}: it is another one. Put the file back that was there, or set the secrets anew",
                self.file.display()
            ))
        };
        let mut bytes = STANDARD.decode(sealed).map_err(|_| wrong())?;
        if bytes.len() < NONCE_LEN {
            return Err(wrong());
        }
        let mut rest = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| wrong())?;
        let opened = key.open_in_place(nonce, Aad::from(of.as_bytes()), &mut rest).map_err(|_| wrong())?;
        String::from_utf8(opened.to_vec()).map_err(|_| wrong())
    }

    /// Seals the secrets in some settings.
    pub(super) fn seal_settings(
        &self,
        connection: &mut Connection,
        of: &str,
        settings: &str,
    ) -> Outcome<String> {
        let Ok(mut value) = serde_json::from_str::<Value>(settings) else { return Ok(settings.to_owned()) };
        let key = self.key_to_seal_with(connection)?;
        each_secret(&mut value, &mut |text| {
            if !is_sealed(text) {
                *text = sealed(&key, of, text)?;
            }
            Ok(())
        })?;
        Ok(value.to_string())
    }

    /// Opens the secrets in some settings.
    pub(super) fn open_settings(&self, of: &str, settings: &str) -> Result<String> {
        if !settings.contains(MARK) {
            return Ok(settings.to_owned());
        }
        let mut value: Value =
            serde_json::from_str(settings).map_err(|e| Error::internal("settings of a channel", e))?;
        each_secret(&mut value, &mut |text| {
            *text = self.open(of, text)?;
            Ok(())
        })?;
        Ok(value.to_string())
    }

    /// Seals what lies in plain, once in the life of a process.
    ///
    /// # Errors
    /// When something is sealed and the key is not there.
    pub(super) fn sweep(&self, database: &Database) -> Result<()> {
        if self.swept.load(Ordering::Acquire) || !database.is_there() || database.writable().is_err() {
            return Ok(());
        }
        let (plain, sealed) = database
            .read(|connection| Ok((has_plain(connection)?, holds_sealed(connection)?)))?
            .unwrap_or_default();
        if sealed && self.key()?.is_none() {
            return Err(self.missing());
        }
        if plain {
            let changed = database.write(|connection| self.sweep_rows(connection))?;
            database.truncate_log()?;
            tracing::info!(changed, key = %self.file.display(), "secrets that lay in plain are sealed");
        }
        self.swept.store(true, Ordering::Release);
        Ok(())
    }

    fn sweep_rows(&self, connection: &mut Connection) -> Outcome<usize> {
        let mut changed = 0;
        let found: Vec<(String, String)> =
            channels::table.select((channels::id, channels::settings)).load(connection)?;
        for (id, settings) in found {
            let sealed = self.seal_settings(connection, &of_channel(&id), &settings)?;
            if sealed != settings {
                diesel::update(channels::table.find(&id))
                    .set(channels::settings.eq(sealed))
                    .execute(connection)?;
                changed += 1;
            }
        }
        let found: Vec<(String, String, Option<String>)> =
            webhooks::table.select((webhooks::id, webhooks::secret, webhooks::previous)).load(connection)?;
        for (id, secret, previous) in found {
            let of = of_webhook(&id);
            if is_sealed(&secret) && previous.as_deref().is_none_or(is_sealed) {
                continue;
            }
            let key = self.key_to_seal_with(connection)?;
            let sealed =
                |text: &str| if is_sealed(text) { Ok(text.to_owned()) } else { sealed(&key, &of, text) };
            let (secret, previous) = (sealed(&secret)?, previous.as_deref().map(sealed).transpose()?);
            diesel::update(webhooks::table.find(&id))
                .set((webhooks::secret.eq(secret), webhooks::previous.eq(previous)))
                .execute(connection)?;
            changed += 1;
        }
        Ok(changed)
    }

    /// The key, made if nothing is sealed yet.
    fn key_to_seal_with(&self, connection: &mut Connection) -> Outcome<Arc<LessSafeKey>> {
        match self.key()? {
            Some(key) => Ok(key),
            None if holds_sealed(connection)? => Err(self.missing().into()),
            None => Ok(self.make()?),
        }
    }

    /// The key; `None` when there is no file.
    fn key(&self) -> Result<Option<Arc<LessSafeKey>>> {
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*known {
            return Ok(Some(Arc::clone(key)));
        }
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", &self.file, e)),
        };
        let wrong = || {
            Error::Refused(format!(
                "{} holds no key: it is {KEY} random bytes in base64, on one line",
                self.file.display()
            ))
        };
        let bytes = STANDARD.decode(text.trim()).map_err(|_| wrong())?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| wrong())?;
        let key = Arc::new(LessSafeKey::new(key));
        *known = Some(Arc::clone(&key));
        Ok(Some(key))
    }

    /// Makes the key's file, unless another process was faster.
    fn make(&self) -> Result<Arc<LessSafeKey>> {
        let failed = |e| Error::io("write", &self.file, e);
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        // A temporary file is its owner's alone, and stays so.
        let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let bytes: [u8; KEY] = random()?;
        let line = format!("{}\n", STANDARD.encode(bytes));
        beside.write_all(line.as_bytes()).and_then(|()| beside.as_file().sync_all()).map_err(failed)?;
        match beside.persist_noclobber(&self.file) {
            Ok(_) => crate::disk::sync_folder(folder)?,
            Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(failed(e.error)),
        }
        self.key()?.ok_or_else(|| self.missing())
    }

    fn missing(&self) -> Error {
        Error::Refused(format!(
            "the key file {} is missing, and secrets of channels and webhooks are sealed with it. Put it back, name its place with ZHIDA_SECRET_KEY_FILE, or remove these channels and webhooks and add them anew",
            self.file.display()
        ))
    }
}

fn sealed(key: &LessSafeKey, of: &str, text: &str) -> Result<String> {
    let nonce: [u8; NONCE_LEN] = random()?;
    let mut bytes = text.as_bytes().to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(of.as_bytes()), &mut bytes)
        .map_err(|_| Error::internal("seal", "the text is too long"))?;
    Ok(format!("{MARK}{}", STANDARD.encode([&nonce[..], &bytes].concat())))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::internal("randomness", "the system has none"))?;
    Ok(bytes)
}

/// What a channel's secrets belong to.
pub(super) fn of_channel(id: &str) -> String {
    format!("channel {id}")
}

/// What a webhook's secrets belong to.
pub(super) fn of_webhook(id: &str) -> String {
    format!("webhook {id}")
}

/// Whether anything is sealed here.
fn holds_sealed(connection: &mut Connection) -> Outcome<bool> {
    let settings: Vec<String> = channels::table.select(channels::settings).load(connection)?;
    let secrets: Vec<String> = webhooks::table.select(webhooks::secret).load(connection)?;
    let values: Vec<Option<String>> = tokens::table.select(tokens::value).load(connection)?;
    Ok(settings.iter().any(|text| text.contains(MARK))
        || secrets.iter().any(|text| is_sealed(text))
        || values.iter().flatten().any(|text| is_sealed(text)))
}

/// Whether a secret lies in plain here.
fn has_plain(connection: &mut Connection) -> Outcome<bool> {
    let settings: Vec<String> = channels::table.select(channels::settings).load(connection)?;
    for text in settings {
        let mut plain = false;
        let mut value: Value = serde_json::from_str(&text).unwrap_or_default();
        each_secret(&mut value, &mut |text| {
            plain |= !is_sealed(text);
            Ok(())
        })?;
        if plain {
            return Ok(true);
        }
    }
    let secrets: Vec<(String, Option<String>)> =
        webhooks::table.select((webhooks::secret, webhooks::previous)).load(connection)?;
    Ok(secrets.iter().any(|(secret, previous)| {
        !is_sealed(secret) || previous.as_deref().is_some_and(|one| !is_sealed(one))
    }))
}
