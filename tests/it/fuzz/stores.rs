//! What lies on the disk: releases, events, backups, settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use zhida::encoder::{Encoder, FileDigest};
use zhida::engine::{Engine, Options};
use zhida::events::compact::maintain;
use zhida::events::{Day, Days, Event, Kind, Log, Wanted};
use zhida::release::Release;
use zhida::store::{Store, check_backup};

use super::files::packed;
use super::fuzz;
use crate::http::publish;
use crate::support::SMALL_KB;

/// The files of a folder with their paths in it, in order.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut open = vec![folder.to_path_buf()];
    let mut all = Vec::new();
    while let Some(place) = open.pop() {
        for item in std::fs::read_dir(place).expect("a folder").flatten() {
            if item.path().is_dir() {
                open.push(item.path());
            } else {
                let path = item.path().strip_prefix(folder).expect("inside").to_path_buf();
                all.push((path, std::fs::read(item.path()).expect("readable")));
            }
        }
    }
    all.sort();
    all
}

/// Seeds whose first byte says which file the rest is.
fn numbered(files: &[(PathBuf, Vec<u8>)]) -> Vec<Vec<u8>> {
    let number = |at: usize| u8::try_from(at).expect("few files");
    files.iter().enumerate().map(|(at, (_, bytes))| [&[number(at)][..], bytes].concat()).collect()
}

/// A manifest that says of a file what has become of it; `None` where it says nothing of it.
fn describing(manifest: &[u8], file: &Path, bytes: &[u8]) -> Option<String> {
    let mut described: Value = serde_json::from_slice(manifest).expect("JSON");
    let known = described["files"].get_mut(file.to_str().expect("a name"))?;
    *known = json!(FileDigest::of(bytes));
    Some(described.to_string())
}

/// Opens a release and asks it something.
fn opened_and_asked(release: &Path, encoder: Option<Arc<Encoder>>) -> zhida::error::Result<()> {
    let engine = Engine::new(Arc::new(Release::open(release, encoder)?), 0.05);
    engine.answer("怎么开电子发票", Options::default()).map(|_| ())
}

/// A release whose files somebody has changed, with or without changing what the
/// manifest says of them.
#[test]
fn releases() {
    let folder = tempfile::tempdir().expect("a folder");
    let encoder = Some(Arc::new(Encoder::built_in().expect("the built-in model")));
    publish(folder.path(), "demo", SMALL_KB, encoder.clone());
    let release = Store::at(folder.path()).shelf("demo").expect("there").release_folder(1);
    let sound = files(&release);
    let manifest =
        sound.iter().position(|(path, _)| path.ends_with("release.json") || path.ends_with("manifest.json"));
    let manifest = manifest.expect("a manifest");
    let words = [
        "\"format\":",
        "\"number\":4294967295",
        "\"dimensions\":0",
        "\"files\":{}",
        "../",
        "\"model\":null",
        "1e400",
        "[]",
    ];
    fuzz("release", &numbered(&sound), &words, |bytes| {
        let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
        let at = usize::from(*first) % sound.len();
        let place = release.join(&sound[at].0);
        std::fs::write(&place, rest).expect("written");
        let told = Release::open(&release, encoder.clone()).err();
        // Whoever changes a file can change what is said of it, too.
        if at != manifest
            && let Some(described) = describing(&sound[manifest].1, &sound[at].0, rest)
        {
            std::fs::write(release.join(&sound[manifest].0), described).expect("written");
            let _ = opened_and_asked(&release, encoder.clone());
            std::fs::write(release.join(&sound[manifest].0), &sound[manifest].1).expect("written");
        }
        std::fs::write(&place, &sound[at].1).expect("written");
        match told {
            Some(error) if error.to_string().is_empty() => Err("refused without a word".to_owned()),
            None if at != manifest && *rest != sound[at].1 && sound[at].0.extension().is_some() => {
                Err(format!("{} is another one and nobody noticed", sound[at].0.display()))
            }
            _ => Ok(()),
        }
    });
}

/// Found by [`releases`]: the index keeps a store of documents beside what is searched, and
/// its beginning said that it had 2⁴⁹ layers. Memory was asked for all of them, which ends a
/// process. Nothing of it is needed, so nobody reads it.
#[test]
fn what_an_index_keeps_besides_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    publish(folder.path(), "demo", SMALL_KB, None);
    let release = Store::at(folder.path()).shelf("demo").expect("there").release_folder(1);
    let files = files(&release);
    let of = |is: &dyn Fn(&Path) -> bool| files.iter().find(|(path, _)| is(path)).expect("there");
    let (manifest, described) = of(&|path| path.ends_with("manifest.json"));
    let (store, bytes) = of(&|path| path.extension().is_some_and(|extension| extension == "store"));
    // The last eight bytes say how long tantivy's own footer is; before it stands that of the store,
    // 28 bytes, with the place of the layers from its fourth byte on.
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let end = bytes.len() - 8 - number(bytes.len() - 8);
    let layers = number(end - 24);
    let mut changed = bytes.clone();
    changed[layers..layers + 8].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0x81]);
    std::fs::write(release.join(store), &changed).expect("written");
    let described = describing(described, store, &changed).expect("the store is described");
    std::fs::write(release.join(manifest), described).expect("written");
    opened_and_asked(&release, None).expect("what is searched is whole");
}

#[test]
fn events() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(folder.path());
    for number in 0..20 {
        let event = Event {
            trace_id: Some(uuid::Uuid::now_v7().simple().to_string()),
            text: Some("怎么退货".to_owned()),
            rating: Some(number),
            ..Event::now(Kind::Decision, "demo")
        };
        log.append(event).expect("stored");
    }
    drop(log);
    let root = folder.path().join("events");
    let segments = files(&root);
    maintain(folder.path(), true).expect("compacted");
    let mut sound = segments.clone();
    sound.extend(files(&root).into_iter().filter(|one| !segments.contains(one)));
    let days = Days::new(Day::today().plus(-2), Day::today().plus(1)).expect("in order");
    fuzz(
        "events",
        &numbered(&sound),
        &["PAR1", "\"kind\":\"decision\"", "\"at\":-1", "[masking]"],
        |bytes| {
            let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
            let (path, _) = &sound[usize::from(*first) % sound.len()];
            let other = tempfile::tempdir().expect("a folder");
            let place = other.path().join("events").join(path);
            std::fs::create_dir_all(place.parent().expect("a folder")).expect("made");
            std::fs::write(&place, rest).expect("written");
            let log = Log::open(other.path());
            let mut count = 0_u64;
            if log.read(&Wanted::all(days), |_| count += 1).is_ok() {
                drop(zhida::events::tallied(&log, days, None));
            }
            if count > 100_000 {
                return Err(format!("{count} events come out of {} bytes", rest.len()));
            }
            drop(maintain(other.path(), true));
            Ok(())
        },
    );
}

#[test]
fn backups() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    publish(&data, "demo", SMALL_KB, None);
    let file = folder.path().join("sound.zip");
    Store::at(&data).backup(&file, &|_, _, _| ()).expect("a backup");
    let archive = std::fs::read(&file).expect("readable");
    // As a file, and with the manifest or a member changed inside of a sound file.
    let mut opened = zip::ZipArchive::new(std::io::Cursor::new(&archive[..])).expect("an archive");
    let members: Vec<(String, Vec<u8>)> = (0..opened.len())
        .map(|at| {
            let mut member = opened.by_index(at).expect("a member");
            let (name, mut bytes) = (member.name().expect("a name").into_owned(), Vec::new());
            std::io::Read::read_to_end(&mut member, &mut bytes).expect("readable");
            (name, bytes)
        })
        .collect();
    let mut seeds = vec![[&[255][..], &archive].concat()];
    seeds.extend(
        members
            .iter()
            .enumerate()
            .filter(|(_, (_, bytes))| bytes.len() < 100_000)
            .map(|(at, (_, bytes))| [&[u8::try_from(at.min(254)).expect("few")][..], bytes].concat()),
    );
    let words = [
        "PK\u{1}\u{2}",
        "\"path\":\"../x\"",
        "\"path\":\"/etc/x\"",
        "\"bytes\":18446744073709551615",
        "\"form\":99",
    ];
    fuzz("backup", &seeds, &words, |bytes| {
        let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
        let written = if *first == 255 {
            rest.to_vec()
        } else {
            let mut members = members.clone();
            let at = usize::from(*first) % members.len();
            members[at].1 = rest.to_vec();
            packed(&members)
        };
        let place = tempfile::tempdir().expect("a folder");
        let file = place.path().join("b.zip");
        std::fs::write(&file, &written).expect("written");
        let target = place.path().join("in/here");
        if let Err(error) = check_backup(&file, &target, &|_, _, _| ())
            && error.to_string().is_empty()
        {
            return Err("refused without a word".to_owned());
        }
        // Nothing but the file itself and the parent of the target came to be.
        let left: Vec<_> = files(place.path()).into_iter().map(|(path, _)| path).collect();
        if left == [PathBuf::from("b.zip")] { Ok(()) } else { Err(format!("{left:?} are left")) }
    });
}
