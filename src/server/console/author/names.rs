//! What are entries called, where only their ids are told?
//!
//! Authors know their entries by the question; the id stands behind it for whoever
//! needs it.

use std::collections::{HashMap, HashSet};

use maud::{Markup, html};
use serde_json::Value;

use super::super::inside::part;
use super::super::page::Page;
use super::parts::{api, entry_page, list, text};

/// Entries that are looked up for one page; the others keep their ids.
const LOOKED_UP: usize = 300;

/// Questions by the ids of their entries.
#[derive(Default)]
pub(in super::super) struct Names(HashMap<String, String>);

impl Names {
    /// Those of some entries, as far as the draft has them.
    pub(in super::super) async fn of<'a>(page: &Page, kb: &str, ids: impl Iterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        names.look_up(page, kb, ids).await;
        names
    }

    /// Those of the entries that findings of a check are about.
    pub(super) async fn in_findings(page: &Page, kb: &str, findings: &[&Value]) -> Self {
        let told = findings.iter().flat_map(|found| list(found, "subjects"));
        let told = told.map(|one| (text(one, "id").to_owned(), text(one, "question").to_owned()));
        let mut names = Self(told.collect());
        let ids = findings.iter().flat_map(|found| list(found, "entries")).filter_map(Value::as_str);
        names.look_up(page, kb, ids).await;
        names
    }

    /// Those of more entries.
    pub(super) async fn also<'a>(&mut self, page: &Page, kb: &str, ids: impl Iterator<Item = &'a str>) {
        self.look_up(page, kb, ids).await;
    }

    async fn look_up<'a>(&mut self, page: &Page, kb: &str, ids: impl Iterator<Item = &'a str>) {
        let wanted: HashSet<&str> = ids.filter(|id| !id.is_empty() && !self.0.contains_key(*id)).collect();
        for id in wanted.into_iter().take(LOOKED_UP) {
            let place = format!("{}/entries/{}", api(kb), part(id));
            if let Ok(entry) = page.inside.get(&place).read::<Value>().await {
                self.0.insert(id.to_owned(), text(&entry, "question").to_owned());
            }
        }
    }

    /// What an entry is called; its id where nothing else is known.
    pub(in super::super) fn named<'a>(&'a self, id: &'a str) -> &'a str {
        self.0.get(id).map_or(id, String::as_str)
    }

    /// An entry by its question, as a link to it.
    pub(in super::super) fn link(&self, kb: &str, id: &str) -> Markup {
        html! { a href=(entry_page(kb, id)) title=(id) { (self.named(id)) } }
    }

    /// A sentence that names entries by their ids, with their questions.
    pub(super) fn told(&self, sentence: &str) -> String {
        self.0.iter().fold(sentence.to_owned(), |told, (id, question)| {
            told.replace(&format!("“{id}”"), &format!("“{question}”"))
        })
    }
}
