//! How does Excel show a number?
//!
//! A cell holds a bare number; what the author sees (9:00, 5%, 199元, 001) is
//! made by the number format of its style, and that is what the text of an
//! answer must say.

use ssfmt::{DateSystem, FormatOptions, NumberFormat};

use super::package::{attribute, each, flag, number};

/// One style of cells.
struct Style {
    /// `None`: as it is.
    format: Option<NumberFormat>,
    /// Whether the format says 上午 or 下午.
    halves: bool,
    struck: bool,
}

/// The styles of a workbook, by their number.
pub(super) struct Styles {
    styles: Vec<Style>,
    options: FormatOptions,
    general: Option<NumberFormat>,
}

/// Whole numbers from here on have lost digits: Excel keeps fifteen.
const ROUNDED: f64 = 1e15;

/// What a cell with a number says.
pub(super) struct Shown {
    pub text: String,
    /// What it says to a machine, where that differs: a moment, or a plain number.
    pub value: Option<String>,
    /// Digits were lost.
    pub rounded: bool,
}

impl Styles {
    /// Reads `styles.xml`; without one everything is shown as it is.
    pub(super) fn read(part: Option<&str>, since_1904: bool) -> Result<Self, String> {
        let mut codes: Vec<(usize, String)> = Vec::new();
        let mut struck_fonts: Vec<bool> = Vec::new();
        let mut styles = Vec::new();
        let mut list = String::new();
        each(part.unwrap_or_default(), |tag| match tag.local_name().as_ref() {
            name @ ("fonts" | "fills" | "borders" | "cellStyleXfs" | "cellXfs" | "cellStyles" | "dxfs") => {
                name.clone_into(&mut list);
            }
            "numFmt" => {
                if let (Some(id), Some(code)) = (number(tag, "numFmtId"), attribute(tag, "formatCode")) {
                    codes.push((id, code));
                }
            }
            "font" if list == "fonts" => struck_fonts.push(false),
            "strike" if list == "fonts" => {
                if let Some(last) = struck_fonts.last_mut() {
                    *last = is_on(tag);
                }
            }
            "xf" if list == "cellXfs" => {
                let id = number(tag, "numFmtId").unwrap_or(0);
                let own = codes.iter().find(|(known, _)| *known == id).map(|(_, code)| code.as_str());
                let code = own.or_else(|| builtin(id)).unwrap_or("General");
                let halves = code.contains("上午/下午");
                let plain = ["General", "GENERAL", "@", "G/通用格式", ""].contains(&code);
                let format = if plain { None } else { NumberFormat::parse(&prepared(code)).ok() };
                let font = number(tag, "fontId").unwrap_or(0);
                let struck = struck_fonts.get(font).copied().unwrap_or(false);
                styles.push(Style { format, halves, struck });
            }
            _ => {}
        })?;
        let date_system = if since_1904 { DateSystem::Date1904 } else { DateSystem::Date1900 };
        let options = FormatOptions { date_system, ..FormatOptions::default() };
        Ok(Self { styles, options, general: NumberFormat::parse("General").ok() })
    }

    /// Whether the text of cells in a style is struck out.
    pub(super) fn is_struck(&self, style: usize) -> bool {
        self.styles.get(style).is_some_and(|style| style.struck)
    }

    /// A number as cells in a style show it.
    pub(super) fn shown(&self, value: f64, style: usize) -> Shown {
        let plain = self.plain(value);
        let rounded = value.abs() >= ROUNDED;
        let style = self.styles.get(style);
        let Some((style, format)) = style.and_then(|style| Some((style, style.format.as_ref()?))) else {
            return Shown { text: plain, value: None, rounded };
        };
        let mut text = match format.try_format(value, &self.options) {
            Ok(text) => text.trim().to_owned(),
            Err(_) => return Shown { text: plain, value: None, rounded },
        };
        if style.halves {
            text = text.replace("AM", "上午").replace("PM", "下午");
        }
        let value = if format.is_date_format() { self.moment(value).unwrap_or(plain) } else { plain };
        Shown { value: (value != text).then_some(value), text, rounded }
    }

    /// A number without a format: whole ones with all their digits, others as
    /// far as a cell shows them.
    fn plain(&self, value: f64) -> String {
        match &self.general {
            Some(general) if value.fract() != 0.0 => general.format(value, &self.options),
            _ => value.to_string(),
        }
    }

    /// The moment that a date means, in ISO order.
    fn moment(&self, value: f64) -> Option<String> {
        let iso = NumberFormat::parse("yyyy-mm-dd hh:mm:ss").ok()?;
        iso.try_format(value, &self.options).ok()
    }
}

/// Whether an element such as `<strike/>` says yes.
pub(super) fn is_on(tag: &quick_xml::events::BytesStart<'_>) -> bool {
    attribute(tag, "val").is_none() || flag(tag, "val")
}

/// A format code without what says in which digits or in whose language.
fn prepared(code: &str) -> String {
    let mut code = code.replace("上午/下午", "AM/PM").replace("G/通用格式", "General");
    for digits in ["[DBNum1]", "[DBNum2]", "[DBNum3]", "[DBNum4]"] {
        code = code.replace(digits, "");
    }
    code
}

/// The format codes that Excel knows by number, as it shows them in China.
fn builtin(id: usize) -> Option<&'static str> {
    Some(match id {
        1 => "0",
        2 => "0.00",
        3 => "#,##0",
        4 => "#,##0.00",
        5 | 6 => "\"¥\"#,##0;\"¥\"-#,##0",
        7 | 8 => "\"¥\"#,##0.00;\"¥\"-#,##0.00",
        9 => "0%",
        10 => "0.00%",
        11 => "0.00E+00",
        12 => "# ?/?",
        13 => "# ??/??",
        14 => "yyyy/m/d",
        15 => "d-mmm-yy",
        16 => "d-mmm",
        17 => "mmm-yy",
        18 => "h:mm AM/PM",
        19 => "h:mm:ss AM/PM",
        20 => "h:mm",
        21 => "h:mm:ss",
        22 => "yyyy/m/d h:mm",
        27 | 36 | 50 | 52 | 57 => "yyyy\"年\"m\"月\"",
        28 | 29 | 51 | 53 | 54 | 58 => "m\"月\"d\"日\"",
        30 => "m-d-yy",
        31 => "yyyy\"年\"m\"月\"d\"日\"",
        32 => "h\"时\"mm\"分\"",
        33 => "h\"时\"mm\"分\"ss\"秒\"",
        34 | 55 => "上午/下午h\"时\"mm\"分\"",
        35 | 56 => "上午/下午h\"时\"mm\"分\"ss\"秒\"",
        37 | 38 => "#,##0;-#,##0",
        39 | 40 => "#,##0.00;-#,##0.00",
        41 => "#,##0",
        42 => "\"¥\"#,##0",
        43 => "#,##0.00",
        44 => "\"¥\"#,##0.00",
        45 => "mm:ss",
        46 => "[h]:mm:ss",
        47 => "mm:ss.0",
        48 => "##0.0E+0",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_in_excel() {
        for (code, value, shown) in [
            ("h:mm", 0.375, "9:00"),
            ("yyyy/m/d", 46_191.0, "2026/6/18"),
            ("m\"月\"d\"日\"", 46_191.0, "6月18日"),
            ("yyyy\"年\"m\"月\"d\"日\";@", 46_191.0, "2026年6月18日"),
            ("[$-804]yyyy\"年\"m\"月\"d\"日\"", 46_191.0, "2026年6月18日"),
            ("上午/下午h\"时\"mm\"分\"", 0.75, "下午6时00分"),
            ("[h]:mm", 1.5, "36:00"),
            ("0%", 0.05, "5%"),
            ("0.0%", 0.85, "85.0%"),
            ("0\"元\"", 199.0, "199元"),
            ("\"¥\"#,##0.00", 1299.5, "¥1,299.50"),
            ("[$¥-804]#,##0.00", 1299.5, "¥1,299.50"),
            ("_ \"¥\"* #,##0.00_ ;_ \"¥\"* -#,##0.00_ ", 1299.5, "¥1,299.50"),
            ("000", 1.0, "001"),
            ("0.00_ ", 2.5, "2.50"),
            ("0.00_);[Red]\\(0.00\\)", -2.5, "(2.50)"),
            ("#\" \"?/?", 0.5, "1/2"),
            ("General", 0.1 + 0.2, "0.3"),
            ("General", 13_800_138_000.0, "13800138000"),
            ("General", 123_456_789_012.0, "123456789012"),
            ("@", 7.0, "7"),
            ("G/通用格式\"天\"", 7.0, "7天"),
            ("[DBNum1][$-804]General", 7.0, "7"),
        ] {
            let xml = format!(
                "<s><numFmts><numFmt numFmtId=\"170\" formatCode=\"{}\"/></numFmts><cellXfs><xf numFmtId=\"170\"/></cellXfs></s>",
                code.replace('"', "&quot;")
            );
            let styles = Styles::read(Some(&xml), false).expect("sound");
            assert_eq!(styles.shown(value, 0).text, shown, "{code}");
        }
    }
}
