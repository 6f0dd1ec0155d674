//! Floods of HTTP/2 frames: sent while what comes is read, or to a gateway whose answers nobody reads.

use std::{io::Write as _, thread, time::Duration};

use super::{
    Gateway,
    frames::{code, kind, ping},
    peer::{Lost, Peer},
};

/// What a flood may make the process grow by at most, in bytes.
pub const GROWTH_MAX: u64 = 64 << 20;

/// How a flood came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was taken and the connection goes on.
    Taken,
    /// The connection was ended, by a GOAWAY with this code or without one.
    Ended(Option<u32>),
    /// Nothing came of it within the guard.
    Hung,
}

impl Outcome {
    /// True when the gateway ended the connection and said that it was for an error.
    pub fn is_error(self) -> bool {
        matches!(self, Self::Ended(Some(code)) if code != code::NO_ERROR)
    }
}

/// Sends `bytes` and reads what comes until all is taken or the connection ends.
pub fn flood(peer: &mut Peer, bytes: &[u8]) -> Outcome {
    const MARK: [u8; 8] = *b"flooded!";
    let mut writer = peer.stream().try_clone().expect("a second handle");
    thread::scope(|scope| {
        scope.spawn(move || {
            // A gateway that has had enough takes no more.
            let all = writer
                .write_all(bytes)
                .and_then(|()| writer.write_all(&ping(MARK)));
            drop(all);
        });
        let mut said = None;
        loop {
            match peer.frame() {
                Ok(frame) if frame.kind == kind::GOAWAY => said = Some(frame.code()),
                Ok(frame) if frame.kind == kind::PING && frame.payload == MARK => return Outcome::Taken,
                Ok(_) => {}
                Err(Lost::Silent) => return Outcome::Hung,
                Err(_) => return Outcome::Ended(said),
            }
        }
    })
}

/// Sends `bytes`, which must end the connection, and reads until they did; the last of them may be answered before.
pub fn flood_to_the_end(peer: &mut Peer, bytes: &[u8]) -> Outcome {
    match flood(peer, bytes) {
        Outcome::Taken => peer.end().map_or(Outcome::Hung, Outcome::Ended),
        outcome => outcome,
    }
}

/// Presses `bytes` on the gateway without reading, until it has taken all, has ended the connection, or takes no more for
/// want of room for its answers.
pub fn press(peer: &mut Peer, bytes: &[u8]) {
    // Whichever of the three it is, the test goes on; a longer time only makes the second and the third surer.
    let patience = Some(Duration::from_millis(500));
    peer.stream().set_write_timeout(patience).expect("a write guard");
    peer.send(bytes);
}

/// Asks for `/` over HTTP/1.1 and HTTP/2, as others do meanwhile.
pub fn assert_serves(gateway: &Gateway, what: &str) {
    assert_eq!(gateway.get("h", "/").status, 200, "HTTP/1.1 beside {what}");
    let answer = Peer::connect(gateway.address()).get(1, "/");
    assert_eq!(
        answer.map(|answer| answer.status),
        Ok(200),
        "HTTP/2 beside {what}"
    );
}

/// Runs `flood` while others ask, and fails when the process grew by more than [`GROWTH_MAX`].
pub fn bounded(gateway: &Gateway, what: &str, flood: impl FnOnce() + Send) {
    assert_serves(gateway, what);
    let before = gateway.memory_peak();
    thread::scope(|scope| {
        let flooding = scope.spawn(flood);
        loop {
            assert_serves(gateway, what);
            if flooding.is_finished() {
                break;
            }
        }
    });
    assert_serves(gateway, what);
    let grown = gateway.memory_peak() - before;
    assert!(grown <= GROWTH_MAX, "{what}: grown by {} KiB", grown >> 10);
}
