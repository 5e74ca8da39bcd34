//! How does the program that started this one hear that it is ready?
//!
//! systemd names a socket and waits for a word on it (`Type=notify`, sd_notify(3)).

/// Says that questions are answered from now on, if anybody waits for that.
pub(super) fn ready() {
    #[cfg(target_os = "linux")]
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(&socket, b"READY=1")
    {
        tracing::warn!(%error, "systemd could not be told that zhida is ready");
    }
}

#[cfg(target_os = "linux")]
fn send(socket: &std::ffi::OsStr, word: &[u8]) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    // A name that begins with @ lies in no file system.
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(word, &address).map(drop)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::send;

    #[test]
    fn the_word_arrives_in_a_file_and_in_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        send(path.as_os_str(), b"READY=1").expect("sent");
        let mut word = [0; 16];
        let read = socket.recv(&mut word).expect("received");
        assert_eq!(&word[..read], b"READY=1");
        assert!(send("/nobody/is/here".as_ref(), b"READY=1").is_err());
    }
}
