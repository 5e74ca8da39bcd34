//! What does a message from outside say, in XML or JSON?
//!
//! Platforms send flat lists of named texts; what is nested in them is of no use here
//! and skipped. Whoever sends this may be anybody: bytes, depth and number of fields
//! have an end, and a document type, with which XML could name files or blow itself up,
//! is refused.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use serde_json::Value;

/// The most bytes of a message.
const BYTES: usize = 256 * 1024;

/// The most fields of a message.
const FIELDS: usize = 256;

/// The deepest nesting of a message.
const DEPTH: usize = 16;

/// What a message is written in; what is replied is written in the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `<xml><Name>text</Name></xml>`
    Xml,
    /// `{"Name":"text"}`
    Json,
}

/// The named texts of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// What it was written in.
    pub format: Format,
    all: Vec<(String, String)>,
}

impl Fields {
    /// Reads a message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > BYTES {
            return Err(format!("the message has {} bytes; the limit is {BYTES}", text.len()));
        }
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.starts_with('{') { of_json(text) } else { of_xml(text) }
    }

    /// The text of a name; of several, the first. Empty texts are none.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.all.iter().find(|(known, _)| known == name)?;
        Some(found.1.as_str()).filter(|text| !text.is_empty())
    }

    /// The text of a name, or why there is none.
    ///
    /// # Errors
    /// That it is missing.
    pub fn need(&self, name: &str) -> Result<&str, String> {
        self.get(name).ok_or_else(|| format!("field `{name}` is missing"))
    }

    fn add(&mut self, name: String, text: String) -> Result<(), String> {
        if self.all.len() == FIELDS {
            return Err(format!("the message has more than {FIELDS} fields"));
        }
        self.all.push((name, text));
        Ok(())
    }
}

fn of_json(text: &str) -> Result<Fields, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("the message is not JSON: {e}"))?;
    let mut fields = Fields { format: Format::Json, all: Vec::new() };
    for (name, value) in value.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        fields.add(name.clone(), text)?;
    }
    Ok(fields)
}

fn of_xml(text: &str) -> Result<Fields, String> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut fields = Fields { format: Format::Xml, all: Vec::new() };
    // The field that is read, and how deep it goes.
    let (mut depth, mut name, mut content) = (0_usize, String::new(), String::new());
    let mut seen = false;
    loop {
        let event = reader.read_event().map_err(|e| format!("the message is not XML: {e}"))?;
        match event {
            Event::Start(tag) => {
                depth += 1;
                seen = true;
                if depth > DEPTH {
                    return Err(format!("the message is nested more than {DEPTH} deep"));
                }
                if depth == 2 {
                    tag.local_name().as_ref().clone_into(&mut name);
                    content.clear();
                }
            }
            Event::Empty(_) => seen = true,
            Event::Text(text) if depth == 2 => content.push_str(&text.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(text) if depth == 2 => content.push_str(&text.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(entity) if depth == 2 => {
                if let Some(known) = resolve_xml_entity(&entity) {
                    content.push_str(known);
                } else if let Ok(Some(character)) = entity.resolve_char_ref() {
                    content.push(character);
                } else {
                    return Err("the message names an entity that XML does not have".to_owned());
                }
            }
            Event::End(_) => {
                if depth == 2 {
                    fields.add(std::mem::take(&mut name), content.trim().to_owned())?;
                }
                depth = depth.saturating_sub(1);
            }
            Event::DocType(_) => return Err("the message has a document type; none is read".to_owned()),
            Event::Eof if depth > 0 || !seen => return Err("the message is not whole".to_owned()),
            Event::Eof => return Ok(fields),
            _ => {}
        }
    }
}

/// Named texts as XML. Names are ours, texts anybody's.
pub fn xml(fields: &[(&str, &str)]) -> String {
    let mut out = "<xml>".to_owned();
    for (name, text) in fields {
        // Characters that XML has not cannot be written in it, whatever stands around them.
        let text: String =
            text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')).collect();
        let text: String = text.chars().filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')).collect();
        let text = text.replace("]]>", "]]]]><![CDATA[>");
        out.push_str(&format!("<{name}><![CDATA[{text}]]></{name}>"));
    }
    out.push_str("</xml>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_messages_are_read_and_nested_ones_are_skipped() {
        let fields = Fields::read(
            "<xml>\n<Content><![CDATA[怎么<退>货]]></Content><MsgId>12</MsgId>\
             <Info><Name>x</Name></Info><Empty/><A>1 &lt; 2 &#x4e2d;</A></xml>",
        )
        .expect("read");
        assert_eq!((fields.get("Content"), fields.get("MsgId")), (Some("怎么<退>货"), Some("12")));
        assert_eq!((fields.get("Name"), fields.get("Info"), fields.get("A")), (None, None, Some("1 < 2 中")));
        let json = Fields::read(r#"{"MsgId":24691,"Content":"你好","x":{"MsgId":1}}"#).expect("read");
        assert_eq!(
            (json.get("MsgId"), json.get("Content"), json.get("x")),
            (Some("24691"), Some("你好"), None)
        );
    }

    #[test]
    fn what_could_do_harm_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(20), "</a>".repeat(20));
        let many = format!("<xml>{}</xml>", "<a>1</a>".repeat(300));
        for text in [
            "",
            "text",
            "<xml><a>",
            "<xml><a></b></xml>",
            "{",
            "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><xml><a>&a;</a></xml>",
            "<xml><a>&a;</a></xml>",
            &deep,
            &many,
            &format!("<xml><a>{}</a></xml>", "x".repeat(BYTES)),
        ] {
            assert!(Fields::read(text).is_err(), "{}", text.chars().take(60).collect::<String>());
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let text = "a]]>b\u{0}c<\n&d";
        let fields = Fields::read(&xml(&[("Content", text), ("To", "u")])).expect("read");
        assert_eq!((fields.get("Content"), fields.get("To")), (Some("a]]>bc<\n&d"), Some("u")));
    }
}
