//! In which language does somebody read the pages?
//!
//! Chinese, unless they have switched or their browser speaks no Chinese but English.

use axum::http::{HeaderMap, header};

use super::inside::Inside;

/// Keeps what somebody has switched to.
pub(super) const COOKIE: &str = "zhida_lang";

/// Whether somebody reads English.
pub(super) fn is_english(inside: &Inside, headers: &HeaderMap) -> bool {
    match inside.cookie(COOKIE) {
        Some(switched) => switched == "en",
        None => headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(prefers_english),
    }
}

/// Whether English stands in a list of languages and no Chinese does.
fn prefers_english(list: &str) -> bool {
    let languages = || list.split(',').map(|one| one.split(';').next().unwrap_or_default().trim());
    languages().any(|one| one.starts_with("en")) && !languages().any(|one| one.starts_with("zh"))
}

#[cfg(test)]
mod tests {
    use super::prefers_english;

    #[test]
    fn whoever_reads_chinese_gets_chinese() {
        assert!(!prefers_english("zh-CN,zh;q=0.9,en;q=0.8"));
        assert!(!prefers_english("en;q=0.5, zh"));
        assert!(!prefers_english("*"));
        assert!(prefers_english("en-US,en;q=0.9"));
    }
}
