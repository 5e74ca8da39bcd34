//! Where do candidates of large knowledge bases come from?

use std::path::PathBuf;
use std::time::Duration;

use crate::candidates::{Address, Candidates, Manner};
use crate::error::{Error, Result};

/// An engine for candidates, as flags of `zhida serve`.
#[derive(Debug, clap::Args)]
// Its own name: `serve` has a group of flags called `Args` too.
#[group(id = "candidate_flags")]
pub(super) struct Args {
    /// Let this Milvus say which phrasings of large knowledge bases could be meant, such as
    /// milvus://milvus.example:19530/faq, or milvus+tls://… encrypted; what comes of them is
    /// decided here. For a zhida that was built with `--features milvus` [default: none].
    #[arg(long, value_name = "URL", env = "ZHIDA_CANDIDATES")]
    candidates: Option<String>,
    /// The file with the token that it wants, such as root:Milvus.
    #[arg(long, value_name = "FILE", requires = "candidates", env = "ZHIDA_CANDIDATES_TOKEN_FILE")]
    candidates_token_file: Option<PathBuf>,
    /// Knowledge bases of fewer phrasings are searched here all the same.
    #[arg(long, value_name = "PHRASINGS", default_value_t = Manner::default().from)]
    candidates_from: usize,
    /// How long each of a question's two searches waits for it; after that the question is
    /// answered by words alone, from the release.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    candidates_ms: u64,
}

impl Args {
    /// What the flags say together; `None` without an engine.
    pub(super) fn engine(&self) -> Result<Option<Candidates>> {
        let Some(address) = self.candidates.as_deref().filter(|address| !address.is_empty()) else {
            return Ok(None);
        };
        let address = Address::read(address)?;
        let token = match &self.candidates_token_file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
                if text.trim().is_empty() {
                    let message = format!("--candidates-token-file: {} is empty", path.display());
                    return Err(Error::Refused(message));
                }
                Some(text.trim().to_owned())
            }
        };
        let manner =
            Manner { patience: Duration::from_millis(self.candidates_ms), from: self.candidates_from };
        Candidates::at(&address, token.as_deref(), manner).map(Some)
    }
}
