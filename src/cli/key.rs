//! `zhida key`: who may come in?

use std::num::NonZeroU32;
use std::process::ExitCode;

use serde_json::json;

use super::audited::{self, Deed};
use super::kb::Signed;
use super::listing::{in_china, list};
use super::place::{Place, date, limit, limited, role, span, wanted};
use crate::access::{Key, Limits, LimitsChange, Role, moment};
use crate::error::{Error, Result};
use crate::server::Origin;
use crate::store::{KeyRecord, NewKey};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key and print it, this once.
    Create(Create),
    /// List the keys, without what opens the door.
    List {
        #[command(flatten)]
        place: Place,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key: every server refuses it from its next request on.
    Revoke {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: Signed,
        /// The key's id.
        id: String,
        /// Nothing is asked; taken because other commands want it.
        #[arg(long = "yes", hide = true)]
        _yes: bool,
    },
    /// Make a key in the place of another one, which stays valid for a while.
    Rotate {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: Signed,
        /// How long the old key stays valid: 24h, 30m, 0s.
        #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = span)]
        overlap: i64,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
        /// The id of the old key.
        id: String,
    },
    /// Set what a key may use, all of it anew: what is not given beside another limit is not
    /// limited. Without any it shows what the key may use.
    Limit {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        signed: Signed,
        #[command(flatten)]
        pace: Pace,
        /// Remove all limits.
        #[arg(long, conflicts_with_all = ["per_second", "per_month"])]
        unlimited: bool,
        /// The key's id.
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    signed: Signed,
    /// What it is for: `ask` for a bot or page, `agent` for people who take over
    /// conversations, `author` for those who keep a knowledge base, `admin` for all.
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Role,
    /// Only for this knowledge base; may be given several times [default: all].
    #[arg(long, value_name = "NAME")]
    kb: Vec<String>,
    /// What people call it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    name: String,
    /// From when on it is refused: 2027-12-31 (+08:00), or RFC 3339.
    #[arg(long, value_name = "DATE", value_parser = date)]
    expires: Option<i64>,
    #[command(flatten)]
    pace: Pace,
    /// Only pages of this origin may use it, such as https://shop.example; may be
    /// given several times.
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<Origin>,
    /// Only where nobody has a key or a name yet; else nothing is made, and that is no failure.
    /// A database server that is not there yet is waited for, a minute at most.
    #[arg(long)]
    first: bool,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// How much a key may use.
#[derive(Debug, clap::Args)]
struct Pace {
    /// Requests a second, on the average.
    #[arg(long, value_name = "N")]
    per_second: Option<NonZeroU32>,
    /// Questions a month (+08:00).
    #[arg(long, value_name = "N")]
    per_month: Option<u64>,
}

impl Pace {
    fn limits(&self) -> Limits {
        Limits { per_second: self.per_second, per_month: self.per_month, ..Limits::default() }
    }
}

impl Args {
    /// What this command is to the audit.
    pub(crate) fn deed(&self) -> Deed<'_> {
        match &self.command {
            Command::List { .. } => Deed::Looks,
            Command::Limit { pace, unlimited, .. } if wanted(pace.limits(), *unlimited).is_none() => {
                Deed::Looks
            }
            Command::Create(_) | Command::Revoke { .. } | Command::Rotate { .. } | Command::Limit { .. } => {
                Deed::Tells
            }
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Create(args) => create(args)?,
        Command::List { place, json } => keys(place, *json)?,
        Command::Revoke { place, signed, id, .. } => {
            let access = place.known()?;
            access.revoke_key(&place.tenant, id)?;
            let object = format!("key {id}");
            audited::record(&access, &place.tenant, signed, "revoke_key", object, Some("revoked".into()))?;
            eprintln!(
                "{}",
                either!(
                    "key {id} is revoked; servers refuse it from now on",
                    "密钥 {id} 已吊销，服务从现在起拒绝它"
                )
            );
        }
        Command::Rotate { place, signed, overlap, json, id } => {
            let access = place.known()?;
            let (key, record) = access.rotate_key(&place.tenant, id, *overlap)?;
            let after = format!("key {} in the place of key {id}", record.id);
            audited::record(&access, &place.tenant, signed, "rotate_key", format!("key {id}"), Some(after))?;
            show(&key, &record, *json);
        }
        Command::Limit { place, signed, pace, unlimited, id } => {
            let access = place.known()?;
            let may = if let Some(limits) = wanted(pace.limits(), *unlimited) {
                let all = LimitsChange { per_second: Some(pace.per_second), per_month: Some(pace.per_month) };
                access.limit_key(&place.tenant, id, Some(&all), None)?;
                let after = serde_json::to_string(&limits).ok();
                audited::record(&access, &place.tenant, signed, "change_key", format!("key {id}"), after)?;
                limits
            } else {
                let known = access.keys(&place.tenant)?.into_iter().find(|key| key.id == *id);
                known.ok_or_else(|| Error::Absent { what: "key", name: id.clone() })?.limits
            };
            let (second, month) = (limit(may.per_second.map(|n| n.get().into())), limit(may.per_month));
            eprintln!(
                "{}",
                either!(
                    "key {id}: requests a second: {second}; questions a month: {month}",
                    "密钥 {id}：每秒请求数 {second}；每月问题数 {month}"
                )
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn create(args: &Create) -> Result<()> {
    if args.first {
        args.place.await_server()?;
    }
    let access = args.place.access();
    let is_first = access.table().is_open();
    if args.first && !is_first {
        eprintln!(
            "{}",
            either!(
                "somebody has a key or a name already; no key was made",
                "已经有密钥或人员，没有新建密钥"
            )
        );
        return Ok(());
    }
    let origins: Vec<String> = args.origin.iter().map(ToString::to_string).collect();
    if origins.iter().any(|origin| origin == "*") {
        return Err(Error::Refused(either!(
            "--origin: a key that every page may use is no secret; name the origins",
            "--origin：任何网页都能用的密钥就不是秘密了；请写明来源"
        )));
    }
    let (key, record) = access.create_key(NewKey {
        tenant: args.place.tenant.clone(),
        role: args.role,
        kbs: (!args.kb.is_empty()).then(|| args.kb.clone()),
        name: args.name.clone(),
        expires_at: args.expires,
        limits: args.pace.limits(),
        origins,
    })?;
    let kbs = record.kbs.as_ref().map_or_else(|| "all".to_owned(), |kbs| kbs.join(", "));
    let after = format!("key {} for {} of {kbs} in {}", record.id, record.role.name(), args.place.tenant);
    let object = format!("key {}", record.id);
    audited::record(&access, &args.place.tenant, &args.signed, "create_key", object, Some(after))?;
    show(&key, &record, args.json);
    warn_of_unknown(args);
    if is_first {
        eprintln!(
            "{}",
            either!(
                "this was the first key: servers on this data directory ask everybody for one from now on",
                "这是第一个密钥：使用这个数据目录的服务从现在起要求所有人出示密钥"
            )
        );
    }
    Ok(())
}

/// Says which of the knowledge bases are not there: a key may come first, and a slip of the
/// hand makes one that opens nothing.
fn warn_of_unknown(args: &Create) {
    let Ok(known) = args.place.store().and_then(|store| store.names()) else { return };
    for kb in args.kb.iter().filter(|kb| !known.contains(kb)) {
        eprintln!(
            "{}",
            either!(
                "note: there is no knowledge base {kb} yet; the key opens it once there is one of this name",
                "注意：还没有名为 {kb} 的知识库；以后有了同名的，这个密钥才用得上"
            )
        );
    }
}

/// Prints a key to stdout, and what to know of it to stderr.
fn show(key: &Key, record: &KeyRecord, as_json: bool) {
    if as_json {
        say!("{}", json!({"id": record.id, "key": key.reveal(), "record": record}));
    } else {
        say!("{}", key.reveal());
    }
    eprintln!(
        "{}",
        either!(
            "keep it: nobody can show it again. Its id is {}; send it as `Authorization: Bearer …`",
            "请保存好，它不会再次显示。编号是 {}；请求时放在 Authorization: Bearer 之后",
            record.id
        )
    );
}

fn keys(place: &Place, as_json: bool) -> Result<()> {
    let keys = place.known()?.keys(&place.tenant)?;
    if as_json {
        let text = serde_json::to_string_pretty(&keys).map_err(|e| Error::internal("keys", e))?;
        say!("{text}");
        return Ok(());
    }
    let now = moment::now();
    let at = |moment: Option<i64>| moment.map_or_else(|| "-".to_owned(), |at| in_china(&moment::told(at)));
    let rows = keys.iter().map(|key| {
        let state = match (&key.replaced_by, key.revoked_at, key.is_valid(now)) {
            (_, Some(_), _) => either!("revoked", "已吊销"),
            (_, None, false) => either!("expired", "已过期"),
            (Some(other), None, true) => either!("replaced by {other}", "已由 {other} 替换"),
            (None, None, true) => either!("valid", "有效"),
        };
        let kbs = key.kbs.as_ref().map_or_else(|| "*".to_owned(), |kbs| kbs.join(","));
        let (end, used) = (at(key.expires_at), at(key.used_at));
        let (id, role, name) = (&key.id, key.role.name(), &key.name);
        let may = limited(&key.limits);
        format!("{id}\t{role}\t{kbs}\t{state}\t{end}\t{used}\t{name}\t{may}")
    });
    let columns = either!(
        "id\trole\tknowledge bases\tstate\texpires\tlast used\tname\tlimits",
        "编号\t角色\t知识库\t状态\t到期\t最近使用\t名称\t限制"
    );
    list(&columns, rows);
    Ok(())
}
