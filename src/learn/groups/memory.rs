//! Under which names were questions grouped before?
//!
//! Beside the names, the vectors of the questions are kept: reading them again is
//! most of the work. A question is known by a digest, so that what a customer
//! wrote lies in one place only and is gone when it is erased there.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::disk::write_whole;
use crate::encoder::{Embedding, Matrix};
use crate::error::{Error, Result};

/// What a question is remembered by: the beginning of a digest of its exact form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// Of a question in the form in which exact matches are made.
    pub fn of(exact: &str) -> Self {
        let digest = Sha256::digest(exact.as_bytes());
        Self(digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const NAMES: &str = "groups.json";
const VECTORS: &str = "vectors.safetensors";

/// Names and vectors of the questions that were grouped last.
#[derive(Debug, Default)]
pub struct Memory {
    /// The model of the vectors.
    model: String,
    names: HashMap<Key, String>,
    vectors: HashMap<Key, usize>,
    rows: Matrix,
}

/// What [`NAMES`] holds; `questions` stand in the order of the vectors.
#[derive(Serialize, Deserialize)]
struct File {
    model: String,
    questions: Vec<(Key, String)>,
}

impl Memory {
    /// Reads what was remembered in a folder. What cannot be read is forgotten: it
    /// can be made again, with other names.
    pub fn read(folder: &Path) -> Self {
        let Ok(bytes) = fs::read(folder.join(NAMES)) else { return Self::default() };
        let Ok(File { model, questions }) = serde_json::from_slice(&bytes) else {
            tracing::warn!(folder = %folder.display(), "the names of groups cannot be read; they get new ones");
            return Self::default();
        };
        let rows = Matrix::open(&folder.join(VECTORS)).unwrap_or_default();
        let known = rows.len() == questions.len();
        let vectors = if known {
            questions.iter().enumerate().map(|(row, (key, _))| (key.clone(), row)).collect()
        } else {
            HashMap::new()
        };
        Self { model, names: questions.into_iter().collect(), vectors, rows }
    }

    /// Writes what was grouped, and forgets everything else.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
        let mut questions: Vec<(Key, String)> =
            self.names.iter().map(|(key, name)| (key.clone(), name.clone())).collect();
        questions.sort();
        let vectors: Option<Vec<Embedding>> =
            questions.iter().map(|(key, _)| self.vectors.get(key).map(|&row| self.rows.row(row))).collect();
        let path = folder.join(VECTORS);
        match vectors.filter(|vectors| !vectors.is_empty()) {
            Some(vectors) => {
                let beside = PathBuf::from(format!("{}.new", path.display()));
                Matrix::new(vectors[0].as_slice().len(), &vectors).save(&beside)?;
                fs::rename(&beside, &path).map_err(|e| Error::io("write", &path, e))?;
            }
            None => match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path, e));
                }
                _ => {}
            },
        }
        let bytes = serde_json::to_vec(&File { model: self.model.clone(), questions })
            .map_err(|e| Error::internal("groups", e))?;
        write_whole(&folder.join(NAMES), &bytes)
    }

    /// The vectors of questions: known ones are taken, `embed` makes the others,
    /// given by their places.
    ///
    /// # Errors
    /// Those of `embed`.
    pub fn vectors(
        &mut self,
        model: &str,
        keys: &[Key],
        embed: impl FnOnce(&[usize]) -> Result<Vec<Embedding>>,
    ) -> Result<Vec<Embedding>> {
        if self.model != model {
            (self.model, self.vectors, self.rows) = (model.to_owned(), HashMap::new(), Matrix::default());
        }
        let mut missing: Vec<usize> =
            (0..keys.len()).filter(|&at| !self.vectors.contains_key(&keys[at])).collect();
        let mut seen = HashSet::new();
        missing.retain(|&at| seen.insert(&keys[at]));
        if !missing.is_empty() {
            for (&at, vector) in missing.iter().zip(embed(&missing)?) {
                let row = self.rows.len();
                self.rows.put(row, &vector);
                self.vectors.insert(keys[at].clone(), row);
            }
        }
        // Rounded as they are kept, so that the next run sees the same ones.
        Ok(keys.iter().map(|key| self.rows.row(self.vectors[key])).collect())
    }

    /// Names for groups of questions, and remembers them: each goes by the name
    /// that most of its questions had, if no other group has more of them.
    pub(super) fn names(&mut self, groups: &[Vec<usize>], asked: &[u64], keys: &[Key]) -> Vec<String> {
        let mut votes: Vec<(u64, usize, &String)> = Vec::new();
        for (group, members) in groups.iter().enumerate() {
            let mut own: HashMap<&String, u64> = HashMap::new();
            for &at in members {
                if let Some(name) = self.names.get(&keys[at]) {
                    *own.entry(name).or_default() += asked[at].max(1);
                }
            }
            votes.extend(own.into_iter().map(|(name, weight)| (weight, group, name)));
        }
        votes.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(b.2)));
        let mut names: Vec<Option<String>> = vec![None; groups.len()];
        let mut taken: HashSet<String> = HashSet::new();
        for (_, group, name) in votes {
            if names[group].is_none() && !taken.contains(name) {
                taken.insert(name.clone());
                names[group] = Some(name.clone());
            }
        }
        let names: Vec<String> = names
            .into_iter()
            .zip(groups)
            .map(|(name, members)| {
                name.unwrap_or_else(|| {
                    let mut name = format!("g{}", &keys[members[0]].0[..10]);
                    // The question in the middle may have moved to another group.
                    while !taken.insert(name.clone()) {
                        name.push('x');
                    }
                    name
                })
            })
            .collect();
        self.names = groups
            .iter()
            .zip(&names)
            .flat_map(|(members, name)| members.iter().map(|&at| (keys[at].clone(), name.clone())))
            .collect();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<Key> {
        (0..count).map(|at| Key::of(&at.to_string())).collect()
    }

    #[test]
    fn a_group_keeps_its_name_when_questions_come_and_go() {
        let keys = keys(8);
        let mut memory = Memory::default();
        let first = memory.names(&[vec![0, 1, 2], vec![3, 4]], &[1; 8], &keys);
        assert_ne!(first[0], first[1]);
        // One came, one went, and one changed sides.
        let second = memory.names(&[vec![5, 3, 4, 2], vec![6], vec![0, 1]], &[1; 8], &keys);
        assert_eq!((&second[2], &second[0]), (&first[0], &first[1]));
        assert!(!first.contains(&second[1]));
        // Two groups that become one go by the name of the larger part.
        let third = memory.names(&[vec![0, 1, 3, 4, 2, 5]], &[1; 8], &keys);
        assert_eq!(third[0], first[1]);
    }

    #[test]
    fn what_was_written_is_read_again_and_holds_no_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = keys(3);
        let mut memory = Memory::default();
        let vector = |at: &usize| Embedding::unit(vec![1.0, *at as f32, 0.5]);
        let made =
            memory.vectors("m", &keys, |missing| Ok(missing.iter().map(vector).collect())).expect("made");
        let names = memory.names(&[vec![0, 2], vec![1]], &[1; 3], &keys);
        memory.write(folder.path()).expect("written");
        let mut again = Memory::read(folder.path());
        let known = again.vectors("m", &keys, |_| panic!("all are known")).expect("known");
        assert_eq!(known, made);
        assert_eq!(again.names(&[vec![0, 2], vec![1]], &[1; 3], &keys), names);
        // Another model reads them anew.
        let mut asked = 0;
        again
            .vectors("other", &keys, |missing| {
                asked = missing.len();
                Ok(missing.iter().map(vector).collect())
            })
            .expect("made");
        assert_eq!(asked, 3);
    }
}
