//! What do the texts of a workbook say?
//!
//! A text may be made of runs, each with a font of its own; readings of
//! Chinese characters beside it are no part of it.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;

use super::package::reader;
use super::styles::is_on;

/// A text of a cell.
#[derive(Default, Clone)]
pub(super) struct Text {
    /// What is said, without what is struck out unless that is wanted too.
    pub said: String,
    /// Whether some of it was left out.
    pub struck: bool,
    /// Whether its runs have fonts of their own, so that the cell's does not count.
    pub runs: bool,
}

/// The shared texts of a workbook, by their number.
pub(super) fn shared(part: Option<&str>, struck_too: bool) -> Result<Vec<Text>, String> {
    let mut reader = reader(part.unwrap_or_default());
    let mut texts = Vec::new();
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(tag) if tag.local_name().as_ref() == "si" => {
                texts.push(text(&mut reader, "si", struck_too)?);
            }
            // Its number counts.
            Event::Empty(tag) if tag.local_name().as_ref() == "si" => texts.push(Text::default()),
            Event::Eof => return Ok(texts),
            _ => {}
        }
    }
}

/// The text up to the end of an element.
pub(super) fn text(reader: &mut Reader<&[u8]>, until: &str, struck_too: bool) -> Result<Text, String> {
    let mut out = Text::default();
    let (mut inside, mut struck, mut reading) = (false, false, false);
    loop {
        let event = reader.read_event().map_err(|e| e.to_string())?;
        if inside
            && !reading
            && append(&event, &mut |piece| {
                if struck && !struck_too {
                    out.struck |= !piece.trim().is_empty();
                } else {
                    out.said += piece;
                }
            })?
        {
            continue;
        }
        match event {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "strike" => {
                struck = is_on(&tag)
            }
            Event::Start(tag) => match tag.local_name().as_ref() {
                "t" => inside = true,
                "r" => (out.runs, struck) = (true, false),
                "rPh" => reading = true,
                _ => {}
            },
            Event::End(tag) => match tag.local_name().as_ref() {
                "t" => inside = false,
                "r" => struck = false,
                "rPh" => reading = false,
                name if name == until => break,
                _ => {}
            },
            Event::Eof => break,
            _ => {}
        }
    }
    if let Cow::Owned(said) = unescaped(&out.said) {
        out.said = said;
    }
    Ok(out)
}

/// Takes the text of an event; whether it was one.
pub(super) fn append(event: &Event<'_>, take: &mut impl FnMut(&str)) -> Result<bool, String> {
    match event {
        Event::Text(text) => take(&text.xml_content(XmlVersion::Implicit1_0)),
        Event::CData(text) => take(&text.xml_content(XmlVersion::Implicit1_0)),
        Event::GeneralRef(entity) => {
            if let Some(known) = resolve_xml_entity(entity) {
                take(known);
            } else if let Some(character) = entity.resolve_char_ref().map_err(|e| e.to_string())? {
                take(character.encode_utf8(&mut [0; 4]));
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Undoes `_x000D_`, by which Excel writes characters that XML has not got:
/// UTF-16 units in hexadecimal digits.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("_x") {
        return Cow::Borrowed(text);
    }
    let unit = |at: usize| -> Option<u16> {
        let piece = text.get(at..at + 7)?;
        let digits = piece.strip_prefix("_x")?.strip_suffix('_')?;
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)
    };
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(found) = text[at..].find("_x") {
        out += &text[at..at + found];
        at += found;
        let mut units = Vec::new();
        // Two units make one character only when they stand side by side.
        while let Some(unit) = unit(at) {
            units.push(unit);
            at += 7;
        }
        if units.is_empty() {
            out += "_x";
            at += 2;
        }
        out.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')));
    }
    out += &text[at..];
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once() {
        for (text, said) in [
            ("a_x000D_\nb", "a\r\nb"),
            ("_x005F_x000D_", "_x000D_"),
            ("_xD83D__xDE00_", "😀"),
            ("_x00_ _xZZZZ_ _x", "_x00_ _xZZZZ_ _x"),
            ("中_x0007_文", "中\u{7}文"),
        ] {
            assert_eq!(unescaped(text), said, "{text}");
        }
    }

    #[test]
    fn runs_that_are_struck_out_and_readings_are_left_out() {
        let part = "<sst><si><r><t>旧</t><rPr><strike/></rPr></r></si><si/><si><r><rPr><strike/></rPr><t>旧价 99</t></r>\
            <r><rPr><strike val=\"0\"/></rPr><t>现价 &lt;89&#20803;</t></r><rPh sb=\"0\"><t>xian</t></rPh></si></sst>";
        let texts = shared(Some(part), false).expect("sound");
        assert_eq!(texts.len(), 3);
        assert_eq!((texts[2].said.as_str(), texts[2].struck), ("现价 <89元", true));
        assert_eq!(shared(Some(part), true).expect("sound")[2].said, "旧价 99现价 <89元");
    }
}
