//! What peers of HTTP/2 do that costs the gateway more than it costs them: the closed list, and its counters.

use super::Counter;

/// One kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glitch {
    /// A stream that the peer reset (CVE-2023-44487).
    Reset,
    /// A stream that the peer made us reset, by breaking a rule on it (CVE-2025-8671).
    MadeReset,
    /// SETTINGS, each of which is answered (CVE-2019-9515).
    Settings,
    /// PING, each of which is answered (CVE-2019-9512).
    Ping,
    /// PRIORITY, which means nothing any more (CVE-2019-9513).
    Priority,
    /// More WINDOW_UPDATEs than what was sent could ask for.
    WindowUpdate,
    /// DATA that holds nothing and ends nothing (CVE-2019-9518).
    EmptyData,
    /// Field blocks in pieces (CVE-2024-27316).
    Continuation,
    /// Frames of no known type.
    Unknown,
}

impl Glitch {
    /// Each there is, in order.
    pub const ALL: [Self; 9] = [
        Self::Reset,
        Self::MadeReset,
        Self::Settings,
        Self::Ping,
        Self::Priority,
        Self::WindowUpdate,
        Self::EmptyData,
        Self::Continuation,
        Self::Unknown,
    ];

    /// As metrics name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::MadeReset => "made_reset",
            Self::Settings => "settings",
            Self::Ping => "ping",
            Self::Priority => "priority",
            Self::WindowUpdate => "window_update",
            Self::EmptyData => "empty_data",
            Self::Continuation => "continuation",
            Self::Unknown => "unknown",
        }
    }
}

/// Counters by kind.
#[derive(Debug, Default)]
pub struct Glitches([Counter; Glitch::ALL.len()]);

impl Glitches {
    /// Counts so many.
    pub fn add(&self, glitch: Glitch, count: u32) {
        self.0[glitch as usize].add(count.into());
    }

    pub(super) fn get(&self, glitch: Glitch) -> u64 {
        self.0[glitch as usize].get()
    }
}
