//! Has this node what a client has seen elsewhere?
//!
//! Several nodes serve the same knowledge bases, and each looks now and then at what
//! was published and edited. A client that has just changed something, or has had a
//! reply of another node, says so with `Zhida-Min-Release`, and this node looks before
//! it answers. What it finds is the truth, also when that is an older release again.

use axum::http::HeaderMap;

use super::caller::Caller;
use super::error::{Kind, Problem};

/// The name of the header.
const HEADER: &str = "zhida-min-release";

/// A release with the number of live edits on top of it, as replies name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    release: u32,
    edits: u64,
}

impl Mark {
    /// `12` or `12+3`.
    fn named(text: &str) -> Option<Self> {
        let (release, edits) = text.split_once('+').unwrap_or((text, "0"));
        Some(Self { release: release.parse().ok()?, edits: edits.parse().ok()? })
    }

    /// What a request demands.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(value) = headers.get(HEADER) else { return Ok(None) };
        let mark = value.to_str().ok().and_then(|text| Self::named(text.trim()));
        mark.map(Some).ok_or_else(|| {
            let detail = "header `Zhida-Min-Release` is a release as replies name it, such as 12 or 12+3";
            Problem::new(Kind::InvalidField, detail).of_field("Zhida-Min-Release")
        })
    }
}

/// Waits until this node has what the request demands of a knowledge base, open.
///
/// # Errors
/// When it cannot find out: the database is out of reach, or the release does not open.
pub(super) async fn reach(caller: &Caller, kb: Option<&str>) -> Result<(), Problem> {
    caller.awake(kb).await?;
    let Some(least) = caller.least() else { return Ok(()) };
    let served =
        |caller: &Caller| caller.engine(kb).ok().and_then(|engine| Mark::named(&engine.release().label()));
    if served(caller).is_some_and(|served| served >= least) {
        return Ok(());
    }
    let cannot = |kind: Kind, why: &str| {
        let detail = format!("this node has not got as far as the request demands, and cannot: {why}");
        Problem::new(kind, detail)
    };
    if !caller.store().is_reachable() {
        return Err(cannot(Kind::DatabaseAway, "its database does not answer"));
    }
    caller.registry().refreshed().await?;
    let trouble = caller.registry().view().trouble(kb);
    match trouble {
        Some(why) if served(caller).is_none_or(|served| served < least) => Err(cannot(Kind::NotReady, &why)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_and_compared() {
        let mark = |text| Mark::named(text).expect("a mark");
        assert!(mark("12") < mark("12+1") && mark("12+9") < mark("13") && mark("9") < mark("12"));
        for nonsense in ["", "+", "12+", "x", "-1", "12+x", "1.2"] {
            assert_eq!(Mark::named(nonsense), None, "{nonsense}");
        }
    }
}
