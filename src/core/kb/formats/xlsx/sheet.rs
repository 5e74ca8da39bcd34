//! What do the rows of a sheet show?
//!
//! Cells are taken one by one: a sheet with one stray cell at its far end would
//! fill the memory if it were laid out as a grid.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::super::table::{Aside, Row};
use super::package::{Relation, attribute, flag, number, reader};
use super::strings::{Text, append, text, unescaped};
use super::styles::Styles;

/// Cells that the sheets of a workbook may have.
const CELLS: usize = 8_000_000;

/// The rows that a sheet has room for.
const ROWS: usize = 1 << 20;

/// Bytes of text that all cells together may show: a long text may be shared
/// by a million cells.
const SHOWN: usize = 512 << 20;

/// A region of cells: first row and column, last row and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub first: (usize, usize),
    pub last: (usize, usize),
}

impl Region {
    fn named(name: &str) -> Option<Self> {
        let (first, last) = name.split_once(':').unwrap_or((name, name));
        let (first, last) = (place(first)?, place(last)?);
        (first <= last).then_some(Self { first, last })
    }
}

/// What stands behind the rows of a sheet but says something of them.
#[derive(Default)]
pub(super) struct Margins {
    pub merged: Vec<Region>,
    pub links: HashMap<(usize, usize), String>,
    /// Columns that are hidden: the first and the last of each stretch.
    pub hidden: Vec<(usize, usize)>,
}

/// What all sheets of a workbook share.
pub(super) struct Shared {
    pub texts: Vec<Text>,
    pub styles: Styles,
    /// Whether what is struck out counts.
    pub struck_too: bool,
    /// Whether there are pictures inside of cells.
    pub has_pictures: bool,
    pub cells: Budget,
}

/// What may still be read.
pub(super) struct Budget {
    cells: usize,
    shown: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { cells: CELLS, shown: SHOWN }
    }
}

impl Budget {
    /// Takes a cell of so many bytes.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), String> {
        match (self.cells.checked_sub(1), self.shown.checked_sub(bytes)) {
            (Some(cells), Some(shown)) => {
                (self.cells, self.shown) = (cells, shown);
                Ok(())
            }
            (None, _) => Err(format!("超过 {CELLS} 个有内容的格子，请拆成几个文件")),
            (_, None) => Err(format!("所有格子的文字超过 {} MB，请拆成几个文件", SHOWN >> 20)),
        }
    }
}

/// The margins of a sheet.
pub(super) fn margins(part: &str, relations: &HashMap<String, Relation>) -> Result<Margins, String> {
    let mut margins = Margins::default();
    let tail = part.rfind("sheetData>").map_or(part, |at| &part[at..]);
    let mut wrong = None;
    super::package::each(tail, |tag| match tag.local_name().as_ref() {
        "mergeCell" if margins.merged.len() < super::MERGED => {
            margins.merged.extend(attribute(tag, "ref").and_then(|name| Region::named(&name)));
        }
        "mergeCell" => wrong = Some(format!("合并的区域超过 {} 个，请取消一些合并", super::MERGED)),
        "hyperlink" => {
            let id = tag.attributes().flatten().find(|one| one.key.as_ref().ends_with(":id"));
            let target = id.and_then(|id| Some(relations.get(&*id.value)?.target.as_str()));
            if let (Some(target), Some(region)) =
                (target, attribute(tag, "ref").and_then(|name| Region::named(&name)))
            {
                let target = target.strip_prefix("mailto:").unwrap_or(target);
                margins.links.insert(region.first, target.to_owned());
            }
        }
        _ => {}
    })?;
    let head = part.find("sheetData").map_or("", |at| &part[..at]);
    // The piece ends inside a tag.
    let head = head.rfind('<').map_or("", |at| &head[..at]);
    super::package::each(head, |tag| {
        if tag.local_name().as_ref() == "col"
            && flag(tag, "hidden")
            && let (Some(first), Some(last)) = (number(tag, "min"), number(tag, "max"))
        {
            margins.hidden.push((first, last));
        }
    })?;
    wrong.map_or(Ok(margins), Err)
}

/// A row as it is shown.
#[derive(Default)]
pub(super) struct Shows {
    pub row: Row,
    pub hidden: bool,
    /// Columns with something that was struck out.
    pub struck: Vec<usize>,
    /// Where the sheet has been read up to, in bytes.
    pub at: usize,
}

/// Hands on the rows of a sheet in which something stands.
pub(super) fn rows(
    part: &str,
    shared: &mut Shared,
    margins: &Margins,
    mut take: impl FnMut(&mut Shows) -> Result<(), String>,
) -> Result<(), String> {
    let mut reader = reader(part);
    let mut shows = Shows::default();
    let mut column = 0;
    let mut within = false;
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(tag) => match tag.local_name().as_ref() {
                "sheetData" => within = true,
                "row" if within => {
                    shows.row.line = line(&tag, shows.row.line);
                    shows.hidden = flag(&tag, "hidden");
                    column = 0;
                }
                "c" if within => {
                    column = at(&tag).unwrap_or(column + 1);
                    cell(&mut reader, &tag, column, shared, margins, &mut shows)?;
                }
                _ => {}
            },
            Event::Empty(tag) if within => match tag.local_name().as_ref() {
                "row" => shows.row.line = line(&tag, shows.row.line),
                "c" => column = at(&tag).unwrap_or(column + 1),
                _ => {}
            },
            Event::End(tag) => match tag.local_name().as_ref() {
                "sheetData" => return Ok(()),
                "row" if within => {
                    // Writers that do not keep the order are out there.
                    shows.row.cells.sort_by_key(|(column, _)| *column);
                    shows.at = usize::try_from(reader.buffer_position()).unwrap_or(0);
                    take(&mut shows)?;
                    shows.row.cells.clear();
                    shows.row.spans.clear();
                    shows.row.asides.clear();
                    shows.struck.clear();
                }
                _ => {}
            },
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// The number of a row, which stands behind another one unless it says where.
fn line(tag: &BytesStart<'_>, before: usize) -> usize {
    number(tag, "r").filter(|line| (1..=ROWS).contains(line)).unwrap_or(before + 1)
}

/// The column of a cell.
fn at(tag: &BytesStart<'_>) -> Option<usize> {
    let name = tag.attributes().flatten().find(|one| one.key.as_ref() == "r")?;
    Some(place(&name.value)?.1)
}

/// Row and column of a cell's name such as `$C$12`.
fn place(name: &str) -> Option<(usize, usize)> {
    let mut column = 0usize;
    let mut row = 0usize;
    for byte in name.bytes() {
        match byte {
            b'$' => {}
            b'A'..=b'Z' | b'a'..=b'z' if row == 0 => {
                column = column * 26 + usize::from(byte.to_ascii_uppercase() - b'A') + 1;
            }
            b'0'..=b'9' => row = row * 10 + usize::from(byte - b'0'),
            _ => return None,
        }
        if column > 16_384 || row > ROWS {
            return None;
        }
    }
    (column > 0 && row > 0).then_some((row, column))
}

/// Reads a cell into the row.
fn cell(
    reader: &mut Reader<&[u8]>,
    tag: &BytesStart<'_>,
    column: usize,
    shared: &mut Shared,
    margins: &Margins,
    shows: &mut Shows,
) -> Result<(), String> {
    let (mut kind, mut style, mut is_rich) = (String::new(), 0, false);
    for one in tag.attributes().flatten() {
        match one.key.as_ref() {
            "t" => one.value.as_ref().clone_into(&mut kind),
            "s" => style = one.value.parse().unwrap_or(0),
            "vm" => is_rich = true,
            _ => {}
        }
    }
    let (mut value, mut formula, mut inline) = (String::new(), String::new(), None);
    let (mut in_value, mut in_formula, mut has_formula) = (false, false, false);
    loop {
        let event = reader.read_event().map_err(|e| e.to_string())?;
        if in_value && append(&event, &mut |piece| value += piece)?
            || in_formula && append(&event, &mut |piece| formula += piece)?
        {
            continue;
        }
        match event {
            Event::Start(tag) => match tag.local_name().as_ref() {
                "v" => in_value = true,
                "f" => (in_formula, has_formula) = (true, true),
                "is" => inline = Some(text(reader, "is", shared.struck_too)?),
                _ => {}
            },
            Event::Empty(tag) if tag.local_name().as_ref() == "f" => has_formula = true,
            Event::End(tag) => match tag.local_name().as_ref() {
                "v" => in_value = false,
                "f" => in_formula = false,
                "c" => break,
                _ => {}
            },
            Event::Eof => break,
            _ => {}
        }
    }
    let mut aside = |aside: Aside| shows.row.asides.push((column, aside));
    // A picture inside of a cell looks like an error to programs that do not know them.
    let is_placed = is_rich && shared.has_pictures && kind == "e" && value.trim() == "#VALUE!";
    if is_placed || is_picture(&formula) || is_picture(&value) {
        aside(Aside::Ruined("这一格是图片，问答里只能有文字：请写成文字，或填图片的网址".to_owned()));
        return Ok(());
    }
    let mut struck = shared.styles.is_struck(style);
    let said = match kind.as_str() {
        "s" | "inlineStr" => {
            let found = match inline {
                Some(inline) => inline,
                None => {
                    let number: Option<usize> = value.trim().parse().ok();
                    number.and_then(|number| shared.texts.get(number)).cloned().unwrap_or_default()
                }
            };
            struck = struck && !found.runs;
            if found.struck {
                shows.struck.push(column);
            }
            found.said
        }
        "str" => unescaped(&value).into_owned(),
        "b" => if value.trim() == "1" { "TRUE" } else { "FALSE" }.to_owned(),
        "e" => {
            let message = format!("这一格是 Excel 的错误值 {}，请改正公式或填入文字", value.trim());
            aside(Aside::Ruined(message));
            return Ok(());
        }
        "d" => value.trim().to_owned(),
        _ => match value.trim().parse::<f64>() {
            Ok(number) => {
                let shown = shared.styles.shown(number, style);
                if shown.rounded {
                    let message = format!(
                        "这一格的数字超过 15 位，Excel 已经把后面的数字改成了 0（现在是 {}）：请把这一列设成文本格式，再重新填写",
                        shown.text
                    );
                    aside(Aside::Ruined(message));
                }
                if let Some(value) = shown.value {
                    aside(Aside::Value(value));
                }
                shown.text
            }
            Err(_) => value,
        },
    };
    if said.is_empty() && has_formula && kind.is_empty() {
        aside(Aside::Ruined("这一格的公式没有算出结果：请在 Excel 里打开文件，保存后再导入".to_owned()));
        return Ok(());
    }
    if said.trim().is_empty() {
        return Ok(());
    }
    if struck && !shared.struck_too {
        shows.struck.push(column);
        return Ok(());
    }
    shared.cells.take(said.len())?;
    if let Some(link) = margins.links.get(&(shows.row.line, column)).cloned().or_else(|| linked(&formula)) {
        shows.row.asides.push((column, Aside::Link(link)));
    }
    shows.row.cells.push((column, said));
    Ok(())
}

/// Whether a formula shows a picture: those of WPS, and Excel's own.
fn is_picture(formula: &str) -> bool {
    let formula = formula.trim_start_matches(['=', ' ']).trim_start_matches("_xlfn.");
    ["DISPIMG(", "IMAGE("].iter().any(|name| formula.starts_with(name))
}

/// The address in `HYPERLINK("address","text")`.
fn linked(formula: &str) -> Option<String> {
    let rest = formula.trim().strip_prefix("HYPERLINK(\"")?;
    let (address, _) = rest.split_once('"')?;
    address.contains(':').then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_by_their_names() {
        assert_eq!(place("A1"), Some((1, 1)));
        assert_eq!(place("$XFD$1048576"), Some((1_048_576, 16_384)));
        for wrong in ["", "A", "1", "1A", "A1B", "ZZZZ1", "A99999999"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
        let region = Region::named("B2:C10").map(|region| (region.first, region.last));
        assert_eq!(region, Some(((2, 2), (10, 3))));
    }
}
