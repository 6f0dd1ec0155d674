//! What a peer of HTTP/2 does that costs the gateway more than it costs the peer: told by the heads of frames as they go
//! by, as the library tells nothing of them.
//!
//! Owns what counts how much, and from when on it is too much. Pure: it is given bytes and the time.

use std::time::Instant;

use sluice_config::defaults;

use crate::metrics::Glitch;

/// What follows from all there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// It is noted.
    Warn,
    /// The peer is to open no more streams.
    GoAway,
    /// The connection is to end.
    Close,
    /// It is not HTTP/2.
    Invalid,
}

/// The glitches of one connection: points that wear off with time.
#[derive(Debug)]
pub struct Meter {
    received: Frames,
    sent: Frames,
    /// Its first frame: none yet, or the one that the preface ends with, or another.
    greeting: Greeting,
    /// WINDOW_UPDATEs that frames of DATA sent could ask for.
    updates_due: u32,
    points: u32,
    since: Instant,
    counts: [u32; Glitch::ALL.len()],
}

/// Whether the preface is whole and right (RFC 9113 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeting {
    Awaited,
    Right,
    Wrong,
}

/// Frames as their bytes go by, cut anywhere.
#[derive(Debug)]
struct Frames {
    head: [u8; RESET_BYTES],
    /// Of `head`.
    have: usize,
    /// Bytes until the next head.
    left: usize,
}

impl Meter {
    /// Of a client's connection that begins at `now`, with the preface, which is no frame.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            received: Frames::new(PREFACE_BYTES),
            sent: Frames::new(0),
            greeting: Greeting::Awaited,
            updates_due: UPDATES_FREE,
            points: 0,
            since: now,
            counts: [0; Glitch::ALL.len()],
        }
    }

    /// Looks at what was received.
    pub fn received(&mut self, bytes: &[u8]) {
        let Self {
            received,
            greeting,
            updates_due,
            points,
            counts,
            ..
        } = self;
        received.read(bytes, |head| {
            if *greeting == Greeting::Awaited {
                let is_settings = head[3] == SETTINGS && head[4] & ACK == 0;
                *greeting = if is_settings {
                    Greeting::Right
                } else {
                    Greeting::Wrong
                };
            }
            let (length, flags) = (length(head), head[4]);
            let glitch = match head[3] {
                DATA if length == 0 && flags & END_STREAM == 0 => Glitch::EmptyData,
                DATA | HEADERS | PUSH_PROMISE | GOAWAY => return,
                PRIORITY => Glitch::Priority,
                RST_STREAM => Glitch::Reset,
                SETTINGS | PING if flags & ACK != 0 => return,
                SETTINGS => Glitch::Settings,
                PING => Glitch::Ping,
                WINDOW_UPDATE if *updates_due > 0 => {
                    *updates_due -= 1;
                    return;
                }
                WINDOW_UPDATE => Glitch::WindowUpdate,
                CONTINUATION => Glitch::Continuation,
                _ => Glitch::Unknown,
            };
            *points = points.saturating_add(weight(glitch));
            counts[glitch as usize] += 1;
        });
    }

    /// Looks at what is sent.
    pub fn sent(&mut self, bytes: &[u8]) {
        let Self {
            sent,
            updates_due,
            points,
            counts,
            ..
        } = self;
        sent.read(bytes, |head| match head[3] {
            // One for the stream and one for the connection.
            DATA => *updates_due = updates_due.saturating_add(2).min(UPDATES_MAX),
            RST_STREAM if is_peers_fault(head) => {
                *points = points.saturating_add(weight(Glitch::MadeReset));
                counts[Glitch::MadeReset as usize] += 1;
            }
            _ => {}
        });
    }

    /// Whether there was nothing, or it has worn off.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.points == 0 && !matches!(self.greeting, Greeting::Wrong)
    }

    /// What follows from all there was by `now`.
    pub fn judge(&mut self, now: Instant) -> Verdict {
        let passed = now.saturating_duration_since(self.since).as_millis();
        let worn = u32::try_from(passed)
            .unwrap_or(u32::MAX)
            .saturating_mul(defaults::H2_GLITCHES_PER_SECOND)
            / 1000;
        if worn > 0 {
            self.points = self.points.saturating_sub(worn);
            self.since = now;
        }
        match self.points {
            _ if self.greeting == Greeting::Wrong => Verdict::Invalid,
            0..defaults::H2_GLITCHES_WARN => Verdict::Fine,
            defaults::H2_GLITCHES_WARN..defaults::H2_GLITCHES_GOAWAY => Verdict::Warn,
            defaults::H2_GLITCHES_GOAWAY..defaults::H2_GLITCHES_MAX => Verdict::GoAway,
            _ => Verdict::Close,
        }
    }

    /// How often each came since this was asked the last time.
    pub fn take_counts(&mut self) -> impl Iterator<Item = (Glitch, u32)> {
        let counts = std::mem::take(&mut self.counts);
        Glitch::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
    }
}

/// A reset throws away the work of a request; an answer to SETTINGS may change every stream; the rest costs little.
const fn weight(glitch: Glitch) -> u32 {
    match glitch {
        Glitch::Reset | Glitch::MadeReset | Glitch::Settings => 10,
        _ => 1,
    }
}

impl Frames {
    const fn new(skipped: usize) -> Self {
        Self {
            head: [0; RESET_BYTES],
            have: 0,
            left: skipped,
        }
    }

    /// Shows the head of each frame that begins in `bytes`, or began before and is known now; of RST_STREAM with its code.
    fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8; RESET_BYTES])) {
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            while let ([byte, rest @ ..], true) = (bytes, self.left == 0) {
                self.head[self.have] = *byte;
                self.have += 1;
                bytes = rest;
                let wanted = match self.have {
                    0..HEAD_BYTES => continue,
                    _ if self.head[3] == RST_STREAM && length(&self.head) >= 4 => RESET_BYTES,
                    _ => HEAD_BYTES,
                };
                if self.have == wanted {
                    self.left = length(&self.head) - (wanted - HEAD_BYTES);
                    self.have = 0;
                    each(&self.head);
                }
            }
        }
    }
}

fn length(head: &[u8; RESET_BYTES]) -> usize {
    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])
}

/// Whether a stream that we reset was so for what the peer did on it.
fn is_peers_fault(head: &[u8; RESET_BYTES]) -> bool {
    const NO_ERROR: u8 = 0;
    const INTERNAL_ERROR: u8 = 2;
    const CANCEL: u8 = 8;
    head[9..12] != [0; 3] || !matches!(head[12], NO_ERROR | INTERNAL_ERROR | CANCEL)
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
/// RFC 9113 4.1.
const HEAD_BYTES: usize = 9;
/// RFC 9113 6.4: a head, and the code.
const RESET_BYTES: usize = HEAD_BYTES + 4;
/// RFC 9113 3.4.
const PREFACE_BYTES: usize = 24;
/// WINDOW_UPDATEs before anything was sent: of the connection and of a page's streams.
const UPDATES_FREE: u32 = 200;
/// The most that are due at a time.
const UPDATES_MAX: u32 = 10_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u32;
        let head = [&length.to_be_bytes()[1..], &[kind, flags, 0, 0, 0, 1]].concat();
        [&head, payload].concat()
    }

    fn metered(frames: &[Vec<u8>]) -> (Meter, Instant) {
        let now = Instant::now();
        let mut meter = Meter::new(now);
        meter.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        // Cut anywhere, it is the same.
        for byte in frames.concat() {
            meter.received(&[byte]);
        }
        (meter, now)
    }

    #[test]
    fn what_every_client_does_is_fine() {
        let frames = [
            frame(SETTINGS, 0, &[0; 6]),
            frame(SETTINGS, ACK, &[]),
            frame(WINDOW_UPDATE, 0, &[0; 4]),
            frame(HEADERS, 4, b"\x82\x84"),
            frame(DATA, 0, &[7; 1000]),
            frame(DATA, END_STREAM, &[]),
            frame(PING, ACK, &[0; 8]),
        ];
        let (mut meter, now) = metered(&frames);
        assert_eq!(meter.judge(now), Verdict::Fine);
        let counts: Vec<_> = meter.take_counts().collect();
        assert_eq!(counts, [(Glitch::Settings, 1)]);
        assert_eq!(meter.take_counts().count(), 0);
    }

    #[test]
    fn a_client_that_does_not_begin_with_its_settings_does_not_speak_http2() {
        let ack = frame(SETTINGS, ACK, &[]);
        for first in [frame(PING, 0, &[0; 8]), frame(HEADERS, 5, b"\x82"), ack] {
            let (mut meter, now) = metered(&[first, frame(SETTINGS, 0, &[])]);
            assert!(!meter.is_clean());
            assert_eq!(meter.judge(now), Verdict::Invalid);
        }
    }

    #[test]
    fn resets_are_answered_by_degrees_and_forgotten_with_time() {
        let resets = |count| {
            let greeting = frame(SETTINGS, 0, &[]);
            [vec![greeting], vec![frame(RST_STREAM, 0, &[0, 0, 0, 8]); count]].concat()
        };
        let judged = |count| {
            let (mut meter, now) = metered(&resets(count));
            meter.judge(now)
        };
        assert_eq!(judged(20), Verdict::Fine);
        assert_eq!(judged(30), Verdict::Warn);
        assert_eq!(judged(60), Verdict::GoAway);
        assert_eq!(judged(100), Verdict::Close);
        let (mut meter, now) = metered(&resets(60));
        assert_eq!(meter.judge(now + Duration::from_secs(10)), Verdict::Fine);
    }

    #[test]
    fn a_reset_of_ours_counts_where_it_is_the_peers_fault() {
        let now = Instant::now();
        let mut meter = Meter::new(now);
        for code in [0, 1, 2, 5, 8] {
            meter.sent(&frame(RST_STREAM, 0, &[0, 0, 0, code]));
        }
        assert_eq!(meter.take_counts().collect::<Vec<_>>(), [(Glitch::MadeReset, 2)]);
    }

    #[test]
    fn window_updates_are_weighed_against_what_was_sent() {
        let (mut meter, _) = metered(&vec![frame(WINDOW_UPDATE, 0, &[0; 4]); 210]);
        assert_eq!(
            meter.take_counts().collect::<Vec<_>>(),
            [(Glitch::WindowUpdate, 10)]
        );
        meter.sent(&frame(DATA, 0, &[0; 100]));
        meter.received(&frame(WINDOW_UPDATE, 0, &[0; 4]));
        assert_eq!(meter.take_counts().count(), 0);
    }

    #[test]
    fn each_kind_of_waste_has_its_name() {
        let frames = [
            frame(PRIORITY, 0, &[0; 5]),
            frame(PING, 0, &[0; 8]),
            frame(DATA, 0, &[]),
            frame(CONTINUATION, 0, &[1]),
            frame(99, 0, &[1, 2, 3]),
        ];
        let (mut meter, _) = metered(&frames);
        let names: Vec<_> = meter.take_counts().map(|(glitch, _)| glitch.as_str()).collect();
        assert_eq!(
            names,
            ["ping", "priority", "empty_data", "continuation", "unknown"]
        );
    }
}
