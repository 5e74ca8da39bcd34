//! What has happened in WeCom's customer service since we looked last?
//!
//! The callback only says that there is something. What is fetched is kept page by page,
//! each message once and the cursor with it, in one transaction; only then is the next
//! page asked for. If the process dies in between, the page is fetched again and nothing
//! of it is kept twice.

use super::inbox;
use super::speak::called;
use crate::channels::{Platform, wecom_kf};
use crate::desk::Desk;
use crate::desk::platforms::Told;
use crate::error::{Error, Result};
use crate::store::{Channel, Fetched};

/// Pages that are fetched in a row: a platform that says "more" for ever is not believed.
const PAGES: usize = 200;

/// Fetches what there is behind the cursor.
pub(super) fn fetch(
    desk: &Desk,
    channel: &Channel,
    platform: &Platform,
    news: &str,
    account: &str,
) -> Result<()> {
    let (mut before, mut news) = (desk.talk().cursor(&channel.id, account)?, news);
    for _ in 0..PAGES {
        let call = |token: &str| Ok(wecom_kf::page_call(&platform.settings, &before, news, account, token));
        let reply = match called(desk, channel, platform, &call) {
            Ok(reply) => reply,
            // The callback's token is good for ten minutes; without one the platform is slower to
            // let us ask again, and tells the same.
            Err(Told::Never(_)) if !news.is_empty() => {
                news = "";
                continue;
            }
            Err(Told::Done) => return Err(Error::Refused(String::new())),
            Err(Told::Again(why, _) | Told::Never(why)) => return Err(Error::Refused(why)),
        };
        let page = wecom_kf::page_of(&reply);
        // What lay there before there was this channel is somebody else's matter.
        let events =
            page.events.iter().filter(|event| event.at.is_none_or(|at| at + 1_000 > channel.created_at));
        let jobs = events.map(|event| inbox(channel, event)).collect::<Result<Vec<_>>>()?;
        let fetched =
            Fetched { channel: &channel.id, account, before: &before, next: page.next.as_deref(), jobs };
        let recorded = desk.talk().receive_page(&fetched, &channel.kb, desk.now())?;
        match (recorded, page.next) {
            // Somebody else was faster; from where they came to.
            (None, _) => before = desk.talk().cursor(&channel.id, account)?,
            (Some(_), Some(next)) if page.more && next != before => before = next,
            (Some(_), _) => {
                desk.wake();
                return Ok(());
            }
        }
    }
    desk.wake();
    Ok(())
}
