//! Edges, ends and wake-ups, on real sockets.

use super::*;
use crate::net::{run, sleep, spawn, yield_now};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::task::Poll;

fn pair() -> (TcpStream, Rc<Watched<TcpStream>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (own, _) = listener.accept().unwrap();
    (peer, Rc::new(Watched::connection(own).unwrap()))
}

/// At most so many bytes, as a stream reads them.
async fn read(socket: &Watched<TcpStream>, bytes_max: usize) -> Vec<u8> {
    let mut bytes = vec![0; bytes_max];
    let read = poll_fn(|context| socket.poll_input(context, |mut stream| stream.read(&mut bytes)));
    let count = read.await.unwrap();
    if (1..bytes_max).contains(&count) {
        socket.input_was_short();
    }
    bytes.truncate(count);
    bytes
}

#[test]
fn input_wakes_who_waits_for_it_each_time() {
    let (mut peer, own) = pair();
    run(async {
        let reader = {
            let own = Rc::clone(&own);
            spawn(async move {
                let (first, second) = (read(&own, 10).await, read(&own, 2).await);
                [first, second, read(&own, 10).await]
            })
        };
        for text in ["one", "two!"] {
            sleep(Duration::from_millis(2)).await;
            assert!(!reader.is_finished());
            peer.write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(reader.await, [b"one".to_vec(), b"tw".to_vec(), b"o!".to_vec()]);
    });
}

#[test]
fn an_end_that_came_with_the_last_bytes_is_seen_behind_them() {
    run(async {
        for pause_ms in [0, 2] {
            let (mut peer, own) = pair();
            peer.write_all(b"last").unwrap();
            drop(peer);
            // With a pause, the one edge tells of both.
            sleep(Duration::from_millis(pause_ms)).await;
            assert_eq!(read(&own, 10).await, b"last");
            assert_eq!(read(&own, 10).await, b"");
        }
        // And one that comes while its reader waits.
        let (peer, own) = pair();
        let reader = spawn(async move { read(&own, 10).await });
        sleep(Duration::from_millis(2)).await;
        drop(peer);
        assert_eq!(reader.await, b"");
    });
}

#[test]
fn output_that_was_not_taken_goes_on_when_the_peer_has_read() {
    const BYTES: usize = 32 << 20;
    let (mut peer, own) = pair();
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        bytes.len()
    });
    run(async {
        let chunk = vec![7; BYTES];
        let (mut sent, mut waits) = (0, 0);
        while sent < BYTES {
            sent += poll_fn(|context| {
                let written = own.poll_output(context, |mut own| own.write(&chunk[sent..]));
                waits += usize::from(written.is_pending());
                written
            })
            .await
            .unwrap();
        }
        assert!(waits > 0, "more than the system takes at once");
    });
    drop(own);
    assert_eq!(reading.join().unwrap(), BYTES);
}

#[test]
fn a_reset_wakes_reader_and_writer() {
    let (peer, own) = pair();
    rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
    run(async {
        let error = |own: Rc<Watched<TcpStream>>, is_output: bool| async move {
            let fails = |context: &mut Context<'_>| match is_output {
                true => own.poll_output(context, |mut own| own.write(&[0; 65_536])),
                false => own.poll_input(context, |mut own| own.read(&mut [0])),
            };
            loop {
                // What is written before the reset fills the system's buffers.
                match poll_fn(fails).await {
                    Ok(count) if count > 0 => {}
                    ended => return ended.map_err(|error| error.kind()),
                }
            }
        };
        let writer = spawn(error(Rc::clone(&own), true));
        let reader = spawn(error(own, false));
        sleep(Duration::from_millis(5)).await;
        assert!(!writer.is_finished() && !reader.is_finished());
        drop(peer);
        // One of them gets the reset itself, the other what is left: an end, a broken pipe.
        let ends = [reader.await, writer.await];
        assert!(ends.contains(&Err(io::ErrorKind::ConnectionReset)), "{ends:?}");
    });
}

#[test]
fn a_free_number_is_taken_again_and_hears_nothing_old() {
    run(async {
        let (mut first_peer, first) = pair();
        let number = first.number;
        first_peer.write_all(b"old").unwrap();
        drop(first);
        let (mut peer, second) = pair();
        assert_eq!(second.number, number);
        let reader = spawn(async move { read(&second, 10).await });
        sleep(Duration::from_millis(2)).await;
        assert!(!reader.is_finished());
        peer.write_all(b"new").unwrap();
        assert_eq!(reader.await, b"new");
    });
}

#[test]
fn sockets_are_looked_at_while_tasks_are_busy() {
    let (mut peer, own) = pair();
    run(async {
        let busy = spawn(async {
            loop {
                yield_now().await;
            }
        });
        let reader = spawn(async move { read(&own, 10).await });
        sleep(Duration::from_millis(2)).await;
        peer.write_all(b"here").unwrap();
        assert_eq!(reader.await, b"here");
        drop(busy);
    });
}

#[test]
fn a_receiver_nobody_waits_for_ends_no_sleep() {
    let own = Watched::receiver(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(own.get_ref().local_addr().unwrap()).unwrap();
    let drain = || while own.get_ref().recv(&mut [0; 8]).is_ok() {};
    run(async {
        for _ in 0..3 {
            drain();
            own.input_is_empty();
            let mut waits = 0;
            let arrived = poll_fn(|context| {
                waits += 1;
                own.poll_readable(context)
            });
            sender.send(b"awaited").unwrap();
            arrived.await;
            assert!(waits <= 2);
            drain();
            own.input_is_empty();
            sender.send(b"unawaited").unwrap();
            sleep(Duration::from_millis(2)).await;
            assert!(!own.readiness.input.may_be_ready.get(), "it was told of");
        }
    });
}

#[test]
fn another_thread_ends_a_sleep_and_an_earlier_call_prevents_it() {
    EPOLL.with(|epoll| {
        epoll.stay_awake();
        epoll.waker().wake();
        epoll.sleep(None);
        epoll.stay_awake();
        let waker = epoll.waker();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            waker.wake();
        });
        epoll.sleep(None);
        thread.join().unwrap();
    });
}

#[test]
fn doubt_asks_the_system_again() {
    let (peer, own) = pair();
    run(async {
        let poll_read = async |expected: bool| {
            let is_ready = poll_fn(|context| {
                let read = own.poll_input(context, |mut own| own.read(&mut [0]));
                Poll::Ready(read.is_ready())
            });
            assert_eq!(is_ready.await, expected);
        };
        poll_read(false).await;
        drop(peer);
        // Known only once the loop has slept.
        poll_read(false).await;
        own.doubt_input();
        poll_read(true).await;
    });
}
