//! What is said of a mailbox when it is added?

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::settings::read;
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
#[group(id = "channel_email")]
pub(super) struct Mail {
    /// E-mail: the address that customers write to and replies come from.
    #[arg(long, value_name = "ADDRESS", required_if_eq("kind", "email"))]
    address: Option<String>,
    /// E-mail: the name beside the address.
    #[arg(long, value_name = "TEXT")]
    sender_name: Option<String>,
    /// E-mail: who signs in to both servers [default: the address].
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// E-mail: the password, or the one that the provider gives to programs (授权码); `@FILE`
    /// reads it from a file.
    #[arg(long, value_name = "PASSWORD", env = "ZHIDA_CHANNEL_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// E-mail: where mail is fetched.
    #[arg(long, value_name = "HOST", required_if_eq("kind", "email"))]
    imap_host: Option<String>,
    /// E-mail: at which port [default: 993, or 143 without TLS from the first byte on].
    #[arg(long, value_name = "PORT")]
    imap_port: Option<u16>,
    /// E-mail: how that connection is protected; `plain` needs `--private` [default: tls].
    #[arg(long, value_name = "HOW", value_parser = ["tls", "starttls", "plain"])]
    imap_security: Option<String>,
    /// E-mail: where mail is sent.
    #[arg(long, value_name = "HOST", required_if_eq("kind", "email"))]
    smtp_host: Option<String>,
    /// E-mail: at which port [default: 465, 587 with STARTTLS, 25 in plain text].
    #[arg(long, value_name = "PORT")]
    smtp_port: Option<u16>,
    /// E-mail: how that connection is protected; `plain` needs `--private` [default: tls].
    #[arg(long, value_name = "HOW", value_parser = ["tls", "starttls", "plain"])]
    smtp_security: Option<String>,
    /// E-mail: the folder that is looked into [default: INBOX].
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    /// E-mail: leave what was taken as unread as it was.
    #[arg(long)]
    leave_unread: bool,
    /// E-mail: the folder that what was taken is moved to.
    #[arg(long, value_name = "FOLDER")]
    move_to: Option<String>,
    /// E-mail: the certificate (PEM) of the authority that has signed the servers', where that
    /// is one of your own.
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    /// E-mail: never ask back with a list of questions; people get such mails.
    #[arg(long)]
    no_choices: bool,
    /// E-mail: the most that the robot says to one address in an hour [default: 20].
    #[arg(long, value_name = "N")]
    most_per_hour: Option<u16>,
    /// E-mail: what is told whose mail goes to people; `{number}` is that of the request.
    #[arg(long, value_name = "TEXT")]
    acknowledgement: Option<String>,
}

impl Mail {
    /// The settings of a mailbox, by their names.
    ///
    /// # Errors
    /// When a flag is missing, or its file cannot be read.
    pub(super) fn settings(&self) -> Result<Map<String, Value>> {
        let password = self.password.as_deref().ok_or_else(|| {
            Error::Refused(
                "--password is missing: the mailbox's password as @FILE, or in ZHIDA_CHANNEL_PASSWORD"
                    .to_owned(),
            )
        })?;
        let mut all = Map::new();
        all.insert("password".to_owned(), read("--password", password)?.into());
        for (name, text) in [
            ("address", &self.address),
            ("name", &self.sender_name),
            ("user", &self.user),
            ("imap_host", &self.imap_host),
            ("imap_security", &self.imap_security),
            ("smtp_host", &self.smtp_host),
            ("smtp_security", &self.smtp_security),
            ("folder", &self.folder),
            ("move_to", &self.move_to),
            ("acknowledgement", &self.acknowledgement),
        ] {
            all.extend(text.as_ref().map(|text| (name.to_owned(), json!(text))));
        }
        for (name, number) in [
            ("imap_port", self.imap_port),
            ("smtp_port", self.smtp_port),
            ("most_per_hour", self.most_per_hour),
        ] {
            all.extend(number.map(|number| (name.to_owned(), json!(number))));
        }
        if let Some(path) = &self.authority {
            let pem = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
            all.insert("authority".to_owned(), pem.into());
        }
        all.insert("mark_seen".to_owned(), json!(!self.leave_unread));
        all.insert("choices".to_owned(), json!(!self.no_choices));
        Ok(all)
    }
}
