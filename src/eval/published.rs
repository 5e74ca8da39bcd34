//! Which sentence pairs say the same, in the files that others publish?
//!
//! | set | form |
//! | --- | --- |
//! | LCQMC, OPPO, zhida's own | TSV: sentence, sentence, label; a header or none |
//! | BQ | CSV with a header: `sentence1,sentence2,label` |
//! | AFQMC, BUSTM, CSL-style | JSONL: `{"sentence1":…,"sentence2":…,"label":"0"}` |
//! | ATEC, PAWS-X | TSV with a number before the sentences; a header or none |
//! | STS-B (Chinese) | `number‖sentence‖sentence‖score` with two bars for each ‖ |
//! | qa_match | `std_data`: domain, id, question; `test_data`: id, number, question |
//!
//! The form is told from the first line that is not blank.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::dataset::{Expect, LabelledQuery};
use super::lines::Lines;
use crate::error::Result;
use crate::kb::EntryId;

/// Two sentences and how alike they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// One sentence.
    pub first: String,
    /// The other.
    pub second: String,
    /// 1 or 0, or a graded score.
    pub label: f64,
}

/// How a file of pairs is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Bars,
    Tabs,
    Commas,
}

impl Form {
    fn of(line: &str) -> Self {
        if line.trim_start().starts_with('{') {
            Self::Json
        } else if line.contains('\t') {
            Self::Tabs
        } else if line.contains("||") {
            Self::Bars
        } else if line.contains(',') {
            Self::Commas
        } else {
            Self::Tabs
        }
    }
}

/// Names that a column of sentences has in published headers and JSON keys.
const FIRST: [&str; 7] = ["sentence1", "text_a", "question1", "sentence_a", "text1", "query1", "句子1"];
const SECOND: [&str; 7] = ["sentence2", "text_b", "question2", "sentence_b", "text2", "query2", "句子2"];
const LABEL: [&str; 5] = ["label", "score", "similarity", "gold_label", "标签"];

/// Reads labelled pairs in any of the forms above.
///
/// # Errors
/// [`crate::error::Error::Corpus`] with every line that is no labelled pair, or
/// when there is none at all.
pub fn pairs(path: &Path) -> Result<Vec<Pair>> {
    let mut lines = Lines::read(path)?;
    let form = lines.texts.first().map_or(Form::Tabs, |(_, line)| Form::of(line));
    let mut pairs = Vec::new();
    if form == Form::Commas {
        // Quoted sentences may hold commas and line breaks.
        let text: String = lines.texts.iter().map(|(_, line)| format!("{line}\n")).collect();
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let numbers: Vec<usize> = lines.texts.iter().map(|(number, _)| *number).collect();
        let line = |at: Option<&csv::Position>| {
            let line = at.and_then(|at| usize::try_from(at.line()).ok())?.checked_sub(1)?;
            numbers.get(line).copied()
        };
        for (index, record) in reader.records().enumerate() {
            match record {
                Ok(record) => {
                    let number = line(record.position()).unwrap_or(0);
                    add(&mut lines, &mut pairs, index, number, &record.iter().collect::<Vec<_>>());
                }
                Err(e) => lines.problem(line(e.position()).unwrap_or(0), format!("不是有效的 CSV：{e}")),
            }
        }
    } else {
        for (index, (number, line)) in std::mem::take(&mut lines.texts).into_iter().enumerate() {
            match form {
                Form::Json => match from_json(&line) {
                    Ok(pair) => pairs.push(pair),
                    Err(message) => lines.problem(number, message),
                },
                Form::Bars => {
                    add(&mut lines, &mut pairs, index, number, &line.split("||").collect::<Vec<_>>())
                }
                _ => add(&mut lines, &mut pairs, index, number, &line.split('\t').collect::<Vec<_>>()),
            }
        }
    }
    if pairs.is_empty() && lines.are_good() {
        lines.problem(0, "文件里没有句子对".to_owned());
    }
    lines.finish(pairs)
}

/// Adds the pair in a row; the first row may be a header.
fn add(lines: &mut Lines, pairs: &mut Vec<Pair>, index: usize, number: usize, columns: &[&str]) {
    let (first, second, label) = match *columns {
        [first, second, label] | [_, first, second, label] => (first, second, label),
        _ => {
            return lines.problem(
                number,
                format!("有 {} 列；应为 3 列（句子一、句子二、标签），或在前面多一列编号", columns.len()),
            );
        }
    };
    match label.trim().parse::<f64>() {
        Ok(label) if label.is_finite() => {
            pairs.push(Pair { first: first.to_owned(), second: second.to_owned(), label });
        }
        _ if index == 0 && is_header(first, second, label) => {}
        _ => lines.problem(number, format!("标签 {label:?} 不是数字；应为 0、1 或分值")),
    }
}

fn is_header(first: &str, second: &str, label: &str) -> bool {
    let known = |names: &[&str], column: &str| names.contains(&column.trim().to_lowercase().as_str());
    known(&LABEL, label) || known(&FIRST, first) || known(&SECOND, second)
}

fn from_json(line: &str) -> std::result::Result<Pair, String> {
    let value: BTreeMap<String, Value> =
        serde_json::from_str(line).map_err(|e| format!("不是有效的 JSON 对象：{e}"))?;
    let field = |names: &[&str]| names.iter().find_map(|&name| value.get(name));
    let sentence = |names: &[&str]| {
        field(names)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| format!("没有文本字段“{}”（也可以叫 {}）", names[0], names[1..].join("、")))
    };
    let label = match field(&LABEL) {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    Ok(Pair {
        first: sentence(&FIRST)?,
        second: sentence(&SECOND)?,
        label: label
            .filter(|label| label.is_finite())
            .ok_or("没有数字标签 label：测试集若不公开标签，就不能用来评测")?,
    })
}

/// A standard question of qa_match's `std_data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standard {
    /// The domain that it belongs to.
    pub domain: String,
    /// Its id.
    pub id: String,
    /// The question.
    pub question: String,
}

/// Reads qa_match's `std_data`: domain, id and question, with tabs between.
///
/// # Errors
/// [`crate::error::Error::Corpus`] with every line of another form.
pub fn standards(path: &Path) -> Result<Vec<Standard>> {
    let mut lines = Lines::read(path)?;
    let mut standards = Vec::new();
    for (number, line) in std::mem::take(&mut lines.texts) {
        match line.split('\t').collect::<Vec<_>>()[..] {
            [domain, id, question] if !id.is_empty() && !question.trim().is_empty() => {
                standards.push(Standard {
                    domain: domain.trim_start_matches("__label__").to_owned(),
                    id: id.to_owned(),
                    question: question.to_owned(),
                });
            }
            _ => lines.problem(number, "应为 3 列：领域、标准问题编号、标准问题，以制表符分隔".to_owned()),
        }
    }
    lines.finish(standards)
}

/// Reads qa_match's labelled questions (`train_data`, `valid_data`,
/// `test_data`): ids, a number and the question, with tabs between. `0` is a
/// question that nobody can answer; several ids, with commas between, are a
/// question that several answers are offered for.
///
/// # Errors
/// [`crate::error::Error::Corpus`] with every line of another form.
pub fn qa_match(path: &Path) -> Result<Vec<LabelledQuery>> {
    let mut lines = Lines::read(path)?;
    let mut queries = Vec::new();
    for (number, line) in std::mem::take(&mut lines.texts) {
        match line.split('\t').collect::<Vec<_>>()[..] {
            [ids, _, text] if !ids.is_empty() && !text.trim().is_empty() => {
                let ids: Vec<EntryId> = ids.split(',').map(|id| EntryId(id.trim().to_owned())).collect();
                let (expect, tag) = match &ids[..] {
                    [id] if id.0 == "0" => (Expect::Outside, "refuse"),
                    [id] => (Expect::One(id.clone()), "unique"),
                    _ => (Expect::AnyOf(ids), "list"),
                };
                queries.push(LabelledQuery { text: text.to_owned(), expect, tags: vec![tag.to_owned()] });
            }
            _ => lines.problem(
                number,
                "应为 3 列：标准问题编号（0 为拒答，多个以逗号分隔）、序号、问题，以制表符分隔".to_owned(),
            ),
        }
    }
    lines.finish(queries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn read(text: &str) -> Result<Vec<Pair>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        pairs(file.path())
    }

    #[test]
    fn every_published_form_is_read() {
        let expected = vec![
            Pair { first: "怎么退货".to_owned(), second: "如何退货".to_owned(), label: 1.0 },
            Pair { first: "退, 货".to_owned(), second: "换货".to_owned(), label: 0.0 },
        ];
        for text in [
            "怎么退货\t如何退货\t1\n退, 货\t换货\t0\n",
            "\u{feff}text_a\ttext_b\tlabel\r\n怎么退货\t如何退货\t1\r\n\r\n退, 货\t换货\t0\r\n",
            "id\tsentence1\tsentence2\tlabel\n1\t怎么退货\t如何退货\t1\n2\t退, 货\t换货\t0\n",
            "1\t怎么退货\t如何退货\t1\n2\t退, 货\t换货\t0",
            "sentence1,sentence2,label\n怎么退货,如何退货,1\n\"退, 货\",换货,0\n",
            "{\"sentence1\":\"怎么退货\",\"sentence2\":\"如何退货\",\"label\":\"1\"}\n{\"id\":3,\"sentence1\":\"退, 货\",\"sentence2\":\"换货\",\"label\":0}\n",
            "7||怎么退货||如何退货||1\n8||退, 货||换货||0\n",
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        assert_eq!(read("s||a||b||3.8\n").unwrap()[0].label, 3.8);
    }

    #[test]
    fn what_is_no_pair_is_named_with_its_line() {
        let problems = |text: &str| match read(text) {
            Err(Error::Corpus(problems)) => {
                problems.into_iter().map(|p| (p.line, p.message)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        let found = problems("a\tb\t1\na\tb\n\na\tb\tx\n");
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4]);
        assert!(found[0].1.contains("有 2 列"), "{found:?}");
        assert!(problems("{\"sentence1\":\"a\",\"sentence2\":\"b\"}")[0].1.contains("label"));
        assert!(problems("{\"sentence1\":\"a\",\"label\":1}")[0].1.contains("sentence2"));
        assert_eq!(problems("")[0].0, 0);
        assert_eq!(problems("a\tb\tlabel\nc\td\tlabel\n")[0].0, 2, "only the first row is a header");
    }

    #[test]
    fn qa_match_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "__label__14\t1\t23 22 8\n__label__9\t2\t怎么发帖\n").unwrap();
        let found = standards(file.path()).unwrap();
        assert_eq!((found[0].domain.as_str(), found[1].id.as_str()), ("14", "2"));
        std::fs::write(file.path(), "0\t0\t23 9\n2\t1\t发帖\n1,2\t2\t8 2\n").unwrap();
        let found = qa_match(file.path()).unwrap();
        assert_eq!(found[0].expect, Expect::Outside);
        assert_eq!(found[1].expect, Expect::One(EntryId("2".to_owned())));
        assert!(found[2].expect.accepts(&EntryId("1".to_owned())) && found[2].expect.is_inside());
        std::fs::write(file.path(), "0\t23 9\n").unwrap();
        assert!(matches!(qa_match(file.path()), Err(Error::Corpus(p)) if p[0].line == 1));
    }
}
