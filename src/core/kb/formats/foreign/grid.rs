//! How large a grid does a spreadsheet of another program make calamine lay out?
//!
//! calamine lays a sheet out from its first cell to its last one, and makes room for what a
//! sheet says of its own size; two cells in opposite corners are a hundred gigabytes, and
//! memory that there is not ends the process. So what it will find is looked at first: the
//! same records of the same streams in the same way.

use std::io::{Cursor, Read as _, Write as _};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The most cells from the first to the last one of a sheet.
const CELLS: u64 = 4_000_000;

/// The most cells that a sheet may say it has: all that its format can hold.
const SAID: u64 = 65_536 * 256;

/// The most bytes of records that are looked at: sheets may overlap.
const RECORDS: usize = 256 << 20;

/// What is told of a workbook that opens with a password only.
pub(super) const LOCKED: &str = "文件有打开密码：请在 Excel 里去掉密码再导入";

/// From the first cell to the last one.
#[derive(Debug, Default)]
struct Grid(Option<((u64, u64), (u64, u64))>);

impl Grid {
    /// Takes a cell in, or several beside and below each other.
    ///
    /// # Errors
    /// When the grid becomes too large.
    fn take(&mut self, (row, column): (u64, u64), (rows, columns): (u64, u64)) -> Result<(), String> {
        let last = (row + rows - 1, column + columns - 1);
        let (from, to) = self.0.unwrap_or(((row, column), last));
        let from = (from.0.min(row), from.1.min(column));
        let to = (to.0.max(last.0), to.1.max(last.1));
        self.0 = Some((from, to));
        if (to.0 - from.0 + 1).saturating_mul(to.1 - from.1 + 1) > CELLS { Err(too_large()) } else { Ok(()) }
    }
}

fn too_large() -> String {
    "从第一个有内容的格子到最后一个超过 400 万格；请删掉远处多余的内容，或另存为 .xlsx".to_owned()
}

/// The workbook of an .xls in a container of its own, with nothing beside it: what was
/// looked at is what is read.
///
/// # Errors
/// When a sheet is too large, or nothing can be read of it; for the author.
pub(super) fn of_xls(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let damaged = |e: std::io::Error| format!("文件已损坏：{e}");
    let mut container = cfb::CompoundFile::open(Cursor::new(bytes)).map_err(damaged)?;
    let Some(path) = ["/Workbook", "/Book"].into_iter().find(|path| container.is_stream(path)) else {
        let is_locked = container.is_stream("/EncryptedPackage");
        let told = if is_locked { LOCKED } else { "里面没有工作簿" };
        return Err(told.to_owned());
    };
    let mut stream = Vec::new();
    container
        .open_stream(path)
        .and_then(|book| book.take(bytes.len() as u64).read_to_end(&mut stream))
        .map_err(damaged)?;
    let mut left = RECORDS;
    // Where sheets begin, wherever that is said.
    for (kind, data, _) in records(&stream) {
        if let (SHEET, Some(at)) = (kind, data.first_chunk()) {
            let sheet = stream.get(u32::from_le_bytes(*at) as usize..).unwrap_or_default();
            of_sheet(sheet, &mut left)?;
        }
    }
    // In the form that such files have; calamine reads no other.
    let alone = cfb::CompoundFile::create_with_version(cfb::Version::V3, Cursor::new(Vec::new()));
    let mut alone = alone.map_err(damaged)?;
    alone.create_stream(path).and_then(|mut to| to.write_all(&stream)).map_err(damaged)?;
    alone.flush().map_err(damaged)?;
    Ok(alone.into_inner().into_inner())
}

const SHEET: u16 = 0x0085;
const BEGIN: u16 = 0x0809;
const END: u16 = 0x000A;

/// The records of a stream: the kind, the data, and how many bytes it is in all.
fn records(mut stream: &[u8]) -> impl Iterator<Item = (u16, &[u8], usize)> {
    std::iter::from_fn(move || {
        let head = stream.first_chunk::<4>()?;
        let (kind, length) =
            (u16::from_le_bytes([head[0], head[1]]), usize::from(u16::from_le_bytes([head[2], head[3]])));
        let data = stream.get(4..4 + length)?;
        stream = &stream[4 + length..];
        Some((kind, data, 4 + length))
    })
}

/// Looks at a sheet to its end.
fn of_sheet(stream: &[u8], left: &mut usize) -> Result<(), String> {
    let (mut grid, mut formulas, mut formula) = (Grid::default(), Grid::default(), (0, 0));
    let (mut depth, mut has_begun) = (0, false);
    for (kind, data, bytes) in records(stream) {
        *left = left.checked_sub(bytes).ok_or_else(too_large)?;
        let number = |at: usize| {
            data.get(at..at + 2).map_or(0, |pair| u64::from(u16::from_le_bytes([pair[0], pair[1]])))
        };
        let wide = |at: usize| number(at) | number(at + 2) << 16;
        let place = (number(0), number(2));
        match kind {
            // A chart in the sheet has cells of its own.
            BEGIN if has_begun => depth += 1,
            BEGIN => has_begun = true,
            END if depth == 0 => break,
            END => depth -= 1,
            _ if depth > 0 => {}
            // What the sheet says of itself.
            0x0200 => {
                let (rows, columns) = match data.len() {
                    10 => ((number(0), number(2)), (number(4), number(6))),
                    _ => ((wide(0), wide(4)), (number(8), number(10))),
                };
                let columns =
                    if columns.0 > 0xFF || columns.1 < columns.0 { (0, columns.1) } else { columns };
                let span = |(from, to): (u64, u64)| to.checked_sub(from).map(|span| span.max(1));
                let said = span(rows).zip(span(columns)).map(|(rows, columns)| rows.saturating_mul(columns));
                if said.is_none_or(|said| said > SAID) {
                    return Err(too_large());
                }
            }
            // Numbers, texts, truths.
            0x0203 | 0x0204 | 0x00D6 | 0x0205 | 0x027E | 0x00FD => grid.take(place, (1, 1))?,
            // Several numbers of a row.
            0x00BD => grid.take(place, (1, (data.len().saturating_sub(6) / 6).max(1) as u64))?,
            0x0006 => {
                formula = place;
                grid.take(place, (1, 1))?;
                formulas.take(place, (1, 1))?;
            }
            // What the formula before came to.
            0x0207 => grid.take(formula, (1, 1))?,
            _ => {}
        }
    }
    Ok(())
}

/// Refuses the content of an .ods of which a sheet is too large.
///
/// # Errors
/// When it is; for the author.
pub(super) fn of_ods(content: &str) -> Result<(), String> {
    let mut reader = Reader::from_str(content);
    let repeated = |start: &BytesStart<'_>, name: &str| {
        let found = start.attributes().flatten().find(|one| one.key.as_ref() == name);
        let number = found.and_then(|one| one.value.trim().parse::<u64>().ok());
        number.unwrap_or(1).clamp(1, 1 << 24)
    };
    let has_value = |start: &BytesStart<'_>| {
        start.attributes().flatten().any(|one| one.key.as_ref().starts_with("office:"))
    };
    let is_cell = |name: &str| matches!(name, "table:table-cell" | "table:covered-table-cell");
    let (mut grid, mut row, mut rows, mut column, mut columns) = (Grid::default(), 0, 1, 0, 1);
    loop {
        let event = reader.read_event().map_err(|e| format!("文件已损坏：{e}"))?;
        let is_empty = matches!(event, Event::Empty(_));
        match &event {
            Event::Eof => return Ok(()),
            Event::Start(start) | Event::Empty(start) => match start.name().as_ref() {
                "table:table" => (grid, row) = (Grid::default(), 0),
                "table:table-row" => {
                    rows = repeated(start, "table:number-rows-repeated");
                    column = 0;
                    row += if is_empty { rows } else { 0 };
                }
                name if is_cell(name) => {
                    columns = repeated(start, "table:number-columns-repeated");
                    if has_value(start) {
                        grid.take((row, column), (rows, columns))?;
                    }
                    column += if is_empty { columns } else { 0 };
                }
                "text:p" => grid.take((row, column), (rows, columns))?,
                _ => {}
            },
            Event::End(end) => match end.name().as_ref() {
                "table:table-row" => row += rows,
                name if is_cell(name) => column += columns,
                _ => {}
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use calamine::Reader as _;

    use super::*;

    fn record(kind: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).expect("short");
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
    }

    fn words(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// A workbook of one sheet with these records.
    fn book(sheet: &[Vec<u8>]) -> Vec<u8> {
        let begin = record(BEGIN, &words(&[0x0600, 0x0005, 0, 0, 0, 0, 0, 0]));
        let end = record(END, &[]);
        let head = begin.len() + record(SHEET, &[0; 10]).len() + end.len();
        let mut named = u32::try_from(head).expect("short").to_le_bytes().to_vec();
        named.extend([0, 0, 1, 0, b'A', 0]);
        let globals = [begin.clone(), record(SHEET, &named), end.clone()].concat();
        let stream = [globals, begin, sheet.concat(), end].concat();
        let mut container = cfb::CompoundFile::create(Cursor::new(Vec::new())).expect("a container");
        container.create_stream("/Workbook").and_then(|mut to| to.write_all(&stream)).expect("written");
        container.into_inner().into_inner()
    }

    fn looked(bytes: &[u8]) -> Result<(), String> {
        of_xls(bytes).map(drop)
    }

    fn number(row: u16, column: u16) -> Vec<u8> {
        record(0x0203, &[words(&[row, column, 0]), 1f64.to_le_bytes().to_vec()].concat())
    }

    #[test]
    fn cells_in_opposite_corners_are_refused() {
        let sound = of_xls(&book(&[number(0, 0), number(999, 50)])).expect("sound");
        let mut read: calamine::Xls<_> = calamine::Xls::new(Cursor::new(sound)).expect("read");
        let range = read.worksheet_range("A").expect("the sheet");
        assert_eq!(range.end(), Some((999, 50)));
        assert!(looked(&book(&[number(0, 0), number(65_535, 65_535)])).is_err());
        assert!(looked(&book(&[number(0, 0), number(65_535, 100)])).is_err());
        // One cell far away is one cell.
        assert_eq!(looked(&book(&[number(65_535, 65_535)])), Ok(()));
        let several = record(0x00BD, &[words(&[65_535, 0]), vec![0; 6 * 100 + 2]].concat());
        assert!(looked(&book(&[number(0, 0), several])).is_err());
    }

    #[test]
    fn what_a_sheet_says_of_its_size_is_not_believed_beyond_its_format() {
        let said = |rows: u32, columns: u16| {
            let wide = |number: u32| number.to_le_bytes().to_vec();
            record(0x0200, &[wide(0), wide(rows), words(&[0, columns, 0])].concat())
        };
        assert_eq!(looked(&book(&[said(65_536, 256), number(1, 1)])), Ok(()));
        assert!(looked(&book(&[said(u32::MAX, 256)])).is_err());
        assert!(looked(&book(&[said(65_536, u16::MAX)])).is_err());
    }

    #[test]
    fn what_is_repeated_without_content_is_no_cell() {
        let row = |repeated: u32, cells: &str| {
            format!("<table:table-row table:number-rows-repeated=\"{repeated}\">{cells}</table:table-row>")
        };
        let sheet = |rows: &[String]| of_ods(&format!("<a><table:table>{}</table:table></a>", rows.concat()));
        let text =
            "<table:table-cell office:value-type=\"string\"><text:p>怎么退货</text:p></table:table-cell>";
        let none = "<table:table-cell table:number-columns-repeated=\"16384\"/>";
        assert_eq!(sheet(&[row(1, text), row(1_048_575, none)]), Ok(()));
        assert_eq!(sheet(&[row(1_000_000, none), row(1, text)]), Ok(()), "one cell");
        let far = format!("{}{text}", "<table:table-cell table:number-columns-repeated=\"9000\"/>");
        assert!(sheet(&[row(1, text), row(1_000, none), row(1, &far)]).is_err());
        let many = "<table:table-cell table:number-columns-repeated=\"5000\" office:value=\"1\"/>";
        assert!(sheet(&[row(1_000, many)]).is_err());
        // The next sheet begins anew.
        assert_eq!(
            of_ods(&format!(
                "<a><table:table>{}</table:table><table:table>{}</table:table></a>",
                row(1, text),
                row(1, &far)
            )),
            Ok(())
        );
    }
}
