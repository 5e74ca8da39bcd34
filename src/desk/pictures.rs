//! Which pictures may a customer and an agent show each other?
//!
//! Photographs and screenshots, by what is in them and not by what they are called:
//! JPEG, PNG, GIF and WebP. Nothing that a browser could run is among them, and they
//! are served so that it would not be run. They are kept as they came, with whatever a
//! camera has written into them.

use serde_json::json;

use super::Desk;
use super::reception::TRIES;
use crate::dialogue::conversation::{Owner, Picture, Role};
use crate::error::{Error, Result};
use crate::store::{Conversation, Heard, NewLine, Place, picture_name};

/// The largest picture, in bytes.
pub const BYTES: usize = 5 << 20;

/// Pictures that a customer may show in an hour.
pub const AN_HOUR: i64 = 10;

/// Pictures that a customer may show in a conversation, as long as it is kept.
pub const IN_ALL: i64 = 100;

const HOUR: i64 = 60 * 60 * 1000;

/// What stands in place of words.
pub const WORDS: &str = "[图片]";

/// The kinds: media type and ending.
const KINDS: [(&str, &str); 4] =
    [("image/jpeg", "jpg"), ("image/png", "png"), ("image/gif", "gif"), ("image/webp", "webp")];

/// The longest name of a picture in characters.
const NAME: usize = 100;

/// Why a picture is not taken.
#[derive(Debug)]
pub enum Untaken {
    /// It is none, or of another kind.
    NoPicture,
    /// It has too many bytes.
    TooLarge,
    /// Nobody is there who could look at it.
    NobodyThere,
    /// The customer has shown many.
    TooMany(&'static str),
    /// We could not keep it.
    Failed(Error),
}

impl From<Error> for Untaken {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What a file is, whatever its name says.
///
/// # Errors
/// When it is no picture that is taken.
pub fn look(bytes: &[u8], name: &str) -> std::result::Result<Picture, Untaken> {
    if bytes.len() > BYTES {
        return Err(Untaken::TooLarge);
    }
    let found = infer::get(bytes).map(|kind| kind.mime_type());
    let (kind, ending) =
        KINDS.into_iter().find(|(kind, _)| found == Some(*kind)).ok_or(Untaken::NoPicture)?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME).collect();
    Ok(Picture { id: picture_name(bytes, ending), kind: kind.to_owned(), bytes: bytes.len(), name })
}

/// The media type of a picture that was kept, by its name.
pub fn kind_of(id: &str) -> &'static str {
    let ending = id.rsplit('.').next().unwrap_or_default();
    KINDS.into_iter().find(|(_, known)| *known == ending).map_or("application/octet-stream", |(kind, _)| kind)
}

/// What stands beside the words of a line with a picture.
pub fn beside(picture: &Picture) -> String {
    json!({"picture": picture}).to_string()
}

impl Desk {
    /// Takes a picture of a customer who is with a person or waits for one.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn take_picture(
        &self,
        known: &Conversation,
        (bytes, name): (&[u8], &str),
        client_id: &str,
    ) -> std::result::Result<(), Untaken> {
        let picture = look(bytes, name)?;
        let _mine = self.place(&known.kb, &known.id);
        for _ in 0..TRIES {
            let now = self.talk().by_key(known.key)?;
            let now = now.ok_or_else(|| Error::Absent { what: "conversation", name: known.id.clone() })?;
            if !self.talk().heard_before(now.key, client_id)?.is_empty() {
                return Ok(());
            }
            if !matches!(now.owner, Owner::Queued | Owner::Agent) {
                return Err(Untaken::NobodyThere);
            }
            if self.talk().pictures_since(now.key, self.now().saturating_sub(HOUR))? >= AN_HOUR {
                return Err(Untaken::TooMany("an hour"));
            }
            if self.talk().pictures_since(now.key, 0)? >= IN_ALL {
                return Err(Untaken::TooMany("a conversation"));
            }
            self.talk().keep_picture(now.key, &picture.id, bytes)?;
            let heard = Heard {
                lines: vec![NewLine {
                    client_id: Some(client_id.to_owned()),
                    data: Some(beside(&picture)),
                    ..NewLine::of(Role::Customer, WORDS)
                }],
                ..Heard::of(Place::Known(&now), self.now(), now.owner)
            };
            if self.talk().record(&heard)?.is_some() {
                return Ok(());
            }
        }
        let why = format!("conversation {:?} changes all the time; send the picture again", known.id);
        Err(Error::Conflict(why).into())
    }

    /// Keeps a picture that an agent shows; the reply that names it comes next.
    ///
    /// # Errors
    /// When it is none.
    pub fn keep_picture(&self, key: i64, bytes: &[u8], name: &str) -> std::result::Result<Picture, Untaken> {
        let picture = look(bytes, name)?;
        self.talk().keep_picture(key, &picture.id, bytes)?;
        Ok(picture)
    }

    /// A picture of a conversation with its media type.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is none of the name.
    pub fn picture(&self, known: &Conversation, id: &str) -> Result<(&'static str, Vec<u8>)> {
        let none = || Error::Absent { what: "picture", name: id.chars().take(100).collect() };
        let bytes = self.talk().picture(known.key, id)?.ok_or_else(none)?;
        Ok((kind_of(id), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_is_counts_and_not_its_name() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        let seen = look(png, "C:\\Users\\王\\照片\u{7}.html").expect("a picture");
        assert_eq!((seen.kind.as_str(), seen.name.as_str(), seen.bytes), ("image/png", "照片.html", 16));
        assert!(seen.id.len() == 68 && kind_of(&seen.id) == "image/png", "{}", seen.id);
        for (bytes, kind) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], "image/jpeg"),
            (b"GIF89a\x01\0", "image/gif"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        ] {
            assert_eq!(look(bytes, "").map(|seen| seen.kind).ok().as_deref(), Some(kind));
        }
        for wrong in [
            &b""[..],
            b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>",
            b"<!doctype html><script>alert(1)</script>",
            b"%PDF-1.7",
            b"PK\x03\x04",
            b"II*\0",
            b"BM\0\0",
            b"\x7fELF",
        ] {
            assert!(matches!(look(wrong, "a.png"), Err(Untaken::NoPicture)), "{wrong:?}");
        }
        let mut large = png.to_vec();
        large.resize(BYTES + 1, 0);
        assert!(matches!(look(&large, "a.png"), Err(Untaken::TooLarge)));
    }
}
