//! Timers fire in order, move, and can be cleared; never before their time.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use crate::harness::{both, settled};

const MS: Duration = Duration::from_millis(1);

#[test]
fn sleeps_end_in_the_order_of_their_times() {
    both(|io| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        for ms in [70, 5, 31, 64, 0, 1, 12] {
            let (own, order) = (io.clone(), Rc::clone(&order));
            io.spawn(async move {
                let until = own.now() + ms * MS;
                own.sleep(ms * MS).await;
                assert!(own.now() >= until);
                order.borrow_mut().push(ms);
            });
        }
        settled(&io, |counts| counts.tasks == 0).await;
        assert_eq!(*order.borrow(), [0, 1, 5, 12, 31, 64, 70]);
    });
}

#[test]
fn a_timer_moves_both_ways() {
    both(|io| async move {
        let (mut later, mut earlier) = (io.timer(), io.timer());
        let start = io.now();
        later.set(start + 2 * MS);
        later.set(start + 40 * MS);
        earlier.set(start + 3_600_000 * MS);
        let mut order = Vec::new();
        poll_fn(|cx| {
            // Moved only once it waits, so that its place in the wheel moves too.
            assert!(earlier.poll_expired(cx).is_pending());
            earlier.set(start + 20 * MS);
            Poll::Ready(())
        })
        .await;
        let mut fired = [false; 2];
        poll_fn(|cx| {
            for (index, timer) in [&mut later, &mut earlier].into_iter().enumerate() {
                if !fired[index] && timer.poll_expired(cx).is_ready() {
                    assert!(io.now() >= timer.deadline().unwrap());
                    fired[index] = true;
                    order.push(index);
                }
            }
            if order.len() == 2 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        assert_eq!(order, [1, 0]);
        assert_eq!(later.deadline(), Some(start + 40 * MS));
    });
}

#[test]
fn a_cleared_timer_stays_silent_until_set_again() {
    both(|io| async move {
        let mut timer = io.timer();
        timer.set(io.now() + MS);
        timer.clear();
        assert_eq!(timer.deadline(), None);
        let mut other = Box::pin(io.sleep(20 * MS));
        poll_fn(|cx| {
            assert!(timer.poll_expired(cx).is_pending());
            other.as_mut().poll(cx)
        })
        .await;
        timer.set(io.now() + MS);
        poll_fn(|cx| timer.poll_expired(cx)).await;
        // Expired until set anew.
        poll_fn(|cx| timer.poll_expired(cx)).await;
        timer.set(io.now() + 5 * MS);
        poll_fn(|cx| timer.poll_expired(cx)).await;
    });
}

#[test]
fn thousands_of_timers_moved_at_every_step_fire_once_each() {
    both(|io| async move {
        let mut timers: Vec<_> = (0..3_000).map(|_| io.timer()).collect();
        for round in 0..5_u32 {
            for (index, timer) in (0_u32..).zip(&mut timers) {
                timer.set(io.now() + (1 + (index * 7 + round * 13) % 90) * MS);
            }
        }
        let mut fired = 0;
        poll_fn(|cx| {
            timers.retain_mut(|timer| {
                let expired = timer.poll_expired(cx).is_ready();
                fired += usize::from(expired);
                !expired
            });
            if timers.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        assert_eq!(fired, 3_000);
    });
}
