//! `zhida serve`: answers over HTTP.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::parser::ValueSource;
use ipnet::IpNet;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use super::{Common, candidates, language, notify, progress, provider, shutdown};
use crate::access::DEFAULT_TENANT;
use crate::access::chain::Deed;
use crate::cli::ground;
use crate::decide::policy::DEFAULT_MAX_WRONG;
use crate::desk;
use crate::disk::open_many;
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::kb::formats;
use crate::server::{
    self, Admission, Certificate, Exposure, Flag, FlagSource, Openness, Origin, Proxies, ProxyHeader,
    Registry, Server, Share, Sharing, Traces,
};
use crate::store::{Compared, Lasting, Signature, Store, Which};
use crate::trust::Authorities;

/// The knowledge base of the first start.
const DEMO: &str = "demo";
const DEMO_ENTRIES: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/corpora/shop.kb.jsonl"));

/// What is logged unless RUST_LOG says otherwise: tantivy tells every merge.
const LOGGED: &str = "warn,zhida=info";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// The address to listen on; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", env = "ZHIDA_LISTEN")]
    listen: String,
    /// Accept at most this share of wrong answers among those given, in knowledge bases that have no goal of their own.
    #[arg(long, value_name = "SHARE", value_parser = super::share, default_value_t = DEFAULT_MAX_WRONG)]
    max_wrong: f64,
    /// The knowledge base of requests that name none; it must be there [default: demo, or the only one].
    #[arg(long, value_name = "NAME")]
    default_kb: Option<String>,
    /// Answer only, and change nothing in the data directory: a replica. A directory
    /// that cannot be written is served in this way without being told so.
    #[arg(long)]
    read_only: bool,
    /// Let the web pages of this origin ask, such as https://shop.example; may be
    /// repeated, `*` for all [default: only zhida's own page].
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Vec<Origin>,
    /// Listen on other addresses than this machine's own without any key: whoever
    /// reaches the port may then ask, change and delete everything.
    #[arg(long)]
    insecure: bool,
    /// Print a link that makes the first admin, once; the first start does so by itself.
    #[arg(long)]
    setup_link: bool,
    /// After so many minutes without a request somebody who signed in has to do so again.
    #[arg(long, value_name = "MINUTES", default_value_t = 120, value_parser = clap::value_parser!(u32).range(5..))]
    session_minutes: u32,
    /// After so many hours somebody who signed in has to do so again in any case.
    #[arg(long, value_name = "HOURS", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=8760))]
    session_hours: u32,
    #[command(flatten)]
    provider: provider::Args,
    #[command(flatten)]
    candidates: candidates::Args,
    /// Believe proxies of this network, such as 10.0.0.0/8, when they say for whom they
    /// ask; may be repeated [default: none].
    #[arg(long, value_name = "CIDR")]
    trust_proxy: Vec<IpNet>,
    /// The header in which they say so.
    #[arg(long, value_name = "HEADER", default_value = "x-forwarded-for", value_parser = ["x-forwarded-for", "forwarded"], requires = "trust_proxy")]
    proxy_header: String,
    /// Encrypt connections with this certificate chain (PEM); it is read anew when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "ZHIDA_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "ZHIDA_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Send spans of requests and of the stages of questions to this collector, as OTLP
    /// over HTTP (protobuf), such as http://collector:4318.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp: Option<String>,
    /// Questions to work on at a time [default: the number of cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    max_in_flight: Option<u16>,
    /// How long a question may wait for its turn in a burst; one that would wait
    /// longer is turned away at once with 429, and under lasting overload one that
    /// would wait longer than a tenth of it.
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    queue_ms: u64,
    /// How long a question may take, waiting included, before it is given up with 503.
    #[arg(long, value_name = "MS", default_value_t = 4_000, value_parser = clap::value_parser!(u64).range(1..))]
    deadline_ms: u64,
    /// After so many minutes of silence a conversation begins anew.
    #[arg(long, value_name = "MINUTES", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    conversation_minutes: u32,
    /// A conversation that waits for a person goes back to the robot after so many minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    handoff_minutes: u32,
    /// How many conversations are kept; beyond that the oldest go.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    conversations: u32,
    /// How many days what was said in conversations is kept; 0 for as long as there is room.
    #[arg(long, value_name = "DAYS", default_value_t = 180)]
    conversation_days: u32,
    /// Where the other nodes on the same --database reach this one, such as
    /// http://10.0.0.5:8080: each knowledge base is then held by some of them, and any node
    /// sends on what customers ask of the others; https:// with --tls-cert [default: this node
    /// holds everything].
    #[arg(long, value_name = "URL", env = "ZHIDA_NODE_URL")]
    node_url: Option<String>,
    /// Believe the certificates of other nodes that an authority in this file (PEM) has
    /// issued, and no others [default: those that browsers believe].
    #[arg(long, value_name = "FILE", env = "ZHIDA_NODE_CA", requires = "node_url")]
    node_ca: Option<PathBuf>,
    /// How many nodes hold each knowledge base.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    replicas: u16,
    /// How much memory open knowledge bases may take, in MiB; beyond that the ones that nobody
    /// has asked for the longest are closed until somebody does [default: no limit].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    memory_mib: Option<u32>,
    /// Go on taking requests for so many seconds after the signal to stop, so that balancers
    /// and other nodes, which learn of it at once by /readyz, find time to send no more
    /// [default: 2 with --database or --node-url, else 0]. A second signal ends at once.
    #[arg(long, value_name = "SECONDS", env = "ZHIDA_SHUTDOWN_DELAY", value_parser = clap::value_parser!(u16).range(..=600))]
    shutdown_delay: Option<u16>,
    /// How to log [default: text on a terminal, else json].
    #[arg(long, value_parser = ["text", "json"])]
    log: Option<String>,
}

/// All flags of the command with what is in force, for whoever runs the server to see.
pub(super) fn flags(matches: &clap::ArgMatches) -> Vec<Flag> {
    let command = <super::Cli as clap::CommandFactory>::command();
    let serve = command.find_subcommand("serve").cloned().unwrap_or_default();
    let all = serve.get_arguments().chain(command.get_arguments());
    let told = |argument: &clap::Arg| {
        let name = argument.get_long()?;
        let id = argument.get_id().as_str();
        let raw = matches.try_get_raw(id).ok().flatten();
        let values = raw.into_iter().flatten().map(|value| without_secret(&value.to_string_lossy()));
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => FlagSource::Flag,
            Some(ValueSource::EnvVariable) => FlagSource::Environment,
            _ => FlagSource::Default,
        };
        let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
        Some(Flag { name: format!("--{name}"), values: values.collect(), source, variable })
    };
    all.filter_map(told).collect()
}

/// An address without the name and password that may stand before its host, and without
/// what follows it where that names a password.
fn without_secret(value: &str) -> String {
    let value = match value.split_once('?') {
        Some((address, rest)) if address.contains("://") && rest.contains("password=") => {
            format!("{address}?…")
        }
        _ => value.to_owned(),
    };
    let Some((scheme, rest)) = value.split_once("://") else { return value };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://…{}", &rest[at..]),
        None => value,
    }
}

pub(crate) fn run(args: &Args, flags: Vec<Flag>) -> Result<ExitCode> {
    start_log(args.log.as_deref());
    open_many();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let in_flight = args.max_in_flight.map_or(cores, usize::from);
    // Conversations on a server have permits of their own.
    let talking = if args.common.store().is_on_server() { in_flight } else { 0 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // One for every permit, three for looking after releases and tenants, one to open
        // what was asked for, one for the metrics.
        .max_blocking_threads(
            in_flight + talking + server::AUTHORS + server::DESKS + server::PASSWORDS + server::PROVIDERS + 5,
        )
        .build()
        .map_err(|e| Error::internal("runtime", e))?;
    let result = runtime.block_on(serve(args, flags, in_flight));
    // What still runs has had its time.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn serve(args: &Args, flags: Vec<Flag>, in_flight: usize) -> Result<()> {
    // Before all else: a port that is taken should not cost the time that
    // publishing takes.
    let unusable = |e: std::io::Error| cannot_listen(&args.listen, &e);
    let listener = TcpListener::bind(&args.listen).await.and_then(TcpListener::into_std).map_err(unusable)?;
    let address = listener.local_addr().map_err(|e| cannot_listen(&args.listen, &e))?;
    let store = if args.read_only {
        args.common.sealing(ground::store(&args.common.data).read_only())
    } else {
        args.common.store()
    };
    let certificate = match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => Some(Certificate::read(chain, key)?),
        _ => None,
    };
    let mut stop = Box::pin(shutdown::asked()?);
    if store.is_on_server() {
        let waiting = is_database_there(&store, &mut stop);
        if !server::meanwhile(&listener, certificate.as_ref(), waiting).await?? {
            return Ok(());
        }
    }
    // A key that is missing is told now, and not when the first customer waits.
    store.seal_secrets()?;
    // So is who may come in: a table that cannot be read would look like an open door.
    store.access().tenants()?;
    refuse_open_doors(args, &store, address)?;
    let scheme = if certificate.is_some() { "https" } else { "http" };
    let candidates = args.candidates.engine()?;
    let models = args.common.releases()?;
    // Held until everything is open, so that the first start loads it once.
    let encoder = models.for_building()?;
    let default_kb = args.default_kb.as_deref().unwrap_or(DEMO);
    let sharing = Sharing {
        node_url: args.node_url.clone(),
        believed: believed(args)?,
        replicas: usize::from(args.replicas),
        memory: args.memory_mib.map(|mib| u64::from(mib) << 20),
    };
    let share = Arc::new(Share::new(&store, &sharing)?);
    let registry = Registry::new(store.clone(), models, args.max_wrong, default_kb)
        .with_talk(talk(args))
        .with_share(share)
        .with_candidates(candidates);
    let admission = Admission::new(
        in_flight,
        Duration::from_millis(args.queue_ms),
        Duration::from_millis(args.deadline_ms),
    );
    let exposure = if args.insecure { Exposure::Anybody } else { Exposure::Machine };
    let header =
        if args.proxy_header == "forwarded" { ProxyHeader::Forwarded } else { ProxyHeader::default() };
    let lasting = Lasting {
        idle: i64::from(args.session_minutes) * 60_000,
        longest: i64::from(args.session_hours) * 3_600_000,
    };
    let traces = args.otlp.as_deref().filter(|otlp| !otlp.is_empty()).map(Traces::to).transpose()?;
    let openness = Openness {
        origins: args.cors_origin.clone(),
        exposure,
        certificate,
        proxies: Proxies {
            networks: args.trust_proxy.clone(),
            header,
            public_url: args.provider.public_url().map(str::to_owned),
        },
        lasting,
        provider: args.provider.settings()?,
        traces,
        flags,
        shutdown_delay: shutdown_delay(args),
    };
    let server = Server::with(Arc::new(registry), admission, openness);
    let wanted = args.default_kb.clone();
    let asked_for_link = args.setup_link;
    let prepare = move |registry: &Registry| {
        let place = store.root().display();
        // What cannot even be listed would look as if nothing were there, keys included.
        if let Err(e) = std::fs::read_dir(store.root())
            && e.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Error::io("read", store.root(), e));
        }
        if is_open_to_all(store.root()) {
            eprintln!(
                "zhida: {}",
                either!(
                    "every user of this machine may read {place}, where customers' words are kept; `chmod 700 {place}` keeps it yours",
                    "本机所有用户都能读 {place}，里面存着顾客说的话；chmod 700 {place} 后只有您能读"
                )
            );
        }
        match store.writable() {
            Ok(()) => {
                must_exist(&store, wanted.as_deref())?;
                first_start(&store, encoder.clone())?;
            }
            Err(Error::ReadOnly { why, .. }) => {
                eprintln!(
                    "zhida: {}",
                    either!(
                        "{place} is read-only ({why}): questions are answered, every change is refused",
                        "{place} 只读（{why}）：照常回答，但一切改动都会被拒绝"
                    )
                );
                must_exist(&store, wanted.as_deref())?;
            }
            Err(e) => return Err(e),
        }
        // A data directory that cannot be read is for the operator to mend; a release
        // that does not open is put right while the server looks on.
        store.heads()?;
        if let Err(error) = registry.open_all() {
            tracing::error!(%error, "no knowledge base answers");
            eprintln!(
                "zhida: {}",
                either!(
                    "no knowledge base answers: {}; the server goes on, is not ready (/readyz says why), and looks again by itself",
                    "没有知识库能回答：{}；服务继续运行，但尚未就绪（原因见 /readyz），会自动重试",
                    language::error(&error)
                )
            );
        }
        for (kb, _, message) in registry.view().warnings() {
            eprintln!("zhida: {kb}: {message}");
        }
        if !registry.is_ready() && registry.view().warnings().is_empty() {
            eprintln!(
                "zhida: {}",
                either!(
                    "nothing is published in {place} yet; run `zhida kb publish`, the server picks it up",
                    "{place} 里还没有发布过任何知识库；请运行 zhida kb publish，服务会自动用上"
                )
            );
        }
        if let Err(error) = invite_first_admin(&store, asked_for_link, &format!("{scheme}://{address}")) {
            let why = language::error(&error);
            eprintln!(
                "zhida: {}",
                either!("no link for the first admin: {why}", "没能生成首位管理员的链接：{why}")
            );
        }
        eprintln!(
            "zhida: {}",
            either!("listening on {scheme}://{address}", "服务已启动，listening on {scheme}://{address}")
        );
        notify::ready();
        if store.depot().is_some() && store.writable().is_ok() {
            // It may be far away, and no customer waits for it.
            std::thread::spawn(move || put_served(&store));
        }
        Ok(())
    };
    server::run(TcpListener::from_std(listener).map_err(unusable)?, server, prepare, stop).await
}

/// Whether a folder may be read by every user of the machine.
fn is_open_to_all(folder: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o005 == 0o005)
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        false
    }
}

/// After so many seconds a database server that could not be reached is asked again, then
/// after twice as many, …
const ASK_AGAIN: u64 = 1;

/// … and never after more than these.
const ASK_AGAIN_AT_LAST: u64 = 30;

/// Waits until the server of the records is there: nodes and their database start in any
/// order. `false` when somebody asks to stop before it is.
async fn is_database_there(store: &Store, stop: &mut (impl Future<Output = ()> + Unpin)) -> Result<bool> {
    let mut seconds = ASK_AGAIN;
    loop {
        let asked = store.clone();
        let asking = async {
            let reached = tokio::task::spawn_blocking(move || asked.reach_server()).await;
            let away = reached.map_err(|e| Error::internal("start", e))??;
            if let Some(error) = &away {
                tracing::warn!(%error, seconds, "the database server is not there; it is asked again in so many seconds");
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            Ok::<_, Error>(away.is_none())
        };
        tokio::select! {
            reached = asking => if reached? { return Ok(true) },
            () = &mut *stop => {
                tracing::info!("asked to stop before the database server was there");
                return Ok(false);
            }
        }
        seconds = (seconds * 2).min(ASK_AGAIN_AT_LAST);
    }
}

/// Who may say that another node is who it says.
fn believed(args: &Args) -> Result<Authorities> {
    let is_encrypted = |url: &String| url.to_ascii_lowercase().starts_with("https:");
    if args.tls_cert.is_some() && args.node_url.as_ref().is_some_and(|url| !is_encrypted(url)) {
        return Err(Error::Refused(
            "with --tls-cert this node speaks TLS to the others too: give --node-url as https://…, with a host that stands in the certificate"
                .to_owned(),
        ));
    }
    let Some(file) = &args.node_ca else { return Ok(Authorities::of_the_world()) };
    let pem = std::fs::read(file).map_err(|e| Error::io("read", file, e))?;
    let wrong = |why| Error::Refused(format!("--node-ca {}: it {why}", file.display()));
    Authorities::none().and(&pem).map_err(wrong)
}

/// How long requests are taken after the signal to stop: one of several servers has a
/// balancer before it, which looks about once a second.
fn shutdown_delay(args: &Args) -> Duration {
    let is_one_of_several = args.node_url.is_some() || args.common.store().is_on_server();
    let seconds = args.shutdown_delay.unwrap_or(if is_one_of_several { 2 } else { 0 });
    Duration::from_secs(u64::from(seconds))
}

/// How conversations are kept.
fn talk(args: &Args) -> desk::Settings {
    const MINUTE: i64 = 60 * 1000;
    desk::Settings {
        expires: i64::from(args.conversation_minutes) * MINUTE,
        patience: i64::from(args.handoff_minutes) * MINUTE,
        most: i64::from(args.conversations),
        keep: (args.conversation_days > 0).then(|| i64::from(args.conversation_days) * 24 * 60 * MINUTE),
        ..desk::Settings::default()
    }
}

/// How long the first admin's link works, in milliseconds.
const FIRST_ADMIN: i64 = 24 * 3_600_000;

/// Prints a link that makes the first admin: by itself at the first start, later
/// when it is asked for, and never where somebody is known already.
fn invite_first_admin(store: &Store, is_wanted: bool, server: &str) -> Result<()> {
    let access = store.access();
    if store.writable().is_err() || !is_wanted && (!access.table().is_open() || access.was_set_up()?) {
        return Ok(());
    }
    let (token, _) = access.create_link(None, FIRST_ADMIN)?;
    let deed = Deed {
        name: "zhida".to_owned(),
        from: "cli".to_owned(),
        action: "create_link".to_owned(),
        object: "the first admin".to_owned(),
        after: Some(format!("link {}", token.id())),
        ..Deed::default()
    };
    access.record(DEFAULT_TENANT, deed)?;
    eprintln!(
        "zhida: {}",
        either!(
            "open {server}{} to become the first admin; it works once, for a day. From then on everybody needs a key or a name",
            "打开 {server}{} 成为首位管理员；链接一天内有效，只能用一次。此后所有人都要有密钥或账号",
            server::link_behind(token.reveal())
        )
    );
    Ok(())
}

/// Refuses to let in everybody who reaches the port, unless that is meant. Without
/// keys only the own machine is listened to, and that is said.
fn refuse_open_doors(args: &Args, store: &Store, address: SocketAddr) -> Result<()> {
    if !store.access().table().is_open() {
        return Ok(());
    }
    let data = args.common.data.display();
    if store.access().has_lost_its_records()? && !args.insecure {
        return Err(Error::Refused(either!(
            "{data} has no keys, no people and no record of changes, although audit.heads notes some: access.db is missing or empty. Put it back, or restore a backup; if everything is to begin anew without keys, remove audit.heads",
            "{data} 里没有密钥、人员和操作记录，而 audit.heads 说明曾经有过：access.db 丢失或为空。请放回原文件，或从备份恢复；确实要不设密钥、从头开始，请删除 audit.heads"
        )));
    }
    if args.insecure {
        eprintln!(
            "zhida: {}",
            either!(
                "without keys: whoever reaches {address} may ask, change and delete everything (--insecure)",
                "未设密钥：任何能连到 {address} 的人都可以提问、修改和删除全部内容（--insecure）"
            )
        );
        return Ok(());
    }
    if !address.ip().is_loopback() {
        return Err(Error::Refused(either!(
            "there is no key yet, and whoever reaches {address} could change and delete everything; make one with `zhida key create --data {data} --role admin`, or a person with `zhida person create --data {data} --role admin NAME`, or listen on 127.0.0.1, or say --insecure if that is meant",
            "还没有密钥，任何能连到 {address} 的人都能修改和删除全部内容；请先生成密钥：zhida key create --data {data} --role admin，或建立账号：zhida person create --data {data} --role admin 姓名，或只监听 127.0.0.1；确实要这样，请加 --insecure"
        )));
    }
    eprintln!(
        "zhida: {}",
        either!(
            "without keys: only programs of this machine are answered; `zhida key create --data {data} --role admin` makes the first key, and then everybody needs one",
            "未设密钥：只有本机的程序能用；zhida key create --data {data} --role admin 生成第一个密钥，此后所有人都要有密钥"
        )
    );
    Ok(())
}

/// Refuses a default knowledge base that is not there, which could only be a
/// slip: every request without `kb` would fail.
fn must_exist(store: &Store, wanted: Option<&str>) -> Result<()> {
    let Some(wanted) = wanted else { return Ok(()) };
    let names = store.names()?;
    // An empty directory gets the demo.
    if names.iter().any(|name| name == wanted) || (names.is_empty() && wanted == DEMO) {
        return Ok(());
    }
    let unknown = Error::Unknown { what: "knowledge base", name: wanted.to_owned(), known: names };
    let unknown = language::error(&unknown);
    Err(Error::Refused(either!(
        "--default-kb: {unknown}; import it first, or name another",
        "--default-kb：{unknown}；请先导入，或换一个"
    )))
}

/// Puts what is served into the depot where it is not there yet: it was published before
/// there was one.
fn put_served(store: &Store) {
    match store.put_releases(Which::Served, Compared::Manifest) {
        Ok(all) => {
            for one in all.iter().filter(|one| one.kept.is_some()) {
                tracing::info!(release = %one.name, "put into the depot");
            }
        }
        Err(error) => tracing::warn!(%error, "what is served may not be in the depot"),
    }
}

/// Publishes the demo knowledge base into an empty data directory, or
/// completes a first start that was interrupted at any point.
fn first_start(store: &Store, encoder: Option<Arc<Encoder>>) -> Result<()> {
    let names = store.names()?;
    if !(names.is_empty() || names == [DEMO]) {
        return Ok(());
    }
    // Who has deleted it does not want it back.
    if store.was_deleted(DEMO)? {
        return Ok(());
    }
    let shelf = store.shelf_to_create(DEMO)?.signed(Signature::of("zhida"));
    if shelf.current()?.is_some() {
        return Ok(());
    }
    let start = Instant::now();
    let demo = formats::read_jsonl("corpora/shop.kb.jsonl", DEMO_ENTRIES.as_bytes())?;
    let draft = shelf.draft()?;
    if draft.entries().is_empty() {
        let (count, place) = (demo.entries().len(), store.root().display());
        eprintln!(
            "zhida: {}",
            either!(
                "first start in {place}: importing the demo knowledge base ({count} entries)",
                "首次在 {place} 启动：导入演示知识库（{count} 个条目）"
            )
        );
        shelf.save_draft(&demo)?;
    } else if draft != demo {
        // Somebody imported their own under this name; publishing it is theirs to do.
        return Ok(());
    }
    eprintln!(
        "zhida: {}",
        either!(
            "publishing {DEMO}; this takes some seconds, and only once",
            "正在发布 {DEMO}，需要几秒钟，只有这一次"
        )
    );
    let bars = progress::Bars::or_lines();
    let published = match shelf.publish(encoder, &|stage, done, total| bars.show(stage, done, total)) {
        Ok(published) => published,
        // Several that share the records may start at the same moment, and one publishes.
        Err(Error::Refused(why)) => {
            drop(bars);
            eprintln!(
                "zhida: {}",
                either!(
                    "this server does not publish {DEMO} ({why}); it serves it as soon as another one has",
                    "本服务不发布 {DEMO}（{why}）；另一个发布后就会用上"
                )
            );
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    drop(bars);
    let seconds = start.elapsed().as_secs_f64();
    eprintln!(
        "zhida: {}",
        either!(
            "published {DEMO} as release {} in {seconds:.1} s",
            "{DEMO} 已发布为版本 {}，用时 {seconds:.1} 秒",
            published.number
        )
    );
    tracing::info!(kb = DEMO, release = published.number, "published the demo knowledge base");
    Ok(())
}

fn cannot_listen(address: &str, error: &std::io::Error) -> Error {
    let advice = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            either!(
                "another process has this port; stop it, or choose another port with `--listen 127.0.0.1:8081` (port 0 takes a free one)",
                "端口被另一个程序占用；请停掉它，或换一个端口，如 --listen 127.0.0.1:8081（端口写 0 则自动挑一个空闲的）"
            )
        }
        std::io::ErrorKind::PermissionDenied => either!(
            "ports below 1024 need rights; choose another with `--listen`",
            "1024 以下的端口需要权限；请用 --listen 换一个"
        ),
        _ => either!(
            "`--listen` takes an address of this machine and a port, such as 127.0.0.1:8080",
            "--listen 要写本机的地址和端口，如 127.0.0.1:8080"
        ),
    };
    Error::Refused(either!(
        "cannot listen on {address}: {error}; {advice}",
        "无法监听 {address}：{error}；{advice}"
    ))
}

fn start_log(form: Option<&str>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let is_terminal = std::io::stderr().is_terminal();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(is_terminal);
    // It fails when a log is installed already, which then goes on.
    let _ = if form.map_or(!is_terminal, |form| form == "json") {
        log.json().flatten_event(true).try_init()
    } else {
        log.try_init()
    };
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn flags_say_what_is_in_force_and_where_it_comes_from() {
        let database = "postgres:///zhida?user=me&password=hush";
        let mut typed = vec!["zhida", "serve", "--listen", "127.0.0.1:0", "--database", database];
        typed.extend(["--otlp", "http://u:p@collector:4318/x@y"]);
        let matches = Cli::command().try_get_matches_from(typed).expect("sound");
        let all = flags(matches.subcommand_matches("serve").expect("it is serve"));
        let flag = |name: &str| all.iter().find(|flag| flag.name == name).expect(name);
        assert_eq!(
            (flag("--listen").source, flag("--listen").values.as_slice()),
            (FlagSource::Flag, ["127.0.0.1:0".to_owned()].as_slice())
        );
        assert_eq!(flag("--otlp").values, ["http://…@collector:4318/x@y"]);
        assert_eq!(flag("--database").values, ["postgres:///zhida?…"]);
        assert_eq!((flag("--queue-ms").source, flag("--queue-ms").values.len()), (FlagSource::Default, 1));
        assert!(flag("--tls-cert").values.is_empty());
        assert_eq!(flag("--tls-cert").variable.as_deref(), Some("ZHIDA_TLS_CERT"));
        // Every flag that the command has is told of.
        let serve = Cli::command().find_subcommand("serve").expect("there").clone();
        let long = serve.get_arguments().filter(|argument| argument.get_long().is_some()).count();
        assert!(all.len() >= long && long > 30, "{} of {long}", all.len());
    }
}
