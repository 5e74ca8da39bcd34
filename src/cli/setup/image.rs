//! What does a container need besides this program?
//!
//! The loader that the program names and the libraries that this process has loaded,
//! each in its own place, so that the loader finds them as it does here. Names are
//! looked up by glibc: since 2.34 without further libraries, before that with those
//! that lie beside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const CONTAINERFILE: &str = include_str!("../packaging/Containerfile");

/// What glibc before 2.34 loads when it first looks a name up.
const LOOKS_UP: [&str; 3] = ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"];

/// Writes the folder; how many bytes the image has.
///
/// # Errors
/// When something is in the folder already, it cannot be written, or this is not Linux.
pub(super) fn write(folder: &Path) -> Result<u64> {
    let program = std::env::current_exe().map_err(|e| Error::io("find", "/proc/self/exe", e))?;
    let binary = fs::read(&program).map_err(|e| Error::io("read", &program, e))?;
    let libraries = libraries(&program, &binary)?;
    make(folder)?;
    if fs::read_dir(folder).map_err(|e| Error::io("read", folder, e))?.next().is_some() {
        return Err(Error::Refused(either!(
            "{} is not empty; name a folder that is, or one that is not there yet",
            "{} 不是空文件夹；请换一个空的或尚不存在的文件夹",
            folder.display()
        )));
    }
    let (root, data) = (folder.join("root"), folder.join("data"));
    make(&data)?;
    let mut bytes = lay(&program, &root.join("usr/bin/zhida"))?;
    for library in &libraries {
        let place = library.strip_prefix("/").unwrap_or(library);
        bytes += lay(library, &root.join(place))?;
    }
    let file = folder.join("Containerfile");
    fs::write(&file, CONTAINERFILE).map_err(|e| Error::io("write", &file, e))?;
    // docker looks for this name only.
    let twin = folder.join("Dockerfile");
    fs::write(&twin, CONTAINERFILE).map_err(|e| Error::io("write", &twin, e))?;
    Ok(bytes)
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))
}

/// Copies a program or library with its rights, whatever links lead to it.
fn lay(from: &Path, to: &Path) -> Result<u64> {
    make(to.parent().unwrap_or(to))?;
    fs::copy(from, to).map_err(|e| Error::io("copy", from, e))
}

/// The loader and the libraries of this process; none of a static program.
fn libraries(program: &Path, binary: &[u8]) -> Result<BTreeSet<PathBuf>> {
    let Some(loader) = loader(binary) else { return Ok(BTreeSet::new()) };
    let maps = "/proc/self/maps";
    let text = fs::read_to_string(maps).map_err(|e| Error::io("read", maps, e))?;
    let mut found: BTreeSet<PathBuf> = mapped(&text).filter(|path| path != program).collect();
    let beside: Vec<PathBuf> = found
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| name == "libc.so.6"))
        .flat_map(|libc| LOOKS_UP.map(|name| libc.with_file_name(name)))
        .filter(|path| path.is_file())
        .collect();
    found.extend(beside);
    found.insert(loader);
    Ok(found)
}

/// The libraries that are named in the table of what a process has mapped.
fn mapped(maps: &str) -> impl Iterator<Item = PathBuf> {
    maps.lines()
        .filter_map(|line| line.find('/').map(|at| &line[at..]))
        .filter(|path| path.rsplit('/').next().is_some_and(|name| name.contains(".so")))
        .map(PathBuf::from)
}

/// The loader that an ELF file of 64 bits, least byte first, names; `None` where it
/// needs none.
fn loader(binary: &[u8]) -> Option<PathBuf> {
    const INTERPRETER: u64 = 3;
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let found = binary.get(at..at.checked_add(bytes)?)?;
        Some(found.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let place = |at: usize, bytes: usize| number(at, bytes).and_then(|number| usize::try_from(number).ok());
    if !binary.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (place(0x20, 8)?, place(0x36, 2)?, place(0x38, 2)?);
    let header = (0..count)
        .filter_map(|index| table.checked_add(index.checked_mul(size)?))
        .find(|at| number(*at, 4) == Some(INTERPRETER))?;
    let (from, length) = (place(header + 8, 8)?, place(header + 32, 8)?);
    let text = binary.get(from..from.checked_add(length)?)?;
    let text = std::str::from_utf8(text).ok()?.trim_end_matches('\0');
    Some(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_taken_from_what_is_mapped() {
        let maps = "55d0-55d1 r--p 00000000 fe:00 1 /usr/bin/zhida\n\
                    7f00-7f01 r-xp 00026000 fe:00 2 /usr/lib/x86_64-linux-gnu/libc.so.6\n\
                    7f02-7f03 rw-p 00000000 00:00 0 \n\
                    7f04-7f05 r--s 00000000 fe:00 3 /data/kbs/demo/releases/1/lexical/a.store\n\
                    7ffc-7ffd r-xp 00000000 00:00 0 [vdso]\n";
        let found: Vec<PathBuf> = mapped(maps).collect();
        assert_eq!(found, [Path::new("/usr/lib/x86_64-linux-gnu/libc.so.6")]);
    }

    #[test]
    fn a_program_that_is_cut_short_or_none_names_no_loader() {
        for text in [&b""[..], b"#!/bin/sh", b"\x7fELF\x02\x01"] {
            assert_eq!(loader(text), None);
        }
        let mut long = b"\x7fELF\x02\x01".to_vec();
        long.resize(0x40, 0xff);
        assert_eq!(loader(&long), None);
    }

    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    #[test]
    fn this_program_names_a_loader_that_is_there() {
        let binary = fs::read("/proc/self/exe").expect("oneself");
        let named = loader(&binary);
        assert!(named.is_none_or(|path| path.is_file()), "the loader is a file");
    }
}
