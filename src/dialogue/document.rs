//! Where in a service document is a fault?
//!
//! Authors get a line, the table with its key, and what to write, in Chinese.
//! The parser's own words are translated as far as they are about what people
//! get wrong; its position is always told.

use std::sync::LazyLock;

use regex::Regex;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use crate::error::Problem;

/// The name that the document has in messages and releases.
pub(super) const NAME: &str = "service.toml";

/// Brackets that may be open at a time. The parser bounds tables in tables, but not
/// brackets where no table can begin, and there goes as deep as its stack does not.
const DEEPEST: usize = 100;

/// Where more brackets are open than may be. A bracket of the other kind closes none, for
/// the parser goes on below it as well; those in strings are none.
fn too_deep(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    for token in Source::new(text).lex() {
        match token.kind() {
            TokenKind::LeftCurlyBracket => open.push(TokenKind::RightCurlyBracket),
            TokenKind::LeftSquareBracket => open.push(TokenKind::RightSquareBracket),
            kind if open.last() == Some(&kind) => {
                open.pop();
            }
            _ => {}
        }
        if open.len() > DEEPEST {
            return Some(token.span().start());
        }
    }
    None
}

/// Places at which a text is no TOML that are told: what comes after so many follows from
/// them, and every line is counted from the beginning of the text.
const MOST_TOLD: usize = 100;

/// A document that is being read.
pub(super) struct Document<'a> {
    text: &'a str,
    root: DeTable<'a>,
    problems: Vec<Problem>,
}

impl<'a> Document<'a> {
    /// Parses a text.
    ///
    /// # Errors
    /// What is no TOML, all of it.
    pub(super) fn parse(text: &'a str) -> Result<Self, Vec<Problem>> {
        if let Some(at) = too_deep(text) {
            let message = "括号嵌套太深，请检查是否漏了右括号";
            return Err(vec![problem(text, Some(at), None, message.to_owned())]);
        }
        let (root, faults) = DeTable::parse_recoverable(text);
        if faults.is_empty() {
            return Ok(Self { text, root: root.into_inner(), problems: Vec::new() });
        }
        let problem = |fault: &toml::de::Error| {
            let at = fault.span().map(|span| span.start);
            let path = at.map(|at| key_before(text, at)).filter(|path| !path.is_empty());
            problem(text, at, path, format!("TOML 写法不对：{}", fault.message()))
        };
        Err(faults.iter().take(MOST_TOLD).map(problem).collect())
    }

    /// The keys of the document.
    pub(super) fn keys(&self) -> Vec<String> {
        self.root.keys().map(|key| key.get_ref().to_string()).collect()
    }

    /// The values of an array of tables; `None` when the key is not there.
    pub(super) fn items(&mut self, key: &str) -> Option<usize> {
        let value = self.root.get(key)?;
        match value.get_ref() {
            DeValue::Array(items) => Some(items.len()),
            _ => {
                self.fault(key, format!("要写成 [[{key}]]，每条一张表"));
                Some(0)
            }
        }
    }

    /// Reads the value at a path as a type; `None` when it is not there or
    /// faulty, and then that is noted.
    pub(super) fn read<T: DeserializeOwned>(&mut self, path: &str) -> Option<T> {
        let (value, _) = self.find(path)?;
        match T::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(read) => Some(read),
            Err(fault) => {
                let at = fault.span().map_or_else(|| value.span().start, |span| span.start);
                let deeper = deepest(value, at, path.to_owned());
                let told = in_chinese(fault.message());
                self.problems.push(problem(self.text, Some(at), Some(deeper), told));
                None
            }
        }
    }

    /// Notes a fault at a path, such as `rules[3].if.words`; where there is no
    /// such value, at the nearest that there is.
    pub(super) fn fault(&mut self, path: &str, message: impl Into<String>) {
        let mut nearest = path;
        let at = loop {
            if let Some((_, at)) = self.find(nearest) {
                break Some(at);
            }
            match nearest.rfind(['.', '[']) {
                Some(end) => nearest = &nearest[..end],
                None => break None,
            }
        };
        self.problems.push(problem(self.text, at, Some(path.to_owned()), message.into()));
    }

    /// Everything that was noted, in the order of the lines.
    pub(super) fn problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems
    }

    /// The value at a path, and where it or its key begins.
    fn find(&self, path: &str) -> Option<(&Spanned<DeValue<'a>>, usize)> {
        let mut found: Option<(&Spanned<DeValue<'a>>, usize)> = None;
        for step in path.split('.') {
            let (key, places) = step.split_once('[').map_or((step, None), |(key, rest)| (key, Some(rest)));
            let table = match found {
                None => &self.root,
                Some((value, _)) => match value.get_ref() {
                    DeValue::Table(table) => table,
                    _ => return None,
                },
            };
            let (own, value) = table.get_key_value(key)?;
            found = Some((value, own.span().start));
            if let Some(place) = places {
                let place: usize = place.strip_suffix(']')?.parse().ok()?;
                let DeValue::Array(items) = value.get_ref() else { return None };
                let item = items.get(place.checked_sub(1)?)?;
                found = Some((item, item.span().start));
            }
        }
        found
    }
}

/// The path of the innermost key or value that holds a position.
fn deepest(value: &Spanned<DeValue<'_>>, at: usize, path: String) -> String {
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, inner) in table.iter() {
                let below = format!("{path}.{}", key.get_ref());
                if key.span().contains(&at) {
                    return below;
                }
                let deeper = deepest(inner, at, below.clone());
                if deeper != below || inner.span().contains(&at) {
                    return deeper;
                }
            }
            path
        }
        DeValue::Array(items) => {
            for (number, inner) in (1..).zip(items.iter()) {
                let below = format!("{path}[{number}]");
                let deeper = deepest(inner, at, below.clone());
                if deeper != below || inner.span().contains(&at) {
                    return deeper;
                }
            }
            path
        }
        _ => path,
    }
}

fn problem(text: &str, at: Option<usize>, path: Option<String>, message: String) -> Problem {
    let (line, column) = at.map_or((0, 0), |at| {
        let before = text.get(..at.min(text.len())).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    });
    Problem { file: NAME.to_owned(), line, column, field: path, message }
}

/// What stands before the `=` of the line, for what could not be parsed.
fn key_before(text: &str, at: usize) -> String {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = text[before.rfind('\n').map_or(0, |newline| newline + 1)..].lines().next().unwrap_or_default();
    line.split_once('=').map_or(String::new(), |(key, _)| key.trim().to_owned())
}

/// What the parser says about types and names.
static SAYINGS: LazyLock<Vec<(Option<Regex>, &'static str)>> = LazyLock::new(|| {
    [
        (r"^unknown field `([^`]*)`, expected (?:one of )?(.*)$", "没有“$1”这一项；可以写的有 $2"),
        (r"^unknown field `([^`]*)`, there are no fields$", "没有“$1”这一项"),
        (r"^unknown variant `([^`]*)`, expected (?:one of )?(.*)$", "不能写“$1”；可以写的有 $2"),
        (r"^missing field `([^`]*)`$", "缺少 $1"),
        (r"^invalid type: (.*), expected a string$", "要写文字（用引号），写的是 $1"),
        (r"^invalid type: (.*), expected a boolean$", "要写 true 或 false，写的是 $1"),
        (r"^invalid type: (.*), expected a sequence$", "要写列表，如 [\"…\", \"…\"]，写的是 $1"),
        (r"^invalid type: (.*), expected (?:u32|u64|usize|i64|f64)$", "要写数字，写的是 $1"),
        (r"^invalid type: (.*), expected (?:struct|a map).*$", "要写一张表，写的是 $1"),
        (r"^invalid value: integer `(.*)`, expected .*$", "数字 $1 不在范围里"),
    ]
    .into_iter()
    .map(|(pattern, told)| (Regex::new(pattern).ok(), told))
    .collect()
});

fn in_chinese(message: &str) -> String {
    // Lists of names in Chinese.
    let message = message.trim().replace("`, `", "`、`").replace("` or `", "`、`");
    SAYINGS
        .iter()
        .filter_map(|(pattern, told)| Some((pattern.as_ref()?, told)))
        .find(|(pattern, _)| pattern.is_match(&message))
        .map_or_else(|| message.clone(), |(pattern, told)| pattern.replace(&message, *told).replace('`', ""))
}
