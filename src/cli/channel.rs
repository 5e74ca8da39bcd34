//! `zhida channel`: on which platforms does a knowledge base answer?

mod email;
mod settings;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::audited::{Deed, Subject, tenant_of};
use super::listing::list;
use super::{Common, ground};
use crate::access::DEFAULT_TENANT;
use crate::desk::channels::{Made, Wanted, add as keep, made, path, shown, site, tested};
use crate::desk::platforms::KINDS;
use crate::desk::{Desk, Settings, web};
use crate::error::{Error, Result};
use crate::server::Origin;
use crate::store::Store;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

/// The data directory of a tenant.
#[derive(Debug, clap::Args)]
#[group(id = "channel_place")]
struct Place {
    #[command(flatten)]
    common: Common,
    /// The tenant whose channels are meant.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_TENANT)]
    tenant: String,
}

impl Place {
    /// # Errors
    /// When there is no such tenant, or nothing at all.
    fn store(&self) -> Result<Store> {
        let store = self.common.store();
        ground::must_be_there(&store)?;
        if self.tenant == DEFAULT_TENANT {
            return Ok(store);
        }
        let known: Vec<String> = store.access().tenants()?.into_iter().map(|one| one.name).collect();
        if !known.contains(&self.tenant) {
            return Err(Error::Unknown { what: "tenant", name: self.tenant.clone(), known });
        }
        store.tenant(&self.tenant)
    }

    /// Where the tenant's data are; whether there is such a tenant, [`Self::store`] says.
    fn data(&self) -> PathBuf {
        let data = self.common.data.clone();
        if self.tenant == DEFAULT_TENANT { data } else { data.join("tenants").join(&self.tenant) }
    }
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add a channel, and print the address that the platform must send to.
    Add(Add),
    /// List channels.
    List(List),
    /// Ask the platform whether it hears us.
    Test(Named),
    /// Remove a channel with what was not said yet.
    #[command(alias = "delete")]
    Remove(Named),
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    place: Place,
    /// How the platform speaks.
    #[arg(long, value_parser = KINDS)]
    kind: String,
    /// The knowledge base that answers.
    #[arg(long, value_name = "NAME")]
    kb: String,
    /// A page's origin that may show the widget, such as https://shop.example; may be repeated.
    #[arg(long, value_name = "ORIGIN", required_if_eq("kind", "web"))]
    origin: Vec<Origin>,
    /// Requests a second that a visitor of the widget may make.
    #[arg(long, value_name = "N")]
    per_visitor: Option<NonZeroU32>,
    /// Requests a second that the widget takes from one address, behind which many may sit.
    #[arg(long, value_name = "N")]
    per_address: Option<NonZeroU32>,
    #[command(flatten)]
    platform: Box<settings::Args>,
    #[command(flatten)]
    mail: Box<email::Mail>,
    /// The channel's name: 1 to 64 letters, digits, `-` or `_`.
    name: String,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    place: Place,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Named {
    #[command(flatten)]
    place: Place,
    /// The channel's name.
    name: String,
}

impl Args {
    /// What this command is to the audit; secrets are not.
    pub(crate) fn deed(&self) -> Deed<'_> {
        match &self.action {
            Action::Add(args) => {
                let done = format!("a {} channel of {}", args.kind, args.kb);
                let object = format!("channel {}", args.name);
                Subject::other(args.place.data(), object, "add_channel", &done).into()
            }
            Action::Remove(args) => {
                let object = format!("channel {}", args.name);
                Subject::other(args.place.data(), object, "remove_channel", "removed").into()
            }
            Action::List(_) | Action::Test(_) => Deed::Looks,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.action {
        Action::Add(args) => add(args),
        Action::List(args) => channels(args),
        Action::Test(args) => test(args),
        Action::Remove(args) => {
            args.place.store()?.conversations().remove_channel(&args.name)?;
            eprintln!("{}", either!("channel {} is removed", "渠道 {} 已删除", args.name));
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl Add {
    /// What was said of the channel, by the kind's own names.
    fn settings(&self) -> Result<Map<String, Value>> {
        if self.kind == "email" {
            let mut settings = self.mail.settings()?;
            settings.extend(self.platform.of_mail());
            return Ok(settings);
        }
        let mut settings = self.platform.settings(&self.kind)?;
        if self.kind == web::KIND {
            let origins: Vec<String> = self.origin.iter().map(ToString::to_string).collect();
            settings.insert("origins".to_owned(), json!(origins));
            for (name, pace) in [("per_visitor", self.per_visitor), ("per_address", self.per_address)] {
                settings.extend(pace.map(|pace| (name.to_owned(), json!(pace))));
            }
        }
        Ok(settings)
    }
}

fn add(args: &Add) -> Result<ExitCode> {
    let store = args.place.store()?;
    let wanted = Wanted {
        name: args.name.clone(),
        kind: args.kind.clone(),
        kb: args.kb.clone(),
        settings: args.settings()?,
    };
    let now = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    let made = made(wanted, i64::try_from(now).unwrap_or(0)).map_err(|unfit| unfit.of_channel(&args.name))?;
    keep(&store, &made)?;
    if args.kind == web::KIND {
        told_site(args, &store, &made)
    } else {
        told(args, &store, &made)
    }
    Ok(ExitCode::SUCCESS)
}

/// Says where the platform must send to.
fn told(args: &Add, store: &Store, made: &Made) {
    let channel = &made.channel;
    let Some(path) = path(channel, tenant_of(store).as_deref()) else { return };
    say!("{path}");
    if let Some(secret) = &made.secret {
        say!("{secret}");
        eprintln!(
            "{}",
            either!("the second line is the secret; it is shown once", "第二行是密钥，只显示这一次")
        );
    }
    if channel.kind != "chatwoot" && channel.kind != "generic" {
        eprintln!(
            "{}",
            either!(
                "paste it behind the server's public https address in the platform's console (回调地址, 请求地址, 消息接收地址); the server must run when the console saves it, since some check it at once",
                "把它接在服务器的公网 https 地址后面，填到平台后台的回调地址（消息接收地址、请求地址）；保存时平台会立即校验，所以请先启动服务器"
            )
        );
    }
    eprintln!(
        "{}",
        either!(
            "let the platform send to this address of the server; `zhida channel test {}` asks whether it hears us",
            "请让平台把消息发到服务器的这个地址；用 `zhida channel test {}` 检查能否连通",
            args.name
        )
    );
}

/// Says what goes into pages of one's own.
fn told_site(args: &Add, store: &Store, made: &Made) {
    let site = site(&made.channel, tenant_of(store).as_deref()).unwrap_or_default();
    let address = args.platform.url.as_deref().unwrap_or("https://ADDRESS");
    say!("{}", web::line(address, &site));
    if let Some(secret) = &made.secret {
        say!("{secret}");
    }
    eprintln!(
        "{}",
        either!(
            "paste the first line into the pages, in front of </body>; ADDRESS is that of this server as browsers see it. The second line is the secret that your own server signs identities with (JWT, HS256); it is shown once, and belongs into no page",
            "请把第一行粘贴到网页里 </body> 之前；ADDRESS 换成浏览器访问本服务器的地址。第二行是您自己的服务器给访客身份签名（JWT，HS256）用的密钥，只显示这一次，不要写进网页"
        )
    );
}

fn channels(args: &List) -> Result<ExitCode> {
    let store = args.place.store()?;
    let tenant = tenant_of(&store);
    let mut rows = Vec::new();
    for channel in store.conversations().channels()? {
        // Neither token nor secret.
        let (settings, _) = shown(&channel);
        let text = |name: &str| settings.get(name).and_then(Value::as_str);
        let path = path(&channel, tenant.as_deref());
        let key = site(&channel, tenant.as_deref());
        let origins = settings.get("origins").cloned().unwrap_or_else(|| json!([]));
        if args.json {
            let mut told = json!({"name": channel.id, "kind": channel.kind, "kb": channel.kb, "path": path});
            if let Some(key) = key {
                told["site"] = key.into();
                told["origins"] = origins;
            } else {
                told["url"] = text("url").unwrap_or_default().into();
                told["app_id"] = json!(text("app_id"));
                told["people"] = json!(text("people"));
            }
            say!("{told}");
        } else if let Some(key) = key {
            let origins: Vec<&str> =
                origins.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            rows.push(format!(
                "{}\t{}\t{}\t{key}\t{}",
                channel.id,
                channel.kind,
                channel.kb,
                origins.join(" ")
            ));
        } else {
            let url = text("url").or(text("app_id")).unwrap_or_default();
            rows.push(format!("{}\t{}\t{}\t{url}", channel.id, channel.kind, channel.kb));
        }
    }
    if !args.json {
        let columns = either!(
            "name\tkind\tknowledge base\taddress, or key of the site\torigins",
            "名称\t类型\t知识库\t地址或站点密钥\t网页来源"
        );
        list(&columns, rows);
    }
    Ok(ExitCode::SUCCESS)
}

fn test(args: &Named) -> Result<ExitCode> {
    let store = args.place.store()?;
    let absent = || Error::Absent { what: "channel", name: args.name.clone() };
    let channel = store.conversations().channel(&args.name)?.ok_or_else(absent)?;
    let desk = Desk::new(&store, Settings::default(), |_| None, |_, _, _| ());
    match tested(&desk, &store, &channel) {
        Ok(told) => {
            say!("{told}");
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => Err(Error::Refused(format!("channel {}: {why}", channel.id))),
    }
}
