//! What follows from each completion.

use super::socket::Receiving;
use super::submission::{Completion, Operation, Token};
use super::{Ring, SPARE_MESSAGES};
use crate::engine::Key;
use crate::sys;

impl Ring {
    /// Acts on one completion. True when another thread woke a task.
    pub(super) fn complete(&mut self, completion: Completion) -> bool {
        let Completion {
            token, result, more, ..
        } = completion;
        // Taken first: the buffer has left the kernel's ring whoever it was for.
        let filled = completion.buffer.map(|id| {
            self.pool.lend();
            self.buffers.take(id, result.unwrap_or(0))
        });
        match token.operation {
            Operation::Wake => {
                self.wake_armed = more;
                sys::unsignal(&self.wake);
                return true;
            }
            Operation::Cancel => return false,
            _ => {}
        }
        if !self.is_current(token) {
            filled.into_iter().for_each(|buffer| self.pool.give(buffer));
            return false;
        }
        let key = token.key;
        match token.operation {
            Operation::Receive => self.on_receive(key, result, filled, more),
            Operation::Send => self.on_send(key, result),
            Operation::Connect => self.on_connect(key, result),
            Operation::Acceptable => self.on_acceptable(key, more),
            Operation::Hangup => self.on_hangup(key, result),
            Operation::Readable => {
                self.sockets[key].readable_armed = false;
                self.sockets[key].reader.wake();
            }
            Operation::Writable => {
                self.sockets[key].writable_armed = false;
                self.sockets[key].sending.writer.wake();
            }
            Operation::Wake | Operation::Cancel => {}
        }
        if !more {
            self.ended(key);
        }
        false
    }

    /// Acts on the sends of which no completion came: once all are submitted, they have all been taken at once.
    pub(super) fn settle(&mut self) {
        if !self.submission.is_empty() {
            // The kernel took no more for now: the next turn does not wait either.
            self.awaited |= !self.at_once.is_empty();
            return;
        }
        let mut at_once = std::mem::take(&mut self.at_once);
        for key in at_once.drain(..) {
            if let Some(socket) = self.sockets.get_mut(key)
                && std::mem::take(&mut socket.at_once)
            {
                socket.sent_at_once(&mut self.pool);
                self.after_send(key);
                self.ended(key);
            }
        }
        self.at_once = at_once;
    }

    /// The kernel holds one operation less of this socket.
    fn ended(&mut self, key: Key) {
        self.operations -= 1;
        self.sockets[key].operations -= 1;
        self.forget_if_done(key);
    }

    fn is_current(&self, token: Token) -> bool {
        self.sockets
            .get(token.key)
            .is_some_and(|socket| socket.generation == token.generation)
    }

    pub(super) fn on_receive(
        &mut self,
        key: Key,
        result: Result<usize, i32>,
        filled: Option<Vec<u8>>,
        more: bool,
    ) {
        let socket = &mut self.sockets[key];
        if !more {
            socket.receiving = Receiving::Idle;
        }
        if socket.closing {
            return filled.into_iter().for_each(|buffer| self.pool.give(buffer));
        }
        match (result, filled) {
            (Ok(count), Some(buffer)) if count > 0 => {
                socket.inbox.push(buffer, &mut self.pool);
                socket.reader.wake();
                if !std::mem::replace(&mut socket.fresh, true) {
                    self.fresh.push(key);
                }
            }
            (outcome, buffer) => {
                buffer.into_iter().for_each(|buffer| self.pool.give(buffer));
                match outcome {
                    Ok(_) => socket.end = Some(socket.reset.map_or(Ok(()), Err)),
                    // Out of buffers, or cancelled for its limit, or told to try again: all go on below.
                    Err(libc::ENOBUFS) => self.buffers.run_short(),
                    Err(libc::ECANCELED | libc::EAGAIN | libc::EINTR) => {}
                    Err(libc::EINVAL) if self.bounded => self.bounded = false,
                    Err(code) => socket.end = Some(Err(code)),
                }
                if socket.end.is_some() || socket.by_hand {
                    socket.reader.wake();
                }
            }
        }
        if socket.may_receive() {
            self.want(key);
        } else if more && socket.receive_room() == 0 && socket.receiving == Receiving::Armed {
            self.stop_receiving(key);
        }
    }

    /// Has the kernel fill no more buffers for this socket.
    pub(super) fn stop_receiving(&mut self, key: Key) {
        let socket = &mut self.sockets[key];
        socket.receiving = Receiving::Cancelling;
        let generation = socket.generation;
        self.submission.cancel(Token {
            key,
            generation,
            operation: Operation::Receive,
        });
    }

    fn on_send(&mut self, key: Key, result: Result<usize, i32>) {
        self.sockets[key].sent(result, &mut self.pool);
        self.after_send(key);
    }

    fn after_send(&mut self, key: Key) {
        let socket = &mut self.sockets[key];
        if let Some(message) = socket.message.take()
            && self.messages.len() < SPARE_MESSAGES
        {
            self.messages.push(message);
        }
        if socket.sending.outbox.bytes() > 0 {
            self.note_dirty(key);
        }
    }

    fn on_connect(&mut self, key: Key, result: Result<usize, i32>) {
        let socket = &mut self.sockets[key];
        socket.connecting = false;
        socket.address = None;
        socket.connect_error = result.err();
        socket.ready = true;
        socket.sending.writer.wake();
    }

    fn on_acceptable(&mut self, key: Key, more: bool) {
        let socket = &mut self.sockets[key];
        socket.acceptable_armed = more;
        socket.ready = true;
        socket.reader.wake();
    }

    fn on_hangup(&mut self, key: Key, result: Result<usize, i32>) {
        let socket = &mut self.sockets[key];
        socket.hangup_armed = false;
        socket.hangup |= result.is_ok();
        if socket.hangup {
            socket.reset = socket.reset.or_else(|| sys::take_error(&socket.fd));
        }
        socket.reader.wake();
    }
}
