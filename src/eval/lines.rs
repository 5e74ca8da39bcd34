//! Which lines of a file are not what they should be?

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Error, Problem, Result};

/// The lines of a file, and what is wrong with them.
pub(crate) struct Lines {
    file: String,
    /// Number and text of each line that is not blank.
    pub(crate) texts: Vec<(usize, String)>,
    problems: Vec<Problem>,
}

impl Lines {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read. A line that is no text is a problem of its own.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        Ok(Self::of(&path.display().to_string(), &bytes))
    }

    /// What a file called `name` holds.
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let mut lines = Self { file: name.to_owned(), texts: Vec::new(), problems: Vec::new() };
        for (index, raw) in bytes.split(|&byte| byte == b'\n').enumerate() {
            let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
            if raw.trim_ascii().is_empty() {
                continue;
            }
            match std::str::from_utf8(raw) {
                Ok(text) => lines.texts.push((index + 1, text.to_owned())),
                Err(_) => lines.problem(index + 1, "不是有效的 UTF-8 文本；请先转换编码".to_owned()),
            }
        }
        lines
    }

    /// Every line as JSON; `wanted` says what a line should have been.
    ///
    /// # Errors
    /// [`Error::Corpus`] naming the first line that is not: in a file of
    /// another kind all are.
    pub(crate) fn json<T: DeserializeOwned>(mut self, wanted: &str) -> Result<Vec<T>> {
        let mut values = Vec::new();
        for (number, text) in std::mem::take(&mut self.texts) {
            match serde_json::from_str(&text) {
                Ok(value) => values.push(value),
                Err(e) => {
                    self.problem_at(number, e.column(), None, format!("{wanted}：{e}"));
                    break;
                }
            }
        }
        self.finish(values)
    }

    /// Notes what is wrong with a line; 0 means the whole file.
    pub(crate) fn problem(&mut self, line: usize, message: String) {
        self.problem_at(line, 0, None, message);
    }

    /// Notes what is wrong with a place in a line, or with a field of it.
    pub(crate) fn problem_at(&mut self, line: usize, column: usize, field: Option<&str>, message: String) {
        let field = field.map(str::to_owned);
        self.problems.push(Problem { file: self.file.clone(), line, column, field, message });
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn are_good(&self) -> bool {
        self.problems.is_empty()
    }

    /// What problems call the file.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// What is wrong so far.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The value that was read.
    ///
    /// # Errors
    /// [`Error::Corpus`] with everything that is wrong, in the order of the lines.
    pub(crate) fn finish<T>(mut self, value: T) -> Result<T> {
        self.problems.sort_by_key(|problem| problem.line);
        if self.problems.is_empty() { Ok(value) } else { Err(Error::Corpus(self.problems)) }
    }
}
