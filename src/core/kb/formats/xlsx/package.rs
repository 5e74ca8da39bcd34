//! What parts does a workbook's file have?
//!
//! The file comes from anybody, so what it unpacks to has a budget: a
//! megabyte may claim to hold gigabytes.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

/// Bytes that all parts which are read may unpack to. A sheet of 100,000
/// entries takes some 60 MB.
const UNPACKED: u64 = 256 << 20;

/// A file that is opened.
pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Places by lower-case names: Excel does not mind the case.
    places: HashMap<String, usize>,
    /// Bytes that may still be unpacked.
    left: u64,
}

impl<'a> Package<'a> {
    /// Opens a file; the error is for the author.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
        let names = archive.file_names().enumerate();
        let places =
            names.filter_map(|(at, name)| Some((name.ok()?.replace('\\', "/").to_lowercase(), at))).collect();
        Ok(Self { archive, places, left: UNPACKED })
    }

    /// Whether there is a part.
    pub(super) fn has(&self, path: &str) -> bool {
        self.places.contains_key(&path.trim_start_matches('/').to_lowercase())
    }

    /// The text of a part; `None` when there is no such part.
    pub(super) fn part(&mut self, path: &str) -> Result<Option<String>, String> {
        let Some(&at) = self.places.get(&path.trim_start_matches('/').to_lowercase()) else {
            return Ok(None);
        };
        let part = self.archive.by_index(at).map_err(|e| e.to_string())?;
        let mut bytes = Vec::new();
        part.take(self.left + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        let read = bytes.len() as u64;
        if read > self.left {
            return Err(format!("解压后超过 {} MB，请拆成几个文件", UNPACKED >> 20));
        }
        self.left -= read;
        let (text, _, wrong) = encoding_rs::UTF_8.decode(&bytes);
        if wrong {
            return Err(format!("{path} 里有不是文字的内容"));
        }
        Ok(Some(text.into_owned()))
    }

    /// The targets of a part's relations by their id, with their type: paths
    /// inside the file, or addresses outside it.
    pub(super) fn relations(&mut self, path: &str) -> Result<HashMap<String, Relation>, String> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(text) = self.part(&format!("{folder}/_rels/{name}.rels"))? else {
            return Ok(HashMap::new());
        };
        let mut relations = HashMap::new();
        each(&text, |tag| {
            if tag.local_name().as_ref() == "Relationship"
                && let (Some(id), Some(target)) = (attribute(tag, "Id"), attribute(tag, "Target"))
            {
                let outside = attribute(tag, "TargetMode").is_some_and(|mode| mode == "External");
                let target = if outside { target } else { resolved(folder, &target) };
                let kind = attribute(tag, "Type").unwrap_or_default();
                let is = |name: &str| kind.ends_with(name);
                let relation = Relation { target, is_sheet: is("/worksheet"), is_drawing: is("/drawing") };
                relations.insert(id, relation);
            }
        })?;
        Ok(relations)
    }
}

/// What a part points at.
pub(super) struct Relation {
    pub target: String,
    pub is_sheet: bool,
    /// Whether it is what lies over the cells of a sheet.
    pub is_drawing: bool,
}

/// A path as seen from a folder.
fn resolved(folder: &str, target: &str) -> String {
    let mut steps: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps.join("/")
}

/// Calls with every element that begins.
pub(super) fn each(text: &str, mut take: impl FnMut(&BytesStart<'_>)) -> Result<(), String> {
    let mut reader = reader(text);
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(tag) | Event::Empty(tag) => take(&tag),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// A reader of a part, or of a piece of one.
pub(super) fn reader(text: &str) -> quick_xml::Reader<&[u8]> {
    let mut reader = quick_xml::Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    reader
}

/// An attribute by its name without a prefix.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == name)?;
    Some(found.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

/// Whether an attribute is set.
pub(super) fn flag(tag: &BytesStart<'_>, name: &str) -> bool {
    attribute(tag, name).is_some_and(|value| matches!(value.as_str(), "1" | "true" | "on"))
}

/// A number of an attribute.
pub(super) fn number(tag: &BytesStart<'_>, name: &str) -> Option<usize> {
    attribute(tag, name)?.trim().parse().ok()
}
