//! What of a text tells who somebody is?

/// The text with what tells who somebody is replaced.
pub fn mask(text: &str, _orders: bool) -> String {
    text.to_owned()
}
