//! Messages from other threads wake the worker, and none is lost.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use sluice_io::{Options, Runtime, mailbox};

use crate::harness::{alone, both};

#[test]
fn messages_come_from_many_threads_in_each_ones_order() {
    both(|io| async move {
        let (sender, mut receiver) = io.mailbox();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let sender = sender.clone();
                std::thread::spawn(move || (0..2_000).for_each(|n| sender.send((thread, n)).unwrap()))
            })
            .collect();
        drop(sender);
        let mut next = [0; 4];
        while let Some((thread, n)) = receiver.recv().await {
            assert_eq!(n, next[thread]);
            next[thread] += 1;
        }
        assert_eq!(next, [2_000; 4]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn an_idle_worker_is_woken_each_time() {
    both(|io| async move {
        let (question, mut questions) = io.mailbox();
        let (answer, answers) = std::sync::mpsc::channel();
        let asker = std::thread::spawn(move || {
            for n in 0..500 {
                question.send(n).unwrap();
                assert_eq!(answers.recv().unwrap(), n + 1);
            }
        });
        // A spawned task and the main future are woken by different ways.
        let spawned = answer.clone();
        let (over, mut is_over) = io.mailbox();
        io.spawn(async move {
            for _ in 0..250 {
                spawned.send(questions.recv().await.unwrap() + 1).unwrap();
            }
            over.send(questions).unwrap();
        });
        let mut questions = is_over.recv().await.unwrap();
        while let Some(n) = questions.recv().await {
            answer.send(n + 1).unwrap();
        }
        asker.join().unwrap();
    });
}

#[test]
fn a_mailbox_without_a_reader_is_closed() {
    both(|io| async move {
        let (sender, receiver) = io.mailbox();
        sender.send(1).unwrap();
        drop(receiver);
        assert_eq!(sender.send(2), Err(mailbox::Closed));
    });
}

#[test]
fn a_waker_may_outlive_its_runtime() {
    let _alone = alone();
    let runtime = Runtime::new(&Options::default()).unwrap();
    let (keep, kept) = std::sync::mpsc::channel::<Waker>();
    runtime.io().spawn(poll_fn(move |cx| {
        keep.send(cx.waker().clone()).unwrap();
        Poll::<()>::Pending
    }));
    let waker = runtime.block_on(async {
        let mut waker = None;
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            waker = waker.take().or_else(|| kept.try_recv().ok());
            if waker.is_some() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        waker.unwrap()
    });
    drop(runtime);
    std::thread::spawn(move || {
        waker.wake_by_ref();
        drop(waker);
    })
    .join()
    .unwrap();
}
