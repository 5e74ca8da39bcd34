//! How does a visitor of somebody's page talk with us?
//!
//! One line of HTML loads `/widget.js`, which shows a bubble; the panel behind it is
//! a page of ours in a frame ([`files`]). It needs no key: the page names a site, the
//! browser keeps a token, and the site's own server may vouch for who it is
//! ([`visit`]). What the panel asks goes the way of every other client ([`talk`],
//! [`more`], [`pictures`]); it sees its own conversation and nothing else ([`told`]).

mod crowd;
mod files;
mod more;
mod pictures;
mod talk;
mod told;
mod visit;

pub(super) use self::crowd::Crowd;
pub(super) use self::visit::shown_on;

use super::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new().merge(files::routes()).merge(talk::routes()).merge(more::routes()).merge(pictures::routes())
}
