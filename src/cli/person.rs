//! `zhida person`: who signs in?

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use console::Term;
use serde_json::json;

use super::audited::{self, Deed};
use super::kb::{Signed, asked};
use super::listing::{in_china, list};
use super::place::{Place, role, span};
use crate::access::password::Weak;
use crate::access::{Password, Role, moment};
use crate::error::{Error, Result};
use crate::server::{link_behind, state_of};
use crate::store::{Access, NewPerson, PersonChange, PersonRecord, SignIn};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Invite somebody: prints a link that lets them choose a password, once.
    Create(Create),
    /// List the people, without what lets them in.
    List {
        #[command(flatten)]
        place: Place,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Set somebody's password; it is read from the terminal, or a line of standard
    /// input. All their sessions end.
    Passwd(Named),
    /// Set what somebody is for; it counts from their next request on.
    Role {
        #[command(flatten)]
        named: Named,
        /// What they are for from now on: ask, agent, author or admin.
        #[arg(value_parser = role)]
        role: Role,
        /// Only for this knowledge base; may be given several times [default: all].
        #[arg(long, value_name = "NAME")]
        kb: Vec<String>,
    },
    /// Let somebody in no more; their sessions end on every server.
    Disable(Named),
    /// Let somebody in again.
    Enable(Named),
    /// Remove somebody; what they did stays in the histories.
    #[command(alias = "delete")]
    Remove {
        #[command(flatten)]
        named: Named,
        /// It is meant; without this a terminal is asked.
        #[arg(long)]
        yes: bool,
    },
    /// List somebody's sessions, or end them.
    Sessions {
        #[command(flatten)]
        named: Named,
        /// End this session.
        #[arg(long, value_name = "ID", conflicts_with = "end_all")]
        end: Option<String>,
        /// End all of them.
        #[arg(long)]
        end_all: bool,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a link that works once, for somebody who lost their password or invitation.
    Link {
        #[command(flatten)]
        named: Named,
        /// How long it works: 24h, 7d.
        #[arg(long, value_name = "SPAN", default_value = "3d", value_parser = span)]
        valid: i64,
    },
}

#[derive(Debug, clap::Args)]
struct Named {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    signed: Signed,
    /// The person's name or id.
    name: String,
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    named: Named,
    /// What they are for: `agent` for people who take over conversations, `author` for
    /// those who keep a knowledge base, `admin` for all, `ask` to try questions only.
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Role,
    /// Only for this knowledge base; may be given several times [default: all].
    #[arg(long, value_name = "NAME")]
    kb: Vec<String>,
    /// What others call them [default: the name].
    #[arg(long, value_name = "TEXT", default_value = "")]
    display_name: String,
    /// They sign in at the OpenID provider that `zhida serve` is told of, and have no password.
    #[arg(long, conflicts_with = "password")]
    provider: bool,
    /// Set the password now, as `passwd` does, instead of printing a link.
    #[arg(long)]
    password: bool,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

impl Named {
    fn access(&self) -> Result<Access> {
        self.place.known()
    }

    fn record(&self, access: &Access, action: &str, name: &str, after: Option<String>) -> Result<()> {
        audited::record(access, &self.place.tenant, &self.signed, action, format!("person {name}"), after)
    }
}

impl Args {
    /// What this command is to the audit.
    pub(crate) fn deed(&self) -> Deed<'_> {
        match &self.command {
            Command::List { .. } | Command::Sessions { end: None, end_all: false, .. } => Deed::Looks,
            Command::Create(_)
            | Command::Passwd(_)
            | Command::Role { .. }
            | Command::Disable(_)
            | Command::Enable(_)
            | Command::Remove { .. }
            | Command::Sessions { .. }
            | Command::Link { .. } => Deed::Tells,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Command::Create(args) => create(args)?,
        Command::List { place, json } => people(place, *json)?,
        Command::Passwd(named) => {
            let access = named.access()?;
            let person = access.person(&named.place.tenant, &named.name)?;
            let hash = read_password(&person.name)?.hash()?;
            access.set_password(&named.place.tenant, &person.id, &hash)?;
            named.record(&access, "set_password", &person.name, Some("all sessions ended".into()))?;
        }
        Command::Role { named, role, kb } => {
            let kbs = Some((!kb.is_empty()).then(|| kb.clone()));
            change(named, &PersonChange { role: Some(*role), kbs, ..PersonChange::default() })?;
        }
        Command::Disable(named) => {
            change(named, &PersonChange { disabled: Some(true), ..PersonChange::default() })?;
        }
        Command::Enable(named) => {
            change(named, &PersonChange { disabled: Some(false), ..PersonChange::default() })?;
        }
        Command::Remove { named, yes } => remove(named, *yes)?,
        Command::Sessions { named, end, end_all, json } => sessions(named, end.as_deref(), *end_all, *json)?,
        Command::Link { named, valid } => {
            let access = named.access()?;
            let person = access.person(&named.place.tenant, &named.name)?;
            let (token, expires) = access.create_link(Some(&person), *valid)?;
            let after = format!("link {} until {}", token.id(), moment::told(expires));
            named.record(&access, "create_link", &person.name, Some(after))?;
            say!("{}", link_behind(token.reveal()));
            how_to_use(expires);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn create(args: &Create) -> Result<()> {
    let (named, access) = (&args.named, args.named.place.access());
    let is_first = access.table().is_open();
    let password = if args.password { Some(read_password(&named.name)?.hash()?) } else { None };
    let has_password = password.is_some();
    let person = access.create_person(NewPerson {
        tenant: named.place.tenant.clone(),
        name: named.name.clone(),
        display_name: args.display_name.clone(),
        role: args.role,
        kbs: (!args.kb.is_empty()).then(|| args.kb.clone()),
        sign_in: if args.provider { SignIn::Provider } else { SignIn::Password },
        password,
        subject: None,
    })?;
    named.record(&access, "create_person", &person.name, Some(state_of(&person)))?;
    let link = if has_password || args.provider {
        None
    } else {
        Some(access.create_link(Some(&person), crate::server::INVITED)?)
    };
    if args.json {
        let invitation = link.as_ref().map(|(token, expires)| {
            json!({"link": link_behind(token.reveal()), "expires_at": moment::told(*expires)})
        });
        say!("{}", json!({"person": person, "invitation": invitation}));
    } else if let Some((token, expires)) = &link {
        say!("{}", link_behind(token.reveal()));
        how_to_use(*expires);
    }
    if is_first {
        eprintln!(
            "{}",
            either!(
                "this is the first person: servers on this data directory let nobody in from now on who is not known; pages and bots that ask need a key: `zhida key create --role ask`",
                "这是第一个人员：使用这个数据目录的服务从现在起只接待认识的人；提问的网页和机器人需要密钥：zhida key create --role ask"
            )
        );
    }
    Ok(())
}

fn how_to_use(expires: i64) {
    let until = in_china(&moment::told(expires));
    eprintln!(
        "{}",
        either!(
            "give it to them behind the server's address (https://…/setup#…); it works once, until {until}, and is not shown again",
            "请连同服务地址一起交给本人（https://…/setup#…）；链接只能用一次，有效期到 {until}，不会再次显示"
        )
    );
}

/// Reads a password that somebody of a name may have.
fn read_password(name: &str) -> Result<Password> {
    let failed = |e| Error::io("read the password from", "standard input", e);
    let input = std::io::stdin();
    let text = if input.is_terminal() {
        let terminal = Term::stderr();
        let ask = |prompt: String| {
            terminal.write_str(&prompt).and_then(|()| terminal.read_secure_line()).map_err(failed)
        };
        let first = ask(either!("New password: ", "新密码："))?;
        if ask(either!("Once more: ", "再输入一次："))? != first {
            return Err(Error::Refused(either!(
                "the two differ; nothing was changed",
                "两次输入不一致，没有做任何改动"
            )));
        }
        first
    } else {
        let mut line = String::new();
        input.lock().read_line(&mut line).map_err(failed)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    Password::chosen(&text, name).map_err(|weak: Weak| {
        let chinese = weak.in_chinese();
        Error::Refused(either!("{weak}", "{chinese}"))
    })
}

fn change(named: &Named, change: &PersonChange) -> Result<()> {
    let access = named.access()?;
    let (_, after) = access.change_person(&named.place.tenant, &named.name, change)?;
    named.record(&access, "change_person", &after.name, Some(state_of(&after)))?;
    say!("{}", line(&after));
    Ok(())
}

fn remove(named: &Named, yes: bool) -> Result<()> {
    let access = named.access()?;
    let person = access.person(&named.place.tenant, &named.name)?;
    let what = either!("this removes {} for good.", "这会永久删除人员 {}。", person.name);
    if !yes && !asked(&what)? {
        return Err(Error::Refused(either!(
            "{what} Nothing was removed; say --yes if that is meant",
            "{what}没有删除任何内容；确实要删除，请加 --yes"
        )));
    }
    access.remove_person(&named.place.tenant, &person.id)?;
    named.record(&access, "remove_person", &person.name, Some("removed".into()))
}

fn sessions(named: &Named, only: Option<&str>, all: bool, as_json: bool) -> Result<()> {
    let access = named.access()?;
    let person = access.person(&named.place.tenant, &named.name)?;
    if all || only.is_some() {
        let ended = access.end_sessions(&person.id, only, None)?;
        if let (Some(id), 0) = (only, ended) {
            return Err(Error::Absent { what: "session", name: id.to_owned() });
        }
        named.record(&access, "end_sessions", &person.name, Some(format!("{ended} sessions ended")))?;
        eprintln!("{}", either!("{ended} sessions ended", "已结束 {ended} 个登录"));
        return Ok(());
    }
    let sessions = access.sessions(&person.id)?;
    if as_json {
        say!("{}", serde_json::to_string_pretty(&sessions).map_err(|e| Error::internal("sessions", e))?);
        return Ok(());
    }
    let columns =
        either!("id\tsince\tlast seen\tends\tfrom\tprogram", "编号\t登录时间\t最近活动\t到期\t来自\t程序");
    let at = |moment: i64| in_china(&moment::told(moment));
    let rows = sessions.iter().map(|one| {
        let (since, seen, end) = (at(one.created_at), at(one.seen_at), at(one.expires_at));
        format!("{}\t{since}\t{seen}\t{end}\t{}\t{}", one.id, one.source, one.agent)
    });
    list(&columns, rows);
    Ok(())
}

fn people(place: &Place, as_json: bool) -> Result<()> {
    let people = place.known()?.people(&place.tenant)?;
    if as_json {
        say!("{}", serde_json::to_string_pretty(&people).map_err(|e| Error::internal("people", e))?);
        return Ok(());
    }
    let columns = either!(
        "name\trole\tknowledge bases\tsigns in\tlast signed in\tdisplay name",
        "登录名\t角色\t知识库\t登录方式\t最近登录\t显示名"
    );
    list(&columns, people.iter().map(line));
    Ok(())
}

fn line(person: &PersonRecord) -> String {
    let state = match (person.disabled_at, person.sign_in, person.has_password) {
        (Some(_), _, _) => either!("disabled", "已停用"),
        (None, SignIn::Password, false) => either!("invited", "已邀请"),
        (None, SignIn::Password, true) => either!("by password", "密码登录"),
        (None, SignIn::Provider | SignIn::Mapped, _) => either!("by provider", "统一登录"),
    };
    let kbs = person.kbs.as_ref().map_or_else(|| "*".to_owned(), |kbs| kbs.join(","));
    let seen = person.signed_in_at.map_or_else(|| "-".to_owned(), |at| in_china(&moment::told(at)));
    format!("{}\t{}\t{kbs}\t{state}\t{seen}\t{}", person.name, person.role.name(), person.display_name)
}
