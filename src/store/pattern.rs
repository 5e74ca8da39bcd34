//! Which records hold a text?

/// What stands before a sign that a pattern would read as its own.
pub(super) const ESCAPE: char = '!';

/// The pattern of what holds a text.
pub(super) fn holding(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
