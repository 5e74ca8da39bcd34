//! `zhida setup`: what runs zhida as a service, on this machine or on others?
//!
//! The files are in the binary: who has only that has them too.

mod image;
mod kubernetes;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::Result;

const UNIT: &str = include_str!("packaging/zhida.service");
const COMPOSE: &str = include_str!("packaging/compose.yaml");
const SEVERAL: &str = include_str!("packaging/compose-several.yaml");

/// What the files call the image.
const IMAGE: &str = "localhost/zhida:VERSION";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print a unit for systemd, locked down; it says how it is used.
    Systemd,
    /// Print manifests for Kubernetes: one pod with a volume, probes, a service; or several
    /// pods that are one installation (--nodes), on PostgreSQL.
    Kubernetes {
        #[command(flatten)]
        named: Named,
        /// How many pods there are; from two on their records are on PostgreSQL, and their
        /// releases too, or in a bucket (--releases s3://…), or in a volume that all of them
        /// mount (--releases file:///…).
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
        nodes: u16,
    },
    /// Print an example for Docker Compose and podman-compose.
    Compose {
        #[command(flatten)]
        named: Named,
        /// Two servers that share a PostgreSQL, instead of one with files.
        #[arg(long)]
        several: bool,
    },
    /// Write a folder that an image is built of without network: this program, the
    /// libraries that it loads, and a Containerfile.
    Image {
        /// The folder; it is made, and must be empty if it is there.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// How the image is called.
#[derive(Debug, clap::Args)]
struct Named {
    /// The image to run [default: localhost/zhida with this version].
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
}

impl Named {
    /// A file that runs the image of this name.
    fn in_file(&self, text: &str) -> String {
        let name = self.image.clone().unwrap_or_else(own_name);
        text.replace(IMAGE, &name)
    }
}

/// The image that this program makes of itself.
fn own_name() -> String {
    IMAGE.replace("VERSION", env!("CARGO_PKG_VERSION"))
}

pub(crate) fn run(args: &Args, releases: Option<&str>) -> Result<ExitCode> {
    match &args.command {
        Command::Systemd => say!("{}", UNIT.trim_end()),
        Command::Kubernetes { named, nodes } => {
            say!("{}", named.in_file(&kubernetes::manifests(*nodes, releases)?).trim_end());
        }
        Command::Compose { named, several } => {
            let text = if *several { SEVERAL } else { COMPOSE };
            say!("{}", named.in_file(text).trim_end());
        }
        Command::Image { folder } => {
            let bytes = image::write(folder)?;
            let (place, name, size) = (folder.display(), own_name(), bytes / 1_000_000);
            eprintln!(
                "{}",
                either!(
                    "{place}: {size} MB; now `buildah build --network none -t {name} {place}`, or the same with docker or podman",
                    "{place}：{size} MB；接下来运行 buildah build --network none -t {name} {place}（docker、podman 相同）"
                )
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
