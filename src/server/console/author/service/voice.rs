//! What does the robot say when it does not answer from an entry?

use super::*;

/// The texts with their names.
const TEXTS: [(&str, &str, &str); 10] = [
    ("greeting", "欢迎语：会话开始时", "Greeting: what a conversation begins with"),
    ("clarify", "反问：请顾客从几个问题里选", "Asking back: before the questions to choose from"),
    ("choose_again", "没听懂顾客选了哪一个", "When a choice was not understood"),
    ("none_of_these", "顾客说都不是", "When none of the questions was meant"),
    ("no_answer", "答不上来", "When nothing fits"),
    ("partly", "几个问题里有的答不上来", "When nothing fits one of several questions"),
    ("handed_off", "转人工时", "When a person takes over"),
    ("withdrawn", "顾客不等人工了", "When the customer waits for a person no longer"),
    ("outside_hours", "不在人工服务时间", "Outside the hours of service"),
    ("closing", "顾客说没事了", "When the customer says that this is all"),
];

/// The topics of small talk with what customers say.
const TOPICS: [(&str, &str, &str); 17] = [
    ("greeting", "打招呼：“你好”“在吗”", "Greeting"),
    ("thanks", "道谢：“谢谢”", "Thanks"),
    ("farewell", "告别：“再见”", "Farewell"),
    ("consent", "应答：“好的”", "Consent"),
    ("refusal", "不用：“不用了”", "Refusal"),
    ("wait", "等一下：“稍等”", "Wait"),
    ("mood", "语气：“哈哈”", "Mood"),
    ("identity", "你是谁", "Who are you"),
    ("robot", "你是机器人吗", "Are you a robot"),
    ("abilities", "你会什么", "What can you do"),
    ("time", "几点了", "What time is it"),
    ("weather", "天气怎么样", "The weather"),
    ("joke", "讲个笑话", "A joke"),
    ("praise", "夸奖：“你真棒”", "Praise"),
    ("blame", "责怪：“真笨”", "Blame"),
    ("private", "私事：“你多大了”", "Private matters"),
    ("puzzled", "没懂：“什么意思”", "Puzzled"),
];

/// What the form shows.
struct State {
    /// `[voice]` as it would be.
    voice: Map<String, Value>,
    quick: Vec<String>,
    /// What is typed to be added to the quick questions.
    sought: String,
}

impl State {
    fn of(values: &Values) -> Self {
        let voice = values.said["voice"].as_object().cloned().unwrap_or_default();
        let quick = texts(&values.said["voice"]["quick_questions"], "entries");
        Self { quick: quick.into_iter().map(str::to_owned).collect(), voice, sought: String::new() }
    }

    fn filled(form: &Form) -> Self {
        let mut voice = Map::new();
        for (key, ..) in TEXTS {
            voice.insert(key.to_owned(), json!(form.get(key)));
        }
        let quick: Vec<String> = form.all("quick").map(str::to_owned).collect();
        let most: u64 = form.get("most_asked").parse().unwrap_or(5);
        voice.insert("quick_questions".to_owned(), json!({"most_asked": most, "entries": quick}));
        voice.insert(
            "related".to_owned(),
            json!(if form.get("related") == "asked" { "asked" } else { "authored" }),
        );
        let mut talk = Map::new();
        for (topic, ..) in TOPICS {
            let said = form.get(&format!("talk-{topic}"));
            if form.has(&format!("off-{topic}")) {
                talk.insert(topic.to_owned(), json!(""));
            } else if !said.is_empty() {
                talk.insert(topic.to_owned(), json!(said));
            }
        }
        voice.insert("small_talk".to_owned(), talk.into());
        let count = form.get("phrases").parse::<usize>().unwrap_or(0).min(1_000);
        let phrases = (0..count).filter_map(|at| {
            let says: Vec<String> = form.lines(&format!("says-{at}")).map(str::to_owned).collect();
            let reply = form.raw(&format!("reply-{at}")).trim();
            (!says.is_empty() || !reply.is_empty()).then(|| json!({"says": says, "reply": reply}))
        });
        voice.insert("phrases".to_owned(), phrases.collect());
        Self { voice, quick, sought: form.get("sought").to_owned() }
    }

    fn resume(&mut self) {
        self.voice["quick_questions"]["entries"] = json!(self.quick);
    }
}

pub(super) async fn page(page: &Page, kb: &str) -> Outcome {
    let values = values(page, kb).await?;
    let state = State::of(&values);
    shown(page, kb, &values, &state, &[], &[]).await
}

pub(super) async fn change(page: &Page, kb: &str, form: &Form) -> Outcome {
    let mut values = values(page, kb).await?;
    if let Some(base) = based(form) {
        values.said["voice"] = base;
    }
    let mut state = State::filled(form);
    let deed = form.get("do");
    let etag = form.get("etag").to_owned();
    if let Some(id) = deed.strip_prefix("take-") {
        state.quick.push(id.to_owned());
        state.sought.clear();
    } else if deed == "seek" {
        let found = found(page, kb, &state.sought).await?;
        values.etag = etag;
        return shown(page, kb, &values, &state, &[], &found).await;
    } else if !arrange(deed, &mut state.quick) {
        let patch = json!({"voice": differing(&values.said["voice"], &state.voice)});
        return match send(page, kb, form, &patch, &place(kb, "voice")).await? {
            Sent::Done(response) => Ok(response),
            Sent::Refused(told, etag) => {
                values.etag = etag;
                shown(page, kb, &values, &state, &told, &[]).await
            }
        };
    }
    state.resume();
    values.etag = etag;
    shown(page, kb, &values, &state, &[], &[]).await
}

/// Entries that could be a quick question.
async fn found(page: &Page, kb: &str, sought: &str) -> Result<Vec<Value>, Refusal> {
    let to = address(&format!("{}/entries", api(kb)), &[("q", sought), ("enabled", "true"), ("limit", "8")]);
    let found: Value = page.inside.get(&to).read().await?;
    Ok(list(&found, "items").map(|item| item["entry"].clone()).collect())
}

async fn shown(
    page: &Page,
    kb: &str,
    values: &Values,
    state: &State,
    told: &[String],
    found: &[Value],
) -> Outcome {
    let mut names = Vec::new();
    for id in &state.quick {
        let to = format!("{}/entries/{}", api(kb), super::super::super::inside::part(id));
        let entry: Option<Value> = page.inside.get(&to).read().await.ok();
        names.push(entry.map(|entry| said(&entry, "question").to_owned()));
    }
    let voice = Value::Object(state.voice.clone());
    let body = html! {
        (wrong(page, told))
        form method="post" data-keep="1" {
            // What Enter does in a line.
            button.hidden-label type="submit" name="do" value="draft" tabindex="-1" aria-hidden="true" {}
            (begin(page, "voice", &values.etag))
            (basis(&values.said["voice"]))
            section.card {
                h2 { (page.say("机器人说的话", "Its texts")) }
                p.soft { (page.say("顾客看到的就是这些字。", "Customers see exactly these words.")) }
                @for (key, zh, en) in TEXTS {
                    label.block { span.label { (page.say(zh, en)) } textarea.plain name=(key) rows="2" maxlength="500" { "\n" (said(&voice, key)) } }
                }
            }
            (quick(page, state, &voice, &names, found))
            (small_talk(page, &voice))
            (save(page, values.is_published))
        }
    };
    again(page, sheet(page, kb, "voice", body), told)
}

fn quick(page: &Page, state: &State, voice: &Value, names: &[Option<String>], found: &[Value]) -> Markup {
    html! {
        section.card #quick {
            h2 { (page.say("欢迎语下面的常见问题", "Questions below the greeting")) }
            p.soft { (page.say("不选就用最近一周问得最多的。最多 12 个。", "Without any, those that were asked most in the last week. Up to 12.")) }
            @if !state.quick.is_empty() {
                ol.arranged { @for (at, (id, name)) in state.quick.iter().zip(names).enumerate() {
                    li {
                        input type="hidden" name="quick" value=(id);
                        span { @match name { Some(name) => (name), None => { code { (id) } " " span.tag.bad { (page.say("没有这个条目", "no such entry")) } } } }
                        (arranging(page, at, state.quick.len(), name.as_deref().unwrap_or(id)))
                    }
                } }
            }
            div.row {
                label.wide { span.label { (page.say("加一个：写问题里的字", "Add one: some words of its question")) } input type="search" name="sought" value=(state.sought) maxlength="200"; }
                button.button name="do" value="seek" { (page.say("查找", "Search")) }
                label.narrow { span.label { (page.say("不选时显示几个", "How many, without any")) } input type="number" name="most_asked" min="0" max="12" value=(voice["quick_questions"]["most_asked"].to_string()); }
            }
            @if !found.is_empty() {
                ul.plain { @for entry in found { li { button.link name="do" value={ "take-" (said(entry, "id")) } { "+ " (said(entry, "question")) } } } }
            } @else if !state.sought.is_empty() { p.soft role="status" { (page.say("没有找到启用的条目。", "No entry that is on was found.")) } }
            label.block { span.label { (page.say("答案下面的“相关问题”", "Related questions below an answer")) }
                select name="related" {
                    option value="authored" selected[said(voice, "related") == "authored"] { (page.say("只用条目里写的", "Only those that the entry names")) }
                    option value="asked" selected[said(voice, "related") == "asked"] { (page.say("不够三个时，补上顾客接着常问的", "Filled up with what customers ask next")) }
                } }
        }
    }
}

fn small_talk(page: &Page, voice: &Value) -> Markup {
    let own = &voice["small_talk"];
    let phrases: Vec<&Value> = list(voice, "phrases").collect();
    let count = phrases.len();
    html! {
        details.card open[own.as_object().is_some_and(|own| !own.is_empty())] {
            summary { (page.say("寒暄", "Small talk")) }
            p.soft { (page.say("空着就用出厂的话。", "Blank: as shipped.")) }
            div.scroll tabindex="0" role="region" aria-label=(page.say("表格", "Table")) { table.list {
                thead { tr { th { (page.say("顾客说的", "What customers say")) } th { (page.say("怎么回", "Reply")) } th { (page.say("不回", "No reply")) } } }
                tbody { @for (topic, zh, en) in TOPICS {
                    @let name = page.say(zh, en);
                    tr {
                        td { (name) }
                        td { input type="text" name={ "talk-" (topic) } value=(said(own, topic)) maxlength="500" placeholder=(page.say("出厂的话", "as shipped")) aria-label={ (page.say("怎么回 ", "Reply to ")) (name) }; }
                        td { input type="checkbox" name={ "off-" (topic) } value="1" checked[own[topic] == json!("")] aria-label={ (page.say("不回 ", "No reply to ")) (name) }; }
                    }
                } }
            } }
        }
        details.card open[count > 0] {
            summary { (page.say("自己的寒暄", "Small talk of your own")) " " span.tag { (count) } }
            p.soft { (page.say("顾客整句说了其中一句，就这样回。两格都清空就去掉。", "Said whole, it gets this reply. Empty both boxes to take one out.")) }
            input type="hidden" name="phrases" value=(count + 2);
            @for at in 0..count + 2 {
                @let phrase = phrases.get(at).copied().unwrap_or(&Value::Null);
                div.row {
                    label { span.label { (page.say("顾客说（一行一句）", "Customers say (one a line)")) } textarea.plain name={ "says-" (at) } rows="2" { "\n" (texts(phrase, "says").join("\n")) } }
                    label { span.label { (page.say("回复", "Reply")) } textarea.plain name={ "reply-" (at) } rows="2" maxlength="500" { "\n" (said(phrase, "reply")) } }
                }
            }
        }
    }
}
