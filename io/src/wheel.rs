//! A hierarchical timer wheel: six levels of 64 slots, the finest one tick (a millisecond) a slot.
//!
//! Insert and cancel cost the same whatever the number of entries. Pure: it is told the time in ticks, and
//! knows neither clocks nor tasks. (Varghese and Lauck, "Hashed and hierarchical timing wheels", scheme 6.)

use slab::Slab;

pub(crate) type Key = usize;

const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 6;
/// The farthest place an entry can have from now: about two years. Later ones wait there and move on.
const SPAN: u64 = 1 << (BITS * LEVELS as u32);
const NONE: Key = Key::MAX;

pub(crate) struct Wheel<T> {
    entries: Slab<Entry<T>>,
    levels: [Level; LEVELS],
    /// Entries whose time had passed when they were linked.
    due: Key,
    now: u64,
}

struct Entry<T> {
    value: T,
    /// The tick it is linked for.
    at: u64,
    place: Place,
    next: Key,
    previous: Key,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Unlinked,
    Due,
    Slot { level: u8, slot: u8 },
}

#[derive(Clone, Copy)]
struct Level {
    occupied: u64,
    heads: [Key; SLOTS],
}

impl<T> Wheel<T> {
    /// A wheel at tick 0.
    pub(crate) fn new() -> Self {
        Self {
            entries: Slab::new(),
            levels: [Level {
                occupied: 0,
                heads: [NONE; SLOTS],
            }; LEVELS],
            due: NONE,
            now: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds an entry that is not linked.
    pub(crate) fn add(&mut self, value: T) -> Key {
        self.entries.insert(Entry {
            value,
            at: 0,
            place: Place::Unlinked,
            next: NONE,
            previous: NONE,
        })
    }

    pub(crate) fn remove(&mut self, key: Key) -> T {
        self.unlink(key);
        self.entries.remove(key).value
    }

    pub(crate) fn value(&mut self, key: Key) -> &mut T {
        &mut self.entries[key].value
    }

    /// Links the entry, or moves it, to expire at tick `at`.
    pub(crate) fn link(&mut self, key: Key, at: u64) {
        self.unlink(key);
        let place = self.place_of(at);
        let head = self.head_mut(place);
        let next = std::mem::replace(head, key);
        if next != NONE {
            self.entries[next].previous = key;
        }
        if let Place::Slot { level, slot } = place {
            self.levels[usize::from(level)].occupied |= 1 << slot;
        }
        let entry = &mut self.entries[key];
        (entry.at, entry.place, entry.next, entry.previous) = (at, place, next, NONE);
    }

    pub(crate) fn unlink(&mut self, key: Key) {
        let entry = &mut self.entries[key];
        let (place, next, previous) = (entry.place, entry.next, entry.previous);
        entry.place = Place::Unlinked;
        if place == Place::Unlinked {
            return;
        }
        if next != NONE {
            self.entries[next].previous = previous;
        }
        if previous != NONE {
            self.entries[previous].next = next;
            return;
        }
        *self.head_mut(place) = next;
        if next == NONE
            && let Place::Slot { level, slot } = place
        {
            self.levels[usize::from(level)].occupied &= !(1 << slot);
        }
    }

    /// The next tick at which [`Self::expire`] may have work; never later than the earliest entry.
    pub(crate) fn next(&self) -> Option<u64> {
        if self.due != NONE {
            return Some(self.now);
        }
        self.next_slot().map(|(tick, _)| tick)
    }

    /// Moves the time to `now` and gives one entry whose tick has come, unlinked. Called until `None`.
    pub(crate) fn expire(&mut self, now: u64) -> Option<Key> {
        loop {
            if self.due != NONE {
                let key = self.due;
                self.unlink(key);
                return Some(key);
            }
            match self.next_slot() {
                Some((tick, place)) if tick <= now => {
                    self.now = tick;
                    self.spread(place);
                }
                _ => {
                    self.now = self.now.max(now);
                    return None;
                }
            }
        }
    }

    /// Links every entry of a slot anew: nearer by a level or more, or due.
    fn spread(&mut self, place: Place) {
        loop {
            let key = *self.head_mut(place);
            if key == NONE {
                return;
            }
            let at = self.entries[key].at;
            self.link(key, at);
        }
    }

    /// The occupied slot whose time comes first. A finer level always comes before a coarser one.
    fn next_slot(&self) -> Option<(u64, Place)> {
        self.levels.iter().enumerate().find_map(|(index, level)| {
            if level.occupied == 0 {
                return None;
            }
            let shift = BITS * index as u32;
            let current = (self.now >> shift) as u32 % SLOTS as u32;
            let ahead = level.occupied.rotate_right(current).trailing_zeros();
            let slot = (current + ahead) % SLOTS as u32;
            let span = (SLOTS as u64) << shift;
            let mut tick = (self.now & !(span - 1)) + (u64::from(slot) << shift);
            if tick <= self.now {
                tick += span;
            }
            Some((
                tick,
                Place::Slot {
                    level: index as u8,
                    slot: slot as u8,
                },
            ))
        })
    }

    fn place_of(&self, at: u64) -> Place {
        if at <= self.now {
            return Place::Due;
        }
        let at = at.min(self.now + SPAN - 1);
        // The highest bit in which the two differ says how coarse the place may be.
        let differing = (at ^ self.now) | (SLOTS as u64 - 1);
        let level = ((63 - differing.leading_zeros()) / BITS).min(LEVELS as u32 - 1);
        let slot = (at >> (level * BITS)) as usize % SLOTS;
        Place::Slot {
            level: level as u8,
            slot: slot as u8,
        }
    }

    fn head_mut(&mut self, place: Place) -> &mut Key {
        match place {
            Place::Slot { level, slot } => &mut self.levels[usize::from(level)].heads[usize::from(slot)],
            Place::Due | Place::Unlinked => &mut self.due,
        }
    }
}

#[cfg(test)]
mod tests;
