//! What does whoever is responsible look at and set?
//!
//! The day ([`day`]), how the service is doing ([`health`]), who may do what ([`keys`],
//! [`people`], [`tenants`]), who is told of what ([`webhooks`]), what was used
//! ([`usage`]), what was changed ([`audit`]) and with what it all runs ([`settings`]).

mod audit;
mod day;
mod health;
mod keys;
mod people;
mod settings;
mod tenants;
mod usage;
mod webhooks;

use axum::Router;
use maud::{Markup, html};

use super::super::Server;
use super::channels::paste;
use super::form::Form;
use super::page::Page;

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .merge(day::routes())
        .merge(health::routes())
        .merge(keys::routes())
        .merge(people::routes())
        .merge(webhooks::routes())
        .merge(usage::routes())
        .merge(audit::routes())
        .merge(tenants::routes())
        .merge(settings::routes())
}

/// What somebody is for, in words.
pub(super) fn role<'a>(page: &Page, code: &'a str) -> &'a str {
    match code {
        "ask" => page.say("提问", "asks"),
        "agent" => page.say("坐席", "agent"),
        "author" => page.say("作者", "author"),
        "admin" => page.say("管理员", "admin"),
        other => other,
    }
}

/// The roles with what each may do.
fn roles(page: &Page) -> [(&'static str, &'static str); 4] {
    [
        (
            "ask",
            page.say(
                "提问：给网页、机器人和程序用，只能提问和反馈",
                "asks: for pages and programs that send questions",
            ),
        ),
        ("agent", page.say("坐席：接待顾客，看会话和工单", "agent: takes over conversations, keeps tickets")),
        (
            "author",
            page.say(
                "作者：维护知识库，发布，看统计",
                "author: keeps knowledge bases, publishes, sees figures",
            ),
        ),
        (
            "admin",
            page.say(
                "管理员：以上全部，加上人员、密钥和审计",
                "admin: all of that, people, keys and the audit",
            ),
        ),
    ]
}

/// The knowledge bases that somebody is limited to.
pub(super) fn scope(page: &Page, kbs: Option<&[String]>) -> String {
    match kbs {
        None => page.say("全部知识库", "all knowledge bases").to_owned(),
        Some(names) => names.join(page.say("、", ", ")),
    }
}

/// Which knowledge bases, all of them when none is ticked. Those that somebody is limited to
/// and that are gone are among them: without a box they would be taken for none.
fn scopes(page: &Page, own: &[String], chosen: &dyn Fn(&str) -> bool) -> Markup {
    let gone = own.iter().filter(|name| !page.me.knowledge_bases.contains(name));
    html! {
        fieldset {
            legend { (page.say("可用的知识库（都不选就是全部）", "Knowledge bases (none ticked: all)")) }
            @for name in &page.me.knowledge_bases {
                label.check { input type="checkbox" name="kb" value=(name) checked[chosen(name)]; " " (name) } " "
            }
            @for name in gone {
                label.check { input type="checkbox" name="kb" value=(name) checked[chosen(name)]; " " (name) " " (page.say("（已删除）", "(removed)")) } " "
            }
        }
    }
}

/// The ticked ones as the API takes them; `null` for all.
fn wanted_scope(form: &Form) -> Option<Vec<&str>> {
    let ticked: Vec<&str> = form.all("kb").collect();
    (!ticked.is_empty()).then_some(ticked)
}

/// Something that is shown this once.
fn once(page: &Page, what: &str, hint: &str, secret: &str) -> Markup {
    html! {
        div.card.notice role="status" data-once="1" {
            b { (what) }
            (paste(page, "secret", secret))
            p { (hint) }
            p.soft { (page.say("它只显示这一次：离开这一页后谁也看不到，丢了只能重新做一个。", "It is shown this once: nobody can see it again, and who has lost it makes another one.")) }
        }
    }
}

/// A number with its unit as people read it.
fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// Days in China: today, and so many days before.
fn day(ago: i64) -> String {
    let china = time::UtcOffset::from_hms(8, 0, 0).unwrap_or(time::UtcOffset::UTC);
    let at = time::OffsetDateTime::now_utc().to_offset(china) - time::Duration::days(ago);
    at.date().to_string()
}

/// A hidden field with the token and a button that asks first.
fn danger(page: &Page, to: &str, label: &str, question: &str) -> Markup {
    html! {
        form method="post" action=(to) {
            (page.csrf())
            button.button.small.danger type="submit" data-confirm=(question) { (label) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        let told: Vec<String> = [0, 1023, 1024, 1_572_864, u64::MAX].into_iter().map(bytes).collect();
        assert_eq!(told, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "16777216.0 TiB"]);
    }
}
