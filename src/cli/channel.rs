//! `zhida channel`: on which platforms does a knowledge base answer?

mod settings;

use std::num::NonZeroU32;
use std::process::ExitCode;

use serde_json::Value;

use super::Common;
use super::audited::{Deed, Subject, tenant_of};
use crate::desk::platforms::{KINDS, settings_fault};
use crate::desk::{Desk, Settings, web};
use crate::error::{Error, Result};
use crate::server::Origin;
use crate::store::{Channel, Store};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
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
    Remove(Named),
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    common: Common,
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
    /// The channel's name: 1 to 64 letters, digits, `-` or `_`.
    name: String,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    common: Common,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Named {
    #[command(flatten)]
    common: Common,
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
                Subject::other(&args.common.data, object, "add_channel", &done).into()
            }
            Action::Remove(args) => {
                let object = format!("channel {}", args.name);
                Subject::other(&args.common.data, object, "remove_channel", "removed").into()
            }
            Action::List(_) | Action::Test(_) => Deed::Looks,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.action {
        Action::Add(args) => add(args),
        Action::List(args) => list(args),
        Action::Test(args) => test(args),
        Action::Remove(args) => {
            args.common.store().conversations().remove_channel(&args.name)?;
            eprintln!("{}", either!("channel {} is removed", "渠道 {} 已删除", args.name));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn add(args: &Add) -> Result<ExitCode> {
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if args.name.is_empty() || args.name.len() > 64 || !args.name.chars().all(sound) {
        return Err(Error::Refused(format!(
            "channel name {:?}: use 1 to 64 letters, digits, '-' or '_'; it is part of an address",
            args.name
        )));
    }
    let store = args.common.store();
    store.shelf(&args.kb)?;
    if args.kind == web::KIND {
        return add_site(args, &store);
    }
    let settings = args.platform.settings(&args.kind)?;
    let made = settings.made;
    let channel = keep(args, &store, &Value::Object(settings.all))?;
    say!("/channels/{}/{}", channel.kind, channel.id);
    if let Some(secret) = made {
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
    Ok(ExitCode::SUCCESS)
}

/// Keeps a channel whose settings are sound.
fn keep(args: &Add, store: &Store, settings: &Value) -> Result<Channel> {
    if let Some(fault) = settings_fault(&args.kind, settings) {
        return Err(Error::Refused(format!("channel {}: {fault}", args.name)));
    }
    let channel = Channel {
        id: args.name.clone(),
        kind: args.kind.clone(),
        kb: args.kb.clone(),
        settings: settings.to_string(),
        created_at: i64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000)
            .unwrap_or(0),
    };
    store.conversations().add_channel(&channel)?;
    Ok(channel)
}

/// Makes a site for pages of one's own, and prints what goes into them.
fn add_site(args: &Add, store: &Store) -> Result<ExitCode> {
    let origins = args.origin.iter().map(ToString::to_string).collect();
    let mut site = web::Settings::new(origins, args.platform.secret()?)?;
    site.per_visitor = args.per_visitor.unwrap_or(site.per_visitor);
    site.per_address = args.per_address.unwrap_or(site.per_address);
    let settings = serde_json::to_value(&site).map_err(|e| Error::internal("channel", e))?;
    keep(args, store, &settings)?;
    let address = args.platform.url.as_deref().unwrap_or("https://ADDRESS");
    say!("{}", site.line(address, tenant_of(store).as_deref()));
    if args.platform.secret.is_none() {
        say!("{}", site.secret);
    }
    eprintln!(
        "{}",
        either!(
            "paste the first line into the pages, in front of </body>; ADDRESS is that of this server as browsers see it. The second line is the secret that your own server signs identities with (JWT, HS256); it is shown once, and belongs into no page",
            "请把第一行粘贴到网页里 </body> 之前；ADDRESS 换成浏览器访问本服务器的地址。第二行是您自己的服务器给访客身份签名（JWT，HS256）用的密钥，只显示这一次，不要写进网页"
        )
    );
    Ok(ExitCode::SUCCESS)
}

fn list(args: &List) -> Result<ExitCode> {
    let store = args.common.store();
    for channel in store.conversations().channels()? {
        let settings: Value = serde_json::from_str(&channel.settings).unwrap_or_default();
        let site = web::Settings::of(&settings).ok().filter(|_| channel.kind == web::KIND);
        let text = |name: &str| settings.get(name).and_then(Value::as_str);
        let url = text("url").or(text("app_id")).unwrap_or_default();
        if let Some(site) = site {
            let (key, origins) = (site.key(tenant_of(&store).as_deref()), site.origins);
            if args.json {
                say!(
                    "{}",
                    serde_json::json!({"name": channel.id, "kind": channel.kind, "kb": channel.kb, "site": key,
                        "origins": origins, "path": format!("/widget/{key}")})
                );
            } else {
                say!("{}\t{}\t{}\t{key}\t{}", channel.id, channel.kind, channel.kb, origins.join(" "));
            }
        } else if args.json {
            // Neither token nor secret.
            say!(
                "{}",
                serde_json::json!({"name": channel.id, "kind": channel.kind, "kb": channel.kb,
                    "url": text("url").unwrap_or_default(), "app_id": text("app_id"), "people": text("people"),
                    "path": format!("/channels/{}/{}", channel.kind, channel.id)})
            );
        } else {
            say!("{}\t{}\t{}\t{url}", channel.id, channel.kind, channel.kb);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn test(args: &Named) -> Result<ExitCode> {
    let store = args.common.store();
    let absent = || Error::Absent { what: "channel", name: args.name.clone() };
    let channel = store.conversations().channel(&args.name)?.ok_or_else(absent)?;
    let desk = Desk::new(&store, Settings::default(), |_| None, |_, _, _| ());
    match desk.test_channel(&channel) {
        Ok(told) => {
            if channel.kind == web::KIND {
                // Without a release the widget has nothing to answer with.
                store.shelf(&channel.kb)?.current_number()?;
            }
            say!("{told}");
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => Err(Error::Refused(format!("channel {}: {why}", channel.id))),
    }
}
