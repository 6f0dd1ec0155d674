//! The service manager, if one wants to hear of the process: systemd's `Type=notify`, sd_notify(3).
//!
//! Owns the one datagram a message is. Refuses to know when there is something to tell.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

use sluice_config::defaults::operations::NOTIFY_TIMEOUT;

/// Where to tell it: the value of `NOTIFY_SOCKET`.
#[derive(Debug, Clone)]
pub struct Supervisor(OsString);

impl Supervisor {
    /// `socket` is a path, or a name in the abstract namespace after an `@`.
    #[must_use]
    pub const fn at(socket: OsString) -> Self {
        Self(socket)
    }

    /// The process takes requests.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// Another process is the service from now on.
    pub(super) fn main_process_is(&self, pid: u32) {
        self.tell(&format!("MAINPID={pid}\nREADY=1"));
    }

    fn tell(&self, words: &str) {
        if let Err(error) = send(&self.0, words) {
            tracing::warn!(%error, words, "the service manager cannot be told");
        }
    }
}

fn send(socket: &OsStr, words: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    sender.set_write_timeout(Some(NOTIFY_TIMEOUT))?;
    sender.send_to_addr(words.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(receiver: &UnixDatagram) -> String {
        let mut bytes = [0; 64];
        let length = receiver.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn it_hears_by_path_and_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        Supervisor::at(path.into()).ready();
        assert_eq!(heard(&by_path), "READY=1");

        let name = format!("sluice-test-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Supervisor::at(format!("@{name}").into()).main_process_is(7);
        assert_eq!(heard(&by_name), "MAINPID=7\nREADY=1");
    }

    #[test]
    fn one_that_is_gone_hinders_nothing() {
        Supervisor::at("/no/such/socket".into()).ready();
        assert!(send(OsStr::new("/no/such/socket"), "READY=1").is_err());
    }
}
