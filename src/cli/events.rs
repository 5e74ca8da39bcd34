//! `zhida events`, `zhida forget`: what is kept of what happened?

use std::process::ExitCode;

use clap::Subcommand;

use super::Common;
use super::audited::{Deed, Subject};
use super::ground;
use crate::error::{Error, Result};
use crate::events::compact::{Maintained, maintain};
use crate::events::{Change, Day, Text, Whose, columns};
use crate::store::{Forgotten, REMEMBERED};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make Parquet files of closed days, and erase what is kept no longer; a server does it every night.
    Compact(Place),
    /// Say or set what is kept of customers' words, and for how long.
    Keep(Keep),
    /// Print the columns of the Parquet files.
    Schema,
}

#[derive(Debug, clap::Args)]
struct Place {
    #[command(flatten)]
    common: Common,
    /// Also of today, as far as nobody is writing it.
    #[arg(long)]
    today: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Keep {
    #[command(flatten)]
    common: Common,
    /// What is stored of a text from now on.
    #[arg(long, value_name = "WHAT", value_parser = ["none", "masked", "full"])]
    text: Option<String>,
    /// Whether numbers of orders and parcels are masked too.
    #[arg(long, value_name = "BOOL")]
    mask_orders: Option<bool>,
    /// Erase texts after so many days, 1 to 36500; the events stay.
    #[arg(long, value_name = "N")]
    text_days: Option<u32>,
    /// Remove whole events after so many days, up to 36500; 0 to keep them.
    #[arg(long, value_name = "N")]
    event_days: Option<u32>,
}

#[derive(Debug, clap::Args)]
#[group(id = "whose", required = true, multiple = false)]
pub(crate) struct Forget {
    #[command(flatten)]
    common: Common,
    /// Forget a conversation: what was said in it, and whose events are.
    #[arg(long, value_name = "ID", group = "whose")]
    conversation: Option<String>,
    /// Forget all conversations of a customer.
    #[arg(long, value_name = "ID", group = "whose")]
    customer: Option<String>,
    /// Forget the texts of all events before a day (+08:00), today at the latest; what was
    /// said in conversations stays.
    #[arg(long, value_name = "DATE", group = "whose")]
    text_before: Option<Day>,
    /// Nothing is asked; taken because other commands want it.
    #[arg(long = "yes", hide = true)]
    _yes: bool,
}

impl Args {
    /// What this command is to the audit.
    pub(crate) fn deed(&self) -> Deed<'_> {
        match &self.command {
            Command::Compact(place) => {
                Subject::other(&place.common.data, "events", "compact_events", "compacted").into()
            }
            Command::Keep(keep) => match keep.wanted() {
                Some(wanted) => Subject::other(&keep.common.data, "events", "keep_events", &wanted).into(),
                None => Deed::Looks,
            },
            Command::Schema => Deed::Looks,
        }
    }
}

impl Forget {
    /// What this command is to the audit. Whose it was is forgotten there too.
    pub(crate) fn deed(&self) -> Deed<'_> {
        let object = match (&self.conversation, &self.customer, &self.text_before) {
            (Some(_), _, _) => "a conversation".to_owned(),
            (_, Some(_), _) => "the conversations of a customer".to_owned(),
            (_, _, Some(day)) => format!("texts before {day}"),
            (None, None, None) => "nothing".to_owned(),
        };
        Subject::other(&self.common.data, object, "forget", "forgotten").into()
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Compact(place) => {
            let store = place.common.store();
            ground::must_be_there(&store)?;
            store.writable()?;
            let done = maintain(store.root(), place.today)?;
            if place.json {
                say!("{}", serde_json::to_string_pretty(&done).map_err(|e| Error::internal("events", e))?);
            } else {
                tell(&done);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Keep(keep) => keep.run(),
        Command::Schema => {
            for column in columns() {
                let need = if column.is_required() { "required" } else { "optional" };
                say!("{}\t{}\t{need}\t{}", column.name, column.kind(), column.about);
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl Keep {
    /// What is to be kept from now on; `None` when that is only asked.
    fn wanted(&self) -> Option<String> {
        let said = [
            self.text.as_ref().map(|text| format!("text = {text}")),
            self.mask_orders.map(|orders| format!("mask_orders = {orders}")),
            self.text_days.map(|days| format!("text_days = {days}")),
            self.event_days.map(|days| format!("event_days = {days}")),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join(", "))
    }

    fn run(&self) -> Result<ExitCode> {
        let store = self.common.store();
        ground::must_be_there(&store)?;
        let change = Change {
            text: self.text.as_deref().map(|text| match text {
                "none" => Text::None,
                "full" => Text::Full,
                _ => Text::Masked,
            }),
            orders: self.mask_orders,
            text_days: self.text_days,
            event_days: self.event_days,
        };
        if let Some((field, detail)) = change.fault() {
            return Err(Error::Refused(format!("--{}: {detail}", field.replace('_', "-"))));
        }
        let mut settings = store.event_settings()?;
        if self.wanted().is_some() {
            store.writable()?;
            settings = settings.changed(change);
            store.set_event_settings(&settings)?;
        }
        for (name, value) in settings.named() {
            let stays = if name == "event_days" && settings.event_days.is_none() {
                either!("  # they stay", "  # 一直保留")
            } else {
                String::new()
            };
            say!("{name} = {value}{stays}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Forgets somebody in the events and in the conversations.
pub(crate) fn run_forget(args: &Forget) -> Result<ExitCode> {
    let today = Day::today();
    if let Some(day) = args.text_before.filter(|day| *day > today) {
        return Err(Error::Refused(either!(
            "--text-before: {day} is still to come, and would erase the texts of all events; give {today} or an earlier day",
            "--text-before：{day} 还没有到，会把所有事件的原话都抹掉；请写 {today} 或更早的日期"
        )));
    }
    let store = args.common.store();
    ground::must_be_there(&store)?;
    if args.conversation.iter().chain(&args.customer).any(|id| id.trim().is_empty()) {
        return Err(Error::Refused(either!(
            "the id is blank; nothing was forgotten",
            "编号是空的；什么也没有抹去"
        )));
    }
    store.writable()?;
    let whose = match (&args.conversation, &args.customer, args.text_before) {
        (Some(id), ..) => Whose::Conversation(id.clone()),
        (_, Some(id), _) => Whose::Customer(id.clone()),
        (_, _, Some(day)) => Whose::texts_before(day),
        (None, None, None) => return Err(Error::internal("forget", "nobody is named")),
    };
    let Forgotten { events, conversations, busy } = store.forget(whose)?;
    eprintln!(
        "{}",
        either!(
            "{events} events were made nobody's, {conversations} conversations are gone",
            "已抹去 {events} 个事件中的个人内容，删除 {conversations} 个会话"
        )
    );
    if args.text_before.is_some() {
        eprintln!(
            "{}",
            either!(
                "what was said in conversations stays: it goes with `zhida forget --customer` or `--conversation`, or when it is kept no longer (`zhida serve --conversation-days`)",
                "会话里说的话还在：用 `zhida forget --customer` 或 `--conversation` 抹去，或等会话的保留期满（`zhida serve --conversation-days`）"
            )
        );
    }
    if store.is_on_server() {
        eprintln!(
            "{}",
            either!(
                "every other node forgets it within a minute, and one that is away when it comes back within {} days",
                "其他节点会在一分钟内同样抹去；暂时离线的节点在 {} 天内恢复后补做",
                REMEMBERED.as_secs() / 86_400
            )
        );
    }
    if busy > 0 {
        eprintln!(
            "{}",
            either!(
                "{busy} files are being written; nothing of it is shown any more, and it is erased from them at the next `zhida events compact` or tonight",
                "有 {busy} 个文件正在写入；相关内容已不再可见，将在下次 `zhida events compact` 或今晚从文件中抹去"
            )
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(done: &Maintained) {
    for day in &done.compacted {
        say!("{day}");
    }
    eprintln!(
        "{}",
        either!(
            "{} days compacted with {} events, {} events erased, {} days removed, {} files are being written",
            "已归档 {} 天共 {} 个事件，抹去 {} 个事件的内容，删除 {} 天，{} 个文件正在写入",
            done.compacted.len(),
            done.events,
            done.changed,
            done.removed.len(),
            done.busy
        )
    );
}
