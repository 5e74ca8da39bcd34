//! What several tests need.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use zhida::access::{Limits, Role};
use zhida::store::{NewKey, Store};

/// The `zhida` binary that cargo built for this test run.
pub fn zhida() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zhida"));
    // Whatever the locale of the machine is.
    command.env("ZHIDA_LANG", "en");
    command
}

/// The address of a server that has the records of every data directory, each in a
/// database of its own, whose name goes in the place of `{}`; unset: they are files.
pub const DATABASES: &str = "ZHIDA_TEST_DATABASES";

/// The address of the database of a data directory, which is made when it is missing.
pub fn database(root: &Path) -> Option<String> {
    let address = std::env::var(DATABASES).ok()?;
    let root = std::path::absolute(root).unwrap();
    // A tenant's directory lies in the one that it belongs to.
    let root = match root.parent() {
        Some(parent) if parent.ends_with("tenants") => parent.parent().unwrap(),
        _ => &root,
    };
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(root, &mut hasher);
    let name = format!("t{:016x}", std::hash::Hasher::finish(&hasher));
    // Two that come first make one.
    static MAKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let one = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = psql(
        &address.replace("{}", "postgres"),
        &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"),
    );
    if known.trim().is_empty() {
        psql(&address.replace("{}", "postgres"), &format!("CREATE DATABASE {name} TEMPLATE template0"));
    }
    drop(one);
    Some(address.replace("{}", &name))
}

/// What a server answers to some SQL.
pub fn psql(address: &str, sql: &str) -> String {
    let output =
        Command::new("psql").args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql, address]).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A new key for all that a tenant has, unless `change` says otherwise, and its id.
pub fn key(store: &Store, tenant: &str, role: Role, change: impl FnOnce(&mut NewKey)) -> (String, String) {
    let mut new = NewKey {
        tenant: tenant.to_owned(),
        role,
        kbs: None,
        name: String::new(),
        expires_at: None,
        limits: Limits::default(),
        origins: Vec::new(),
    };
    change(&mut new);
    let (key, record) = store.access().create_key(new).expect("a key");
    (key.reveal().to_owned(), record.id)
}

/// Waits until something is so, for at most some time.
pub fn until(within: std::time::Duration, what: &str, is_so: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A data directory, with its records where this run has them.
pub fn store(root: impl Into<PathBuf>) -> Store {
    let root = root.into();
    let server = database(&root);
    let store = Store::at(root);
    match server {
        Some(address) => store.on(zhida::store::Cluster::at(&address).unwrap()),
        None => store,
    }
}

/// Tells a command where the records of its data directory are.
pub fn ground(command: &mut Command) -> &mut Command {
    let mut args = command.get_args().skip_while(|arg| *arg != "--data");
    let beside = || command.get_current_dir().map(|folder| folder.join("data"));
    if let Some(root) = args.nth(1).map(PathBuf::from).or_else(beside)
        && let Some(address) = database(&root)
    {
        command.env("ZHIDA_DATABASE", address);
    }
    command
}

/// Runs a command and gives back what it printed.
pub fn run(command: &mut Command) -> Output {
    ground(command).output().expect("the binary starts")
}

/// stdout as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// stderr as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file below the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A knowledge base of a few entries, for tests that need no more.
pub const SMALL_KB: &str = concat!(
    r#"{"id":"refund-time","question":"退款多久到账","similar":["钱什么时候退回来","退的钱几天能到"],"answer":"原路退回，1 到 3 个工作日到账。","topic":"退款"}"#,
    "\n",
    r#"{"id":"address-change","question":"怎么修改收货地址","similar":["地址填错了怎么办","想换个地方收货"],"answer":"发货前可在订单详情里修改。","answers":{"wechat":"点菜单“我的订单”修改。"}}"#,
    "\n",
    r#"{"id":"invoice","question":"怎么开电子发票","similar":["发票在哪里开","要报销需要票"],"answer":"订单完成后在“我的发票”里申请。","keywords":["发票"]}"#,
    "\n",
    r#"{"id":"cod","question":"支持货到付款吗","similar":["能不能收到货再给钱"],"answer":"部分地区支持。","rules":[{"contains":["货到付款"],"without":["退"]}]}"#,
    "\n",
);

/// A knowledge base in `corpora/` and its labelled questions.
pub fn labelled_corpus(name: &str) -> (zhida::kb::KnowledgeBase, Vec<zhida::eval::dataset::LabelledQuery>) {
    let file = |what: &str| repository(&format!("corpora/{name}.{what}.jsonl"));
    let base = zhida::kb::formats::read(&file("kb")).unwrap();
    let queries = zhida::eval::dataset::read(&file("queries"), base.entries()).unwrap().queries;
    (base, queries)
}

/// The release of a knowledge base in `corpora/`, made once per test run.
pub fn corpus(name: &str) -> std::sync::Arc<zhida::release::Release> {
    use std::collections::HashMap;
    use std::sync::{Arc, LazyLock, Mutex};
    use zhida::encoder::Encoder;
    use zhida::release::{Build, Release};

    static ENCODER: LazyLock<Arc<Encoder>> = LazyLock::new(|| Arc::new(Encoder::built_in().unwrap()));
    static RELEASES: LazyLock<Mutex<HashMap<String, Arc<Release>>>> = LazyLock::new(Mutex::default);
    let mut releases = RELEASES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    releases
        .entry(name.to_owned())
        .or_insert_with(|| {
            let base = zhida::kb::formats::read(&repository(&format!("corpora/{name}.kb.jsonl"))).unwrap();
            let build = Build { number: 1, encoder: Some(ENCODER.clone()), ..Build::of(name, &base) };
            Arc::new(build.temporary().unwrap())
        })
        .clone()
}

/// An engine over [`corpus`] with the default goal.
pub fn corpus_engine(name: &str) -> std::sync::Arc<zhida::engine::Engine> {
    std::sync::Arc::new(zhida::engine::Engine::new(corpus(name), zhida::decide::policy::DEFAULT_MAX_WRONG))
}
