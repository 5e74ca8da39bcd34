//! Over which cells do pictures lie?
//!
//! Pictures float over a sheet, each held to the cell where its upper left corner is.
//! They are not imported, so whoever put them there is told.

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::events::Event;

use super::package::reader;

/// Pictures of a sheet that are told of.
const PICTURES: usize = 20_000;

/// The cells with a picture over them: columns by rows, from 1.
pub(super) type Pictured = BTreeMap<usize, BTreeSet<usize>>;

/// Adds those of a drawing.
pub(super) fn pictures(part: &str, found: &mut Pictured) -> Result<(), String> {
    let mut reader = reader(part);
    // Of the anchor that is read: where it begins, and whether it holds a picture.
    let (mut place, mut in_from, mut is_picture) = ((0, 0), false, false);
    let mut digits: Option<String> = None;
    let mut count = 0;
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(tag) => match tag.local_name().as_ref() {
                "twoCellAnchor" | "oneCellAnchor" => (place, is_picture) = ((0, 0), false),
                "from" => in_from = true,
                "col" | "row" if in_from => digits = Some(String::new()),
                "pic" => is_picture = true,
                _ => {}
            },
            Event::Text(text) => {
                if let Some(digits) = &mut digits {
                    digits.push_str(text.trim());
                }
            }
            Event::End(tag) => match tag.local_name().as_ref() {
                "from" => in_from = false,
                name @ ("col" | "row") => {
                    // Counted from 0 there.
                    let at = digits.take().and_then(|digits| digits.parse::<usize>().ok());
                    let at = at.and_then(|at| at.checked_add(1)).unwrap_or(0);
                    match (in_from, name) {
                        (true, "col") => place.1 = at,
                        (true, _) => place.0 = at,
                        _ => {}
                    }
                }
                "twoCellAnchor" | "oneCellAnchor" => {
                    if is_picture && place.0 > 0 && place.1 > 0 && count < PICTURES {
                        found.entry(place.0).or_default().insert(place.1);
                        count += 1;
                    }
                    is_picture = false;
                }
                _ => {}
            },
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_told_by_the_cell_that_it_is_held_to() {
        let anchor = |what: &str| {
            format!(
                "<xdr:twoCellAnchor><xdr:from><xdr:col>1</xdr:col><xdr:colOff>9</xdr:colOff><xdr:row>2</xdr:row></xdr:from>\
                 <xdr:to><xdr:col>4</xdr:col><xdr:row>9</xdr:row></xdr:to>{what}</xdr:twoCellAnchor>"
            )
        };
        let told = |part: &str| {
            let mut found = Pictured::new();
            pictures(part, &mut found).expect("read");
            found
        };
        assert_eq!(told(&anchor("<xdr:pic/>")), Pictured::new(), "an empty one shows nothing");
        let found = told(&anchor("<xdr:pic><xdr:nvPicPr/></xdr:pic>"));
        assert_eq!(found, Pictured::from([(3, BTreeSet::from([2]))]));
        assert_eq!(told(&anchor("<xdr:sp></xdr:sp>")), Pictured::new());
    }
}
