//! Two nodes and a depot, in a folder or where the records are: what may be done to them?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, RunQueryDsl, SqliteConnection};
use serde_json::json;
use tempfile::TempDir;
use zhida::depot::Depot;
use zhida::kb::formats;
use zhida::store::{Cluster, Shelf, Store};

use crate::support::{stderr, stdout, zhida};

pub const KB: &str = "售后";
pub const HOUR: Duration = Duration::from_secs(3_600);

/// Two nodes with the same records, each with its own folders, and a depot.
pub struct Nodes {
    pub folder: TempDir,
    pub depot: Depot,
    /// Whether the depot is where the records are, and not a folder.
    pub is_in_records: bool,
}

/// What somebody does to an object of a depot.
#[derive(Debug, Clone, Copy)]
pub enum Harm {
    Shortened,
    Removed,
    Changed,
    Emptied,
}

impl Nodes {
    /// With a depot in a folder, and with one where the records are: in a file, or on the
    /// server of this run.
    pub fn each() -> Vec<Self> {
        if crate::support::database(Path::new("/")).is_some() {
            return vec![Self::in_records()];
        }
        vec![Self::in_folder(), Self::in_records()]
    }

    /// Those that commands may be given to: they know no depot beside records in files.
    pub fn commanded() -> Self {
        if std::env::var_os(crate::support::DATABASES).is_some() {
            return Self::in_records();
        }
        Self::in_folder()
    }

    pub fn in_folder() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("depot")).expect("made");
        let depot = Depot::at(&url(folder.path()), &[]).expect("a depot");
        Self { folder, depot, is_in_records: false }.begun()
    }

    pub fn in_records() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("a");
        let depot = at(&root, &root).with_releases_in_records().depot().expect("one").clone();
        Self { folder, depot, is_in_records: true }.begun()
    }

    fn begun(self) -> Self {
        self.save(&[("cod", "支持货到付款")]);
        fs::create_dir(self.root("b")).expect("made");
        // The records are one file, as they would be one server.
        for file in ["zhida.db", "releases.db"] {
            std::os::unix::fs::symlink(self.root("a").join(file), self.root("b").join(file)).expect("linked");
        }
        self
    }

    pub fn root(&self, node: &str) -> PathBuf {
        self.folder.path().join(node)
    }

    pub fn store(&self, node: &str) -> Store {
        if self.is_in_records {
            return at(&self.root(node), &self.root("a")).with_releases_in_records();
        }
        Store::at(self.root(node)).with_depot(self.depot.clone())
    }

    pub fn shelf(&self, node: &str) -> Shelf {
        self.store(node).shelf_to_create(KB).expect("a sound name")
    }

    pub fn save(&self, answers: &[(&str, &str)]) {
        let lines: Vec<String> = answers
            .iter()
            .map(|(id, answer)| {
                json!({"id": id, "question": format!("{id}怎么办理"), "answer": answer}).to_string()
            })
            .collect();
        let base = formats::read_jsonl("t", lines.join("\n").as_bytes()).expect("sound");
        self.shelf("a").save_draft(&base).expect("saved");
    }

    pub fn publish(&self) -> u32 {
        self.shelf("a").publish(None, &|_, _, _| ()).expect("published").number
    }

    pub fn answer(&self, node: &str) -> String {
        let shelf = self.shelf(node);
        let release = shelf.open_current(None).expect("opens");
        release.entries()[0].answer.clone()
    }

    /// Asks or changes the tables of a depot that is where the records are.
    fn sql(&self, sql: &str) -> i64 {
        if let Some(address) = crate::support::database(&self.root("a")) {
            let told = crate::support::psql(&address, &format!("SET search_path TO zhida_releases; {sql}"));
            return told.trim().parse().unwrap_or_default();
        }
        #[derive(diesel::QueryableByName)]
        struct Told {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            number: i64,
        }
        let place = self.root("a").join("releases.db");
        let mut file = SqliteConnection::establish(place.to_str().expect("UTF-8")).expect("opens");
        file.batch_execute("PRAGMA busy_timeout = 10000").expect("set");
        if sql.starts_with("SELECT") {
            return diesel::sql_query(sql).get_result::<Told>(&mut file).expect("told").number;
        }
        file.batch_execute(sql).expect("done");
        0
    }

    /// How many objects lie below a place of the depot; everything without one.
    pub fn count(&self, below: &str) -> usize {
        if !self.is_in_records {
            return files(&self.root("depot").join(below)).len();
        }
        let number = match below {
            "" => self.sql("SELECT (SELECT count(*) FROM objects) + (SELECT count(*) FROM pieces) AS number"),
            _ => self.sql(&format!("SELECT count(*) AS number FROM objects WHERE place LIKE '{below}/%'")),
        };
        usize::try_from(number).expect("a count")
    }

    /// The SHA-256 of a file of a release.
    pub fn digest(&self, number: u32, file: &str) -> String {
        let manifest = self.shelf("a").manifest(number).expect("a manifest");
        manifest.files[file].sha256.clone()
    }

    /// Does harm to the blob of that name.
    pub fn harm(&self, sha256: &str, harm: Harm) {
        let place = format!("blobs/{}/{sha256}", &sha256[..2]);
        if self.is_in_records {
            let at = format!("WHERE place = '{place}'");
            let of = format!("WHERE writing = (SELECT writing FROM objects {at})");
            let zeros = match crate::support::database(&self.root("a")) {
                Some(_) => "decode(repeat('00', length(content)), 'hex')",
                None => "zeroblob(length(content))",
            };
            self.sql(&match harm {
                Harm::Shortened => format!("UPDATE objects SET bytes = bytes / 2 {at}"),
                Harm::Removed => format!("DELETE FROM objects {at}"),
                Harm::Changed => format!("UPDATE pieces SET content = {zeros} {of}"),
                Harm::Emptied => format!("DELETE FROM pieces {of}; UPDATE objects SET bytes = 0 {at}"),
            });
            return;
        }
        let blob = self.root("depot").join(place);
        let mut bytes = fs::read(&blob).expect("read");
        match harm {
            Harm::Removed => return fs::remove_file(blob).expect("gone"),
            Harm::Shortened => bytes.truncate(bytes.len() / 2),
            Harm::Changed => bytes[0] ^= 1,
            Harm::Emptied => bytes.clear(),
        }
        fs::write(blob, bytes).expect("written");
    }

    /// Lets everything in the depot be older than it is.
    pub fn age(&self, by: Duration) {
        if self.is_in_records {
            for table in ["objects", "pieces"] {
                self.sql(&format!("UPDATE {table} SET written_at = written_at - {}", by.as_millis()));
            }
            return;
        }
        for path in files(&self.root("depot")) {
            let file = fs::File::options().append(true).open(path).expect("a file");
            file.set_modified(SystemTime::now() - by).expect("set");
        }
    }

    /// How old the blob of that name is.
    pub fn age_of(&self, sha256: &str) -> Duration {
        let place = format!("blobs/{}/{sha256}", &sha256[..2]);
        let at = if self.is_in_records {
            let at = self.sql(&format!("SELECT written_at AS number FROM objects WHERE place = '{place}'"));
            SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at).expect("after 1970"))
        } else {
            fs::metadata(self.root("depot").join(place)).and_then(|data| data.modified()).expect("a time")
        };
        at.elapsed().unwrap_or_default()
    }

    /// Leaves what a writer leaves who was killed three hours ago.
    pub fn leave_half(&self) {
        if self.is_in_records {
            let content =
                if crate::support::database(&self.root("a")).is_some() { "'\\x00'" } else { "x'00'" };
            self.sql(&format!("INSERT INTO pieces VALUES ('abcd', 0, 1, {content}, 0)"));
            return;
        }
        let left = self.root("depot/blobs/ab");
        fs::create_dir_all(&left).expect("made");
        fs::write(left.join("abcd#1"), "half").expect("written");
        fs::File::options()
            .append(true)
            .open(left.join("abcd#1"))
            .and_then(|f| f.set_modified(SystemTime::now() - HOUR * 3))
            .expect("set");
    }

    pub fn command(&self, node: &str, args: &[&str]) -> Command {
        let mut command = zhida();
        command.args(args).arg("--data").arg(self.root(node));
        match crate::support::database(&self.root("a")).filter(|_| self.is_in_records) {
            // Without a word about releases: they go there by themselves.
            Some(address) => command.env("ZHIDA_DATABASE", address),
            None => command.args(["--releases", &url(self.folder.path())]),
        };
        command.env("ZHIDA_MODEL", "none").env("ZHIDA_AUTHOR", "tester");
        command
    }

    #[track_caller]
    pub fn sound(&self, node: &str, args: &[&str]) -> String {
        let output = self.command(node, args).output().expect("starts");
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        stdout(&output)
    }
}

/// A data directory whose records are those of another one, where this run has them.
pub fn at(root: &Path, records: &Path) -> Store {
    let store = Store::at(root);
    match crate::support::database(records) {
        Some(address) => store.on(Cluster::at(&address).expect("an address")),
        None => store,
    }
}

pub fn url(folder: &Path) -> String {
    format!("file://{}", folder.join("depot").display())
}

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut all) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = open.pop() {
        for item in fs::read_dir(folder).into_iter().flatten().flatten() {
            let into = if item.path().is_dir() { &mut open } else { &mut all };
            into.push(item.path());
        }
    }
    all.sort();
    all
}

/// What lies in a folder, by relative name.
pub fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let named = |path: PathBuf| {
        let bytes = fs::read(&path).expect("read");
        (path.strip_prefix(folder).expect("below").to_path_buf(), bytes)
    };
    files(folder).into_iter().map(named).collect()
}
