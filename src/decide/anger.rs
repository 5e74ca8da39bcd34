//! Is the customer angry at the service?

use std::sync::LazyLock;

use regex::Regex;

use crate::text::Normalized;

static LIST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new("垃圾|骗子|气死|投诉|差评|恶心|坑人|黑心|无耻|滚|他妈|傻逼|忽悠|敷衍|态度太差|忍无可忍").ok()
});

/// Whether a message shows strong negative feeling towards the service.
pub fn is_angry(text: &str) -> bool {
    let core = Normalized::new(text).core;
    LIST.as_ref().is_some_and(|list| list.is_match(&core))
}
