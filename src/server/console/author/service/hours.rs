//! When are people there?

use super::*;

/// The days of the week as the document names them.
const DAYS: [(&str, &str, &str); 7] = [
    ("monday", "周一", "Monday"),
    ("tuesday", "周二", "Tuesday"),
    ("wednesday", "周三", "Wednesday"),
    ("thursday", "周四", "Thursday"),
    ("friday", "周五", "Friday"),
    ("saturday", "周六", "Saturday"),
    ("sunday", "周日", "Sunday"),
];

/// What the form shows: spans as `09:00-18:00`, days as `2026-10-01..2026-10-08`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    zone: String,
    is_always: bool,
    week: [Vec<String>; 7],
    holidays: Vec<String>,
    workdays: Vec<String>,
    workday_hours: Vec<String>,
}

impl State {
    fn of(hours: &Value) -> Self {
        let owned = |name: &str| texts(hours, name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let is_said = |name: &str| hours[name].is_array();
        let keys = ["weekdays", "weekend"].into_iter().chain(DAYS.iter().map(|day| day.0));
        let mut place = 0;
        let week = DAYS.map(|(day, ..)| {
            let common = if place < 5 { "weekdays" } else { "weekend" };
            place += 1;
            if is_said(day) { owned(day) } else { owned(common) }
        });
        Self {
            zone: said(hours, "time_zone").to_owned(),
            is_always: !keys.into_iter().any(is_said),
            week,
            holidays: owned("holidays"),
            workdays: owned("workdays"),
            workday_hours: owned("workday_hours"),
        }
    }

    fn filled(form: &Form) -> Self {
        let spans = |name: &str| -> Vec<String> {
            let pairs = (0..10)
                .map(|at| (form.get(&format!("{name}-{at}-from")), form.get(&format!("{name}-{at}-to"))));
            pairs
                .filter(|(from, to)| !from.is_empty() || !to.is_empty())
                .map(|(from, to)| format!("{}-{}", clock(from), clock(to)))
                .collect()
        };
        let days = |name: &str| -> Vec<String> {
            let count = form.get(name).parse::<usize>().unwrap_or(0).min(500);
            let pairs = (0..count)
                .map(|at| (form.get(&format!("{name}-{at}-from")), form.get(&format!("{name}-{at}-to"))));
            pairs
                .filter(|(from, to)| !from.is_empty() || !to.is_empty())
                .map(|(from, to)| match (from, to) {
                    (from, to) if to.is_empty() || from == to => from.to_owned(),
                    (from, to) => format!("{from}..{to}"),
                })
                .collect()
        };
        Self {
            zone: form.get("time_zone").to_owned(),
            is_always: form.get("always") == "yes",
            week: DAYS.map(|(day, ..)| spans(day)),
            holidays: days("holidays"),
            workdays: days("workdays"),
            workday_hours: spans("workday_hours"),
        }
    }

    /// The keys of `[hours]`; those that it does not need are taken out.
    fn written(&self) -> Map<String, Value> {
        let mut told = Map::new();
        let same = |days: &[Vec<String>]| days.windows(2).all(|two| two[0] == two[1]);
        let listed = |items: &[String]| if items.is_empty() { Value::Null } else { json!(items) };
        for (key, days, range) in [("weekdays", &self.week[..5], 0..5), ("weekend", &self.week[5..], 5..7)] {
            let is_common = same(days);
            told.insert(
                key.to_owned(),
                if is_common && !self.is_always { json!(days[0]) } else { Value::Null },
            );
            for at in range {
                let own = if is_common || self.is_always { Value::Null } else { json!(self.week[at]) };
                told.insert(DAYS[at].0.to_owned(), own);
            }
        }
        told.insert("time_zone".to_owned(), json!(self.zone));
        told.insert("holidays".to_owned(), listed(&self.holidays));
        told.insert("workdays".to_owned(), listed(&self.workdays));
        told.insert("workday_hours".to_owned(), listed(&self.workday_hours));
        told
    }
}

/// A time as the document has it: `9` and `9：00` mean 09:00.
fn clock(typed: &str) -> String {
    let plain = typed.replace('：', ":");
    let (hour, minute) = plain.split_once(':').unwrap_or((&plain, "00"));
    match (hour.trim().parse::<u8>(), minute.trim().parse::<u8>()) {
        (Ok(hour), Ok(minute)) => format!("{hour:02}:{minute:02}"),
        _ => plain,
    }
}

pub(super) async fn page(page: &Page, kb: &str) -> Outcome {
    let values = values(page, kb).await?;
    shown(page, kb, &values, &State::of(&values.said["hours"]), &[])
}

pub(super) async fn change(page: &Page, kb: &str, form: &Form) -> Outcome {
    let mut values = values(page, kb).await?;
    if let Some(base) = based(form) {
        values.said["hours"] = base;
    }
    let mut state = State::filled(form);
    if form.get("do") == "monday" {
        for at in 1..5 {
            state.week[at] = state.week[0].clone();
        }
        form.get("etag").clone_into(&mut values.etag);
        return shown(page, kb, &values, &state, &[]);
    }
    let before = State::of(&values.said["hours"]);
    // The same hours written in another way stay as they are written.
    let changes =
        if before == state { Map::new() } else { differing(&values.said["hours"], &state.written()) };
    match send(page, kb, form, &json!({"hours": changes}), &place(kb, "hours")).await? {
        Sent::Done(response) => Ok(response),
        Sent::Refused(told, etag) => {
            values.etag = etag;
            shown(page, kb, &values, &state, &told)
        }
    }
}

fn shown(page: &Page, kb: &str, values: &Values, state: &State, told: &[String]) -> Outcome {
    let body = html! {
        (wrong(page, told))
        form method="post" data-keep="1" {
            button.hidden-label type="submit" name="do" value="draft" tabindex="-1" aria-hidden="true" {}
            (begin(page, "hours", &values.etag))
            (basis(&values.said["hours"]))
            section.card {
                h2 { (page.say("人工服务时间", "When people are there")) }
                div.row {
                    label.narrow { span.label { (page.say("时区", "Time zone")) } input type="text" name="time_zone" value=(state.zone) maxlength="6" placeholder="+08:00"; }
                    label.check { input type="radio" name="always" value="yes" checked[state.is_always]; " " (page.say("随时有人", "Always")) }
                    label.check { input type="radio" name="always" value="no" checked[!state.is_always]; " " (page.say("按下面的时间", "As below")) }
                }
                div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list.week {
                    thead { tr { th { (page.say("哪天", "Day")) } th { (page.say("时间（空着就是休息；过夜写成 22:00 到 06:00）", "Times (blank: closed; over night as 22:00 to 06:00)")) } } }
                    tbody { @for (at, (day, zh, en)) in DAYS.iter().enumerate() {
                        tr { td { (page.say(zh, en)) } td { (spans(page, day, page.say(zh, en), &state.week[at])) @if at == 0 { " " button.button.small name="do" value="monday" { (page.say("周二到周五也这样", "Tuesday to Friday the same")) } } } }
                    } }
                } }
            }
            section.card {
                h2 { (page.say("放假与调休", "Holidays and make-up workdays")) }
                (days(page, "holidays", page.say("放假", "Holidays"), &state.holidays))
                (days(page, "workdays", page.say("调休上班", "Make-up workdays"), &state.workdays))
                fieldset { legend.label { (page.say("调休那天的时间（空着就同一周里第一个上班的日子一样）", "Times of these days (blank: as the first working day of the week)")) } (spans(page, "workday_hours", page.say("调休", "Make-up"), &state.workday_hours)) }
            }
            (save(page, values.is_published))
        }
    };
    again(page, sheet(page, kb, "hours", body), told)
}

/// Two spans of a day, or as many as there are.
fn spans(page: &Page, name: &str, day: &str, all: &[String]) -> Markup {
    html! { @for at in 0..all.len().max(2) {
        @let (from, to) = all.get(at).and_then(|span| span.split_once('-')).unwrap_or_default();
        span.pair.times {
            input.time type="text" inputmode="numeric" name={ (name) "-" (at) "-from" } value=(from) maxlength="5" placeholder=(if at == 0 { "09:00" } else { "" }) aria-label={ (day) " " (at + 1) (page.say(" 从", " from")) };
            " – "
            input.time type="text" inputmode="numeric" name={ (name) "-" (at) "-to" } value=(to) maxlength="5" placeholder=(if at == 0 { "18:00" } else { "" }) aria-label={ (day) " " (at + 1) (page.say(" 到", " to")) };
        } " "
    } }
}

/// Days from and to, with room for two more.
fn days(page: &Page, name: &str, title: &str, all: &[String]) -> Markup {
    html! {
        fieldset {
            legend.label { (title) (page.say("（从哪天到哪天；只一天就只填前面）", " (from, to; one day: only the first)")) }
            input type="hidden" name=(name) value=(all.len() + 2);
            @for at in 0..all.len() + 2 {
                @let written = all.get(at).map_or("", String::as_str);
                @let (from, to) = written.split_once("..").unwrap_or((written, ""));
                div.pair.days {
                    input.narrow type="date" name={ (name) "-" (at) "-from" } value=(from) aria-label={ (title) " " (at + 1) (page.say(" 从", " from")) };
                    " – "
                    input.narrow type="date" name={ (name) "-" (at) "-to" } value=(to) aria-label={ (title) " " (at + 1) (page.say(" 到", " to")) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_survive_the_form() {
        let hours = json!({"time_zone": "+08:00", "weekdays": ["09:00-12:00", "13:00-18:00"], "saturday": ["10:00-16:00"], "holidays": ["2026-10-01..2026-10-08"]});
        let state = State::of(&hours);
        assert!(!state.is_always);
        let told = Value::Object(state.written());
        for (key, value) in [
            ("weekdays", &hours["weekdays"]),
            ("saturday", &hours["saturday"]),
            ("sunday", &json!([])),
            ("weekend", &Value::Null),
            ("monday", &Value::Null),
            ("holidays", &hours["holidays"]),
        ] {
            assert_eq!(told[key], *value, "{key}");
        }
        assert!(State::of(&json!({"time_zone": "+08:00"})).is_always);
        assert_eq!(
            [clock("9"), clock("9：30"), clock("24:00"), clock("?")],
            ["09:00", "09:30", "24:00", "?"]
        );
    }
}
