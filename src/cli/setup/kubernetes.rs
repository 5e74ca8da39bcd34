//! What do one pod and several have in common, and what not?
//!
//! One file holds the manifests of both. What belongs to some of them only stands there
//! between `#? WHOSE` and `#? end`, so that what is common is written once.

use crate::error::{Error, Result};

const MANIFESTS: &str = include_str!("../packaging/kubernetes.yaml");

/// Where several pods have their releases if nothing else is said: beside their records.
const RECORDS: &str = "database";

/// A folder that they may mount for them.
const FOLDER: &str = "file:///releases";

/// Folders of a pod that are its own.
const TAKEN: [&str; 3] = ["/data", "/tmp", "/secrets"];

/// The manifests for so many pods.
///
/// # Errors
/// When they could not have their releases there.
pub(super) fn manifests(nodes: u16, releases: Option<&str>) -> Result<String> {
    let releases = releases.filter(|url| !url.is_empty());
    if nodes == 1 {
        if let Some(url) = releases {
            return Err(Error::Refused(either!(
                "one pod has its releases on its own disk, and --releases {url} is for several; say how many with --nodes N, or leave --releases (ZHIDA_RELEASES) out",
                "单个 pod 的版本放在自己的磁盘上，--releases {url} 用于多个 pod；请用 --nodes N 说明个数，或去掉 --releases（ZHIDA_RELEASES）"
            )));
        }
        return Ok(of(&["one"]).replace("NODES", "1"));
    }
    let url = releases.unwrap_or(RECORDS);
    let (place, folder) = match url.strip_prefix("file://") {
        Some(folder) => ("folder", folder.trim_end_matches('/')),
        None if url == RECORDS => ("records", ""),
        None => ("bucket", ""),
    };
    let is_known = place != "bucket" || url.starts_with("s3://");
    let is_taken =
        folder.is_empty() || TAKEN.iter().any(|own| format!("{folder}/").starts_with(&format!("{own}/")));
    // It stands between quotation marks, and in a list.
    let is_plain = url.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte));
    if place == "folder" && is_taken || !is_plain || !is_known {
        return Err(Error::Refused(either!(
            "--releases {url} is no place for several pods; leave it out for PostgreSQL, or say s3://BUCKET/PREFIX, or file:///FOLDER with a folder of its own, outside /data, /tmp and /secrets, such as {FOLDER}, in letters, digits and -_.:/+=",
            "--releases {url} 不能供多个 pod 使用；不写就放在 PostgreSQL 里，或用 s3://BUCKET/PREFIX，或 file:///FOLDER：单独的目录，不在 /data、/tmp、/secrets 之内，例如 {FOLDER}，只用字母、数字和 -_.:/+="
        )));
    }
    let mut text = of(&["several", place]);
    if place == "records" {
        text = text.replace(" --releases RELEASES_URL", "");
    }
    Ok(text.replace("NODES", &nodes.to_string()).replace("RELEASES_URL", url).replace("FOLDER", folder))
}

/// What is common, and what belongs to these.
fn of(these: &[&str]) -> String {
    let mut wanted = true;
    let mut kept = String::new();
    for line in MANIFESTS.lines() {
        match line.trim_start().strip_prefix("#? ") {
            Some("end") => wanted = true,
            Some(whose) => wanted = these.contains(&whose),
            None if wanted => kept = kept + line + "\n",
            None => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_belongs_to_somebody_and_ends() {
        let mut open = None;
        for line in MANIFESTS.lines().filter_map(|line| line.strip_prefix("#? ")) {
            match line {
                "end" => assert!(open.take().is_some(), "nothing is open"),
                "one" | "several" | "bucket" | "folder" => {
                    assert!(open.replace(line).is_none(), "{line} within {open:?}");
                }
                other => panic!("nobody knows {other}"),
            }
        }
        assert_eq!(open, None);
    }

    #[test]
    fn one_pod_needs_nothing_and_several_what_they_share() {
        let one = manifests(1, None).expect("one");
        for word in ["postgres", "NODES", "RELEASES", "ZHIDA_NODE_URL", "#?"] {
            assert!(!one.contains(word), "{word}");
        }
        let bucket = manifests(3, Some("s3://bucket/zhida")).expect("three");
        assert!(bucket.contains("replicas: 3\n") && bucket.contains("value: \"s3://bucket/zhida\""));
        assert!(!bucket.contains("persistentVolumeClaim:") && bucket.contains("secretRef:"));
        let folder = manifests(3, Some("file:///releases")).expect("three");
        assert!(folder.contains("mountPath: /releases\n") && !folder.contains("secretRef:"));
        let records = manifests(3, None).expect("three");
        assert!(records.contains("value: \"database\"") && !records.contains("/releases\n"));
        for text in [bucket, folder, records] {
            assert!(
                !text.contains("NODES") && !text.contains("RELEASES_URL") && !text.contains("#?"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        let refused = |nodes, url| manifests(nodes, Some(url)).expect_err(url).to_string();
        assert!(refused(1, "s3://bucket").contains("--nodes"));
        for url in [
            "file:///",
            "file:///data",
            "file:///data/releases",
            "file:///tmp/",
            "file:///a b",
            "s3://b/\"x",
            "none",
        ] {
            assert!(refused(2, url).contains("file:///releases"), "{url}");
        }
        manifests(2, Some("file:///data2")).expect("another folder");
    }
}
