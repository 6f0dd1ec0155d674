//! Tasks end alone, and none outlives `block_on`.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use sluice_io::{Counts, Io, Options, Panicked, Runtime, SocketOptions};

use crate::harness::{
    alone, both, both_of_our_own, every_driver, listener, noting_panics, open_descriptors, pair,
    read_exactly, settled,
};

fn on_each_driver(test: impl Fn(Options)) {
    let _alone = alone();
    for driver in every_driver() {
        test(Options {
            driver,
            ..Options::default()
        });
    }
}

#[test]
fn a_panic_ends_its_task_alone_and_is_reported() {
    on_each_driver(|options| {
        let (options, said) = noting_panics(options);
        let runtime = Runtime::new(&options).unwrap();
        let io = runtime.io();
        runtime.block_on(async {
            let (mut server, mut client) = pair(&io).await;
            let held = pair(&io).await;
            io.spawn(async move {
                let _held = held;
                panic!("of {}", "formatted text");
            });
            io.spawn(async { panic!("of a literal") });
            settled(&io, |counts| counts.tasks == 0 && counts.sockets == 2).await;
            client.write(b"still here");
            client.flush().await.unwrap();
            assert_eq!(read_exactly(&mut server, 10).await, b"still here");
        });
        assert_eq!(*said.lock().unwrap(), ["of formatted text", "of a literal"]);
    });
}

#[test]
fn tasks_left_at_the_end_are_dropped_with_what_they_hold() {
    on_each_driver(|options| {
        let before = open_descriptors();
        let runtime = Runtime::new(&options).unwrap();
        let io = runtime.io();
        let alive = Rc::new(());
        runtime.block_on(async {
            for _ in 0..10 {
                let (mut server, mut client) = pair(&io).await;
                let (one, other) = (Rc::clone(&alive), Rc::clone(&alive));
                io.spawn(async move {
                    client.write(&[0; 100_000]);
                    let _ = client.flush().await;
                    let _ = client.fill().await;
                    drop(one);
                });
                let io_inside = io.clone();
                io.spawn(async move {
                    let _ = server.fill().await;
                    io_inside.sleep(std::time::Duration::from_secs(3600)).await;
                    drop(other);
                });
            }
            let mut listener = listener(&io, &SocketOptions::default());
            io.spawn(async move { drop(listener.accept().await) });
            settled(&io, |counts| counts.timers >= 10).await;
        });
        assert_eq!((Rc::strong_count(&alive), io.counts()), (1, Counts::default()));
        // The loop can be run again.
        let again = Rc::new(Cell::new(false));
        let set = Rc::clone(&again);
        io.spawn(async move { set.set(true) });
        runtime.block_on(settled(&io, |counts| counts.tasks == 0));
        assert!(again.get());
        drop((runtime, io));
        assert_eq!(open_descriptors(), before);
    });
}

#[test]
fn a_task_that_spawns_when_dropped_is_not_followed() {
    struct SpawnsOnDrop(Io);
    impl Drop for SpawnsOnDrop {
        fn drop(&mut self) {
            self.0.spawn(pending());
        }
    }
    both(|io| async move {
        let spawns = SpawnsOnDrop(io.clone());
        io.spawn(async move {
            let _spawns = spawns;
            pending::<()>().await;
        });
    });
}

#[test]
fn tasks_spawned_but_never_run_are_dropped_too() {
    on_each_driver(|options| {
        let runtime = Runtime::new(&options).unwrap();
        let alive = Rc::new(());
        let held = Rc::clone(&alive);
        let io = runtime.io();
        io.clone().spawn(async move {
            let _held = (held, io);
        });
        drop(runtime);
        assert_eq!(Rc::strong_count(&alive), 1);
    });
}

#[test]
fn streams_may_outlive_the_runtime() {
    on_each_driver(|options| {
        let before = open_descriptors();
        let runtime = Runtime::new(&options).unwrap();
        let io = runtime.io();
        let (server, client, mut quiet) = runtime.block_on(async {
            let (quiet, _) = pair(&io).await;
            let (mut server, mut client) = pair(&io).await;
            client.write(b"x");
            client.flush().await.unwrap();
            read_exactly(&mut server, 1).await;
            // Leaves a receive, and a send that nobody reads, with the kernel.
            server.write(&vec![0; 16_000_000]);
            server.start_flush();
            settled(&io, |_| client.is_readable_or_closed()).await;
            (server, client, quiet)
        });
        drop((runtime, io));
        drop(server);
        drop(client);
        // Nothing sends it any more, and nothing is kept for it.
        quiet.write(b"y");
        quiet.start_flush();
        drop(quiet);
        assert_eq!(open_descriptors(), before);
    });
}

#[test]
fn a_panic_of_the_main_future_leaves_nothing_behind() {
    on_each_driver(|options| {
        let runtime = Runtime::new(&options).unwrap();
        let io = runtime.io();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let (mut server, _client) = pair(&io).await;
                io.spawn(async move { drop(server.fill().await) });
                panic!("main");
            });
        }));
        assert!(outcome.is_err());
        assert_eq!(io.counts(), Counts::default());
        assert_eq!(runtime.block_on(async { 5 }), 5);
    });
}

#[test]
fn tasks_that_are_always_ready_do_not_starve_sockets() {
    // monoio 0.2 runs a task that woke itself before all others; tokio-uring 0.5 submits only when nothing is left
    // to run. Tasks of a gateway that did their share wait for the next turn instead.
    both_of_our_own(|io| async move {
        let over = Rc::new(Cell::new(false));
        for _ in 0..3 {
            let over = Rc::clone(&over);
            io.spawn(poll_fn(move |cx| {
                cx.waker().wake_by_ref();
                if over.get() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
        }
        let (mut server, mut client) = pair(&io).await;
        for _ in 0..20 {
            client.write(b"tick");
            client.flush().await.unwrap();
            assert_eq!(read_exactly(&mut server, 4).await, b"tick");
            io.sleep(std::time::Duration::from_millis(1)).await;
        }
        over.set(true);
        settled(&io, |counts| counts.tasks == 0).await;
    });
}

#[test]
fn a_task_outlives_the_panic_of_its_part() {
    on_each_driver(|options| {
        let (options, said) = noting_panics(options);
        let runtime = Runtime::new(&options).unwrap();
        let io = runtime.io();
        runtime.block_on(async {
            let mut parts = 0;
            let outcome = io
                .contain(pin!(async {
                    parts += 1;
                    io.sleep(Duration::from_millis(1)).await;
                    panic!("of a part");
                }))
                .await;
            assert_eq!((outcome, parts), (Err::<(), _>(Panicked), 1));
            assert_eq!(io.contain(pin!(async { 7 })).await, Ok(7));
        });
        assert_eq!(*said.lock().unwrap(), ["of a part"]);
    });
}
