//! Which column does an author or another program mean by a heading?

use super::table::Row;
use super::{FIELDS, Kind, Reading};
use crate::text::exact_key;

/// Headings that are too short to make a row a header by themselves.
const SHORT: [&str; 4] = ["q", "a", "问", "答"];

/// Columns of other programs that hold nothing of a knowledge base, and row
/// numbers.
const EMPTY: [&str; 12] = [
    "序号",
    "序",
    "行号",
    "no",
    "no.",
    "#",
    // QnA Maker.
    "source",
    "metadata",
    "suggestedquestions",
    "iscontextonly",
    "prompts",
    "sourcedisplayname",
];

/// The canonical name of a column, by its English or Chinese heading.
pub(super) fn field_named(heading: &str) -> Option<&'static str> {
    let plain = plain(heading);
    let find = |plain: &str| {
        let is =
            |field: &&super::Field| field.name.replace('_', "") == plain || field.headings.contains(&plain);
        FIELDS.iter().find(is)
    };
    // Several columns “相似问1”, “相似问2” are common.
    let numbered = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    if let Some(field) = find(numbered) {
        return Some(field.name);
    }
    if numbered.is_empty() || numbered.is_ascii() {
        return None;
    }
    // 問題 and 答案 as they are written in Taiwan and Hong Kong.
    if let Some(field) = find(&exact_key(numbered)) {
        return Some(field.name);
    }
    let counted = plain.trim_end_matches(['一', '二', '三', '四', '五', '六', '七', '八', '九', '十']);
    find(counted).filter(|field| field.kind == Kind::Texts).map(|field| field.name)
}

impl Reading<'_> {
    /// What somebody said of a column; an empty field leaves it out.
    pub(super) fn said_of(&self, heading: &str) -> Option<&str> {
        let is = |said: &&(String, String)| plain(&said.0) == plain(heading);
        self.columns.iter().find(is).map(|(_, field)| field.as_str())
    }

    /// The canonical name of a column: as somebody said, or else by its heading.
    pub(super) fn field_named(&self, heading: &str) -> Option<&'static str> {
        match self.said_of(heading) {
            _ if self.ignores(heading) => None,
            Some(said) => FIELDS.iter().find(|field| field.name == said).map(|field| field.name),
            // Columns of pictures and links were unknown once; who passed over one meant it.
            None => field_named(heading)
                .filter(|field| !(matches!(*field, "images" | "links") && self.passes_over(heading))),
        }
    }

    /// Whether somebody says now that a column holds nothing, whatever it is called.
    pub(super) fn ignores(&self, heading: &str) -> bool {
        self.ignore.iter().any(|said| plain(said) == plain(heading))
    }

    /// Whether somebody said, now or earlier, that a column holds nothing.
    fn passes_over(&self, heading: &str) -> bool {
        self.ignore.iter().chain(self.remembered).any(|said| plain(said) == plain(heading))
    }
}

/// Whether a text is the heading of some column.
pub(super) fn is_heading(text: &str) -> bool {
    field_named(text).is_some()
}

/// Whether a column holds nothing that anybody would miss.
pub(super) fn is_empty_column(heading: &str) -> bool {
    EMPTY.contains(&plain(heading).as_str())
}

/// Whether a row is the header of entries.
pub(super) fn heads(row: &Row, reading: &Reading<'_>) -> bool {
    let field_named = |cell: &str| reading.field_named(cell);
    let has = |field: &str| row.cells.iter().any(|(_, cell)| field_named(cell) == Some(field));
    let is_short = |cell: &str| SHORT.contains(&plain(cell).as_str());
    let named = |(_, cell): &(usize, String)| field_named(cell) == Some("question") && !is_short(cell);
    row.cells.iter().any(named) || has("answer") && (has("question") || has("similar"))
}

/// Whether several columns may hold a field, each with some items of a list.
pub(super) fn is_list(field: Option<&str>) -> bool {
    let grows = |kind: Kind| matches!(kind, Kind::Texts | Kind::Images | Kind::Links);
    FIELDS.iter().any(|known| Some(known.name) == field && grows(known.kind))
}

/// Whether a table is made of segments, as MaxKB has them: a content and the
/// questions that it answers, one a line, below an optional title.
pub(super) fn has_segments(row: &Row) -> bool {
    row.cells.iter().any(|(_, cell)| plain(cell) == "分段内容")
}

/// The canonical name of a column in a table of segments.
pub(super) fn segment_field(heading: &str) -> Option<&'static str> {
    match plain(heading).as_str() {
        "分段标题" => Some("topic"),
        "问题" | "分段问题" => Some("similar"),
        _ => field_named(heading),
    }
}

/// A heading without what templates write around it: “* 标准问题（必填）”.
pub(super) fn plain(heading: &str) -> String {
    const REMARKS: [&str; 13] = [
        "必填",
        "选填",
        "可选",
        "非必",
        "required",
        "optional",
        "换行",
        "分隔",
        "格式",
        "例",
        "一行",
        "最多",
        "不超过",
    ];
    // Letters and signs as typed in a Chinese input method.
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' if c != '（' && c != '）' && c != '：' && c != '＊' => {
            char::from_u32(c as u32 - 0xfee0).unwrap_or(c)
        }
        c => c,
    };
    let mut text: String = heading.trim().chars().map(narrow).collect::<String>().to_lowercase();
    if let Some((name, remark)) = text.split_once(['（', '(', '【', '['])
        && REMARKS.iter().any(|known| remark.contains(known))
    {
        text = name.to_owned();
    }
    text.retain(|c| {
        !c.is_whitespace() && !matches!(c, '\u{feff}' | '*' | '＊' | ':' | '：' | '_' | '-' | '"')
    });
    text
}

/// The columns that there are, for messages.
pub(super) fn known_columns() -> String {
    let names = FIELDS.iter().map(|field| format!("{}（{}）", field.name, field.headings[0]));
    names.collect::<Vec<_>>().join("、")
}

/// What the first row of a table without a header looks like, and what to do.
pub(super) fn without_header(first: &[String]) -> String {
    let shown: Vec<String> =
        first.iter().take(6).map(|cell| format!("“{}”", super::cells::shortened(cell))).collect();
    let only = first.first().map(String::as_str).filter(|_| first.len() == 1).unwrap_or_default();
    let parts = |mark: char| only.split(mark).filter(|part| field_named(part).is_some()).count();
    let guess = if parts('，') > 1 {
        "它用了中文逗号“，”，请改成英文逗号“,”"
    } else if ['、', '：', ':', ' ', '/'].into_iter().any(|mark| parts(mark) > 1) {
        "它看起来是几列写在了一格里，请用英文逗号“,”分开"
    } else if first.iter().any(|cell| super::ruined::ruined(cell).is_some() || cell.contains('\u{fffd}')) {
        "它是乱码，文件大概不是 UTF-8 编码：请用 UTF-8 重新保存"
    } else if only.starts_with(['{', '[']) {
        "它看起来是 JSON，文件的后缀应是 .jsonl 或 .json"
    } else if only.starts_with('<') {
        "它看起来是网页（HTML），请用 Excel 打开，另存为 .xlsx"
    } else if first.len() == 1 {
        "只有一列：问题和答案要分成两列"
    } else if first.iter().any(|cell| cell.chars().count() > 12 || cell.contains(['？', '?'])) {
        "它看起来已经是内容了，请在上面加一行列名"
    } else {
        "这些列名认不出来，请改成下面的列名"
    };
    format!("第一行是{}：{guess}", shown.join("、"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_as_templates_write_them() {
        for (heading, field) in [
            ("* 标准问题（必填）", "question"),
            ("标准问：", "question"),
            ("问题描述", "question"),
            ("ｑｕｅｓｔｉｏｎ", "question"),
            ("相似问 12", "similar"),
            ("相似问法一", "similar"),
            ("相似问法十二", "similar"),
            ("Similar Questions", "similar"),
            ("相似问法(多个用换行分隔)", "similar"),
            ("indexes", "similar"),
            ("答案*", "answer"),
            ("参考答案", "answer"),
            ("分段内容（必填，问题答案，最长不超过4096个字符）", "answer"),
            ("Valid_Until", "valid_until"),
            ("valid until", "valid_until"),
            ("是否启用", "enabled"),
            ("知识分类", "topic"),
            ("关键字", "keywords"),
            ("QnaId", "id"),
        ] {
            assert_eq!(field_named(heading), Some(field), "{heading}");
        }
        for other in ["答案（微信）", "备注", "", "1", "序号", "答案一"] {
            assert_eq!(field_named(other), None, "{other}");
        }
    }

    #[test]
    fn a_row_heads_entries_when_it_names_a_question() {
        let heads = |cells: &[&str]| {
            let cells = (1..).zip(cells).map(|(column, cell)| (column, (*cell).to_owned())).collect();
            heads(&Row { cells, ..Row::default() }, &Reading::default())
        };
        assert!(heads(&["q", "a", "indexes"]) && heads(&["问", "答"]) && heads(&["问法", "答案"]));
        assert!(heads(&["问题"]));
        assert!(!heads(&["Q"]) && !heads(&["答案"]) && !heads(&["问", "说"]));
    }
}
