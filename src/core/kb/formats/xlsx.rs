//! Spreadsheets of Excel and its relatives.
//!
//! Cells are read as they are shown: with their number formats, without what
//! is hidden or struck out. The file comes from anybody, so every part of it
//! has a budget.

mod drawings;
mod package;
mod sheet;
mod strings;
mod styles;

use rust_xlsxwriter::{Format, FormatAlign, Workbook};

use self::drawings::{Pictured, pictures};
use self::package::{Package, attribute, each, flag};
use self::sheet::{Budget, Margins, Region, Shared};
use self::styles::Styles;
use super::table::{Aside, Row, Sheet, Table, letters, of_cell, ranges};
use super::{FIELDS, FileName, Found, Headings, Located, Reading, cells, foreign, whole};
use crate::error::{Error, Problem, Result};
use crate::kb::KnowledgeBase;

/// Merged regions that a sheet may have.
const MERGED: usize = 20_000;

/// Cells that one sheet's merged regions may fill.
const FILLED: usize = 500_000;

/// Reads the entries of every sheet that names a question's column.
pub(super) fn read(name: &FileName, bytes: &[u8], reading: &Reading<'_>, found: &mut Found) -> Vec<Located> {
    let sheets = tables(name, bytes, reading, |file| Sheet::new(file, reading), &mut found.problems);
    sheets.into_iter().flat_map(|sheet| sheet.finish(found)).collect()
}

/// What the sheets of a workbook hold: those with a header, or else the first one.
pub(super) fn tables<T: Table>(
    name: &FileName,
    bytes: &[u8],
    reading: &Reading<'_>,
    new: impl Fn(FileName) -> T,
    problems: &mut Vec<Problem>,
) -> Vec<T> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let read = match Book::open(bytes) {
        Ok(Some(mut book)) => Ok(book.tables(name, reading, &new, problems)),
        Ok(None) => foreign::tables(name, bytes, reading, &new),
        Err(e) => Err(e),
    };
    let mut sheets = match read {
        Ok(sheets) => sheets,
        Err(e) => {
            problems.push(whole(
                name,
                format!("不是能打开的 Excel（.xlsx）文件：{e}；请在 Excel 里重新另存为 .xlsx"),
            ));
            return Vec::new();
        }
    };
    // Other sheets hold notes; only when no sheet is what is looked for does one get blamed.
    if sheets.iter().any(T::has_header) {
        sheets.retain(T::has_header);
    } else {
        sheets.truncate(1);
    }
    sheets
}

/// A workbook that is opened.
struct Book<'a> {
    package: Package<'a>,
    /// The title, the part and whether it is hidden.
    sheets: Vec<(String, String, bool)>,
    since_1904: bool,
    /// The folder of the shared parts.
    folder: String,
}

impl<'a> Book<'a> {
    /// Opens a file; `None` when it is a spreadsheet of another kind.
    fn open(bytes: &'a [u8]) -> std::result::Result<Option<Self>, String> {
        if !bytes.starts_with(super::ZIP) {
            return Ok(None);
        }
        let mut package = Package::open(bytes)?;
        let root = package.relations("")?;
        let path =
            root.into_values().map(|relation| relation.target).find(|path| path.ends_with("workbook.xml"));
        let path = path.unwrap_or_else(|| "xl/workbook.xml".to_owned());
        let Some(workbook) = package.part(&path)? else { return Ok(None) };
        let relations = package.relations(&path)?;
        let (mut sheets, mut since_1904) = (Vec::new(), false);
        each(&workbook, |tag| match tag.local_name().as_ref() {
            "workbookPr" => since_1904 = flag(tag, "date1904"),
            "sheet" => {
                let id = tag.attributes().flatten().find(|one| one.key.as_ref().ends_with(":id"));
                let relation =
                    id.and_then(|id| relations.get(&*id.value)).filter(|relation| relation.is_sheet);
                if let Some((title, relation)) = attribute(tag, "name").zip(relation) {
                    let hidden = attribute(tag, "state").is_some_and(|state| state != "visible");
                    sheets.push((title, relation.target.clone(), hidden));
                }
            }
            _ => {}
        })?;
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        Ok(Some(Self { package, sheets, since_1904, folder }))
    }

    fn tables<T: Table>(
        &mut self,
        name: &FileName,
        reading: &Reading<'_>,
        new: &impl Fn(FileName) -> T,
        problems: &mut Vec<Problem>,
    ) -> Vec<T> {
        let mut shared = match self.shared(reading) {
            Ok(shared) => shared,
            Err(e) => {
                problems.push(whole(name, format!("读不出来：{e}")));
                return Vec::new();
            }
        };
        let (mut tables, mut hidden) = (Vec::new(), Vec::new());
        for (title, path, is_hidden) in self.sheets.clone() {
            if is_hidden && !reading.hidden {
                hidden.push(format!("“{title}”"));
                continue;
            }
            let file: FileName = format!("{name}[{title}]").into();
            let mut table = new(file.clone());
            match self.rows(&path, &mut shared, &mut table, reading) {
                Ok(notes) if table.has_text() => {
                    for (line, message) in notes {
                        table.note(of_cell(&file, line, 0, None, &message));
                    }
                    tables.push(table);
                }
                Ok(_) => {}
                Err(e) => problems.push(whole(&file, format!("这个工作表读不出来：{e}"))),
            }
        }
        if !hidden.is_empty() {
            let message = format!(
                "工作表{}是隐藏的，没有导入；确实要导入，请加上 --hidden（接口里是 hidden=true）",
                hidden.join("、")
            );
            match tables.first_mut() {
                Some(first) => first.note(whole(name, message)),
                None => problems.push(whole(name, message)),
            }
        }
        tables
    }

    fn shared(&mut self, reading: &Reading<'_>) -> std::result::Result<Shared, String> {
        let texts = self.package.part(&format!("{}/sharedStrings.xml", self.folder))?;
        let texts = strings::shared(texts.as_deref(), reading.hidden)?;
        let styles = self.package.part(&format!("{}/styles.xml", self.folder))?;
        let styles = Styles::read(styles.as_deref(), self.since_1904)?;
        // Pictures inside of cells stand there.
        let has_pictures = self.package.has(&format!("{}/richData/richValueRel.xml", self.folder));
        Ok(Shared { texts, styles, struck_too: reading.hidden, has_pictures, cells: Budget::default() })
    }

    /// Hands the rows of a sheet on, merged cells filled downwards; returns
    /// what was left out, with the row where that begins.
    fn rows(
        &mut self,
        path: &str,
        shared: &mut Shared,
        table: &mut impl Table,
        reading: &Reading<'_>,
    ) -> std::result::Result<Vec<(usize, String)>, String> {
        let relations = self.package.relations(path)?;
        let Some(part) = self.package.part(path)? else { return Err(format!("文件里没有 {path}")) };
        let mut over = Pictured::new();
        for drawing in relations.values().filter(|relation| relation.is_drawing) {
            // The rows are read whatever lies over them.
            if let Some(drawing) = self.package.part(&drawing.target)? {
                let _unreadable = pictures(&drawing, &mut over);
            }
        }
        let Margins { merged, links, hidden } = sheet::margins(&part, &relations)?;
        if !reading.hidden {
            table.hides(&hidden);
        }
        let mut merged = Merged::new(merged);
        let margins = Margins { merged: Vec::new(), links, hidden: Vec::new() };
        let (mut left_out, mut struck) = (Vec::new(), Vec::new());
        let total = part.len();
        sheet::rows(&part, shared, &margins, |shows| {
            merged.fill(&mut shows.row)?;
            if shows.hidden && !reading.hidden {
                if !shows.row.cells.is_empty() {
                    left_out.push(shows.row.line);
                }
                return Ok(());
            }
            let over = over.remove(&shows.row.line).unwrap_or_default();
            shows.row.asides.extend(over.into_iter().map(|column| (column, Aside::Pictured)));
            struck.extend(shows.struck.iter().map(|column| (shows.row.line, *column)));
            table.take(&shows.row);
            (reading.progress)("rows", shows.at, total);
            Ok(())
        })?;
        let mut notes = Vec::new();
        if let Some((first, _)) = over.first_key_value() {
            let named = over.iter().flat_map(|(line, columns)| columns.iter().map(move |at| (*line, *at)));
            notes.push((*first, format!("{}上有图片，图片不会导入", cells_named(named))));
        }
        if let Some(first) = left_out.first() {
            let message = format!(
                "第 {} 行是隐藏的，没有导入；确实要导入，请加上 --hidden（接口里是 hidden=true）",
                ranges(&left_out)
            );
            notes.push((*first, message));
        }
        if let Some((first, _)) = struck.first() {
            let named = cells_named(struck.iter().copied());
            let message =
                format!("{named}里划掉的文字没有导入；确实要导入，请加上 --hidden（接口里是 hidden=true）");
            notes.push((*first, message));
        }
        Ok(notes)
    }
}

/// Cells by their rows and columns, as a spreadsheet names them; the first ones of many.
fn cells_named(places: impl Iterator<Item = (usize, usize)>) -> String {
    const NAMED: usize = 20;
    let mut places: Vec<(usize, usize)> = places.collect();
    let count = places.len();
    places.truncate(NAMED);
    let named: Vec<String> =
        places.into_iter().map(|(line, column)| format!("{}{line}", letters(column))).collect();
    let more = if count > NAMED { format!(" 等 {count} 格") } else { String::new() };
    format!("{}{more}", named.join("、"))
}

/// The merged cells of a sheet, while its rows go by.
struct Merged {
    /// Regions that have not begun, the next one last.
    waiting: Vec<Region>,
    /// Last row, column and text of the regions that reach into later rows.
    open: Vec<(usize, usize, String)>,
    /// Cells that may still be filled.
    left: usize,
}

impl Merged {
    fn new(mut regions: Vec<Region>) -> Self {
        regions.sort_unstable_by_key(|region| std::cmp::Reverse(region.first));
        Self { waiting: regions, open: Vec::new(), left: FILLED }
    }

    /// Says in a row what merged cells above say in it. Only down: a title
    /// merged over several columns is not said in each of them.
    fn fill(&mut self, row: &mut Row) -> std::result::Result<(), String> {
        self.open.retain(|(last, ..)| *last >= row.line);
        self.left = self
            .left
            .checked_sub(self.open.len())
            .ok_or_else(|| format!("合并的区域要填满超过 {FILLED} 格，请取消不需要的合并，或拆成几个文件"))?;
        for (_, column, text) in &self.open {
            match row.cells.binary_search_by_key(column, |(number, _)| *number) {
                Ok(at) => row.cells[at].1.clone_from(text),
                Err(at) => row.cells.insert(at, (*column, text.clone())),
            }
        }
        while let Some(region) = self.waiting.last().filter(|region| region.first.0 <= row.line) {
            let ((first, column), (last, end)) = (region.first, region.last);
            self.waiting.pop();
            // A region whose first row is not there has nothing to say.
            if first != row.line {
                continue;
            }
            if end > column {
                row.spans.push((column, end));
            }
            if let Ok(at) = row.cells.binary_search_by_key(&column, |(number, _)| *number)
                && last > first
            {
                self.open.push((last, column, row.cells[at].1.clone()));
            }
        }
        Ok(())
    }
}

/// The characters (UTF-16 units) that a cell of Excel holds.
const CELL: usize = 32_767;

/// Writes entries under a header.
pub(super) fn write(base: &KnowledgeBase, headings: Headings) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    for entry in base.entries() {
        // Half of what a cell holds: a character may be two of its units.
        rows.extend(cells::rows(entry, CELL / 2)?);
    }
    let widths = FIELDS.map(|field| match field.name {
        "question" | "similar" => 40.0,
        "answer" => 60.0,
        _ => 18.0,
    });
    written("knowledge base", &cells::headings(headings), &widths, rows)
}

/// A sheet to be written: rows under a header, the columns so wide.
pub(super) struct Written<'a> {
    pub title: &'a str,
    pub headings: Vec<String>,
    pub widths: Vec<f64>,
    pub rows: Vec<Vec<String>>,
}

/// A workbook with one sheet.
pub(super) fn written(
    title: &str,
    headings: &[&str],
    widths: &[f64],
    rows: Vec<Vec<String>>,
) -> Result<Vec<u8>> {
    let headings = headings.iter().map(|&heading| heading.to_owned()).collect();
    written_sheets(vec![Written { title, headings, widths: widths.to_vec(), rows }])
}

/// A workbook with some sheets.
pub(super) fn written_sheets(sheets: Vec<Written<'_>>) -> Result<Vec<u8>> {
    let failed = |e: rust_xlsxwriter::XlsxError| Error::internal("export", e);
    let mut book = Workbook::new();
    let heading = Format::new().set_bold();
    let body = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    for Written { title, headings, widths, rows } in sheets {
        let sheet = book.add_worksheet();
        sheet.set_name(title).map_err(failed)?;
        for (column, (name, width)) in (0u16..).zip(headings.iter().zip(widths)) {
            sheet.write_string_with_format(0, column, name, &heading).map_err(failed)?;
            sheet.set_column_width(column, width).map_err(failed)?;
        }
        sheet.set_freeze_panes(1, 0).map_err(failed)?;
        for (line, row) in (1u32..).zip(rows) {
            for (column, cell) in (0u16..).zip(row).filter(|(_, cell)| !cell.is_empty()) {
                if cell.encode_utf16().count() > CELL {
                    return Err(Error::Refused(format!(
                        "a text of row {} has more than the {CELL} characters that a cell of .xlsx holds; choose a file that ends in .csv",
                        line + 1
                    )));
                }
                sheet.write_string_with_format(line, column, cell, &body).map_err(failed)?;
            }
        }
    }
    book.save_to_buffer().map_err(failed)
}
