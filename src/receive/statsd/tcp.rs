//! TCP connections: lines ended by line feeds, the last one by the end of the stream.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::hub::Hub;
use crate::net::{self, Listener, Notify, Stream, Task};

/// Longest line, and the buffer of a connection. A longer one is refused and ends the connection,
/// since nobody knows where in it the next begins.
const LINE_BYTES_MAX: usize = 8192;

/// Connections at a time; a further one is closed at once.
const CONNECTIONS_MAX: usize = 256;

/// A connection that is silent for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// What has arrived when otlet stops is read for at most so long.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// The connections of one listener.
#[derive(Default)]
pub struct Connections(RefCell<Vec<(Notify, Task<()>)>>);

impl Connections {
    /// Accepts for ever.
    pub async fn run(self: Rc<Self>, listener: Listener, hub: Rc<Hub>) {
        loop {
            let (stream, peer) = listener.accept().await;
            let mut open = self.0.borrow_mut();
            open.retain(|(_, task)| !task.is_finished());
            if open.len() >= CONNECTIONS_MAX {
                hub.refused_connections.increment();
                log::warn!("statsd: {CONNECTIONS_MAX} connections are open; one more was closed");
                continue;
            }
            let stop = Notify::default();
            let name = peer.to_string();
            let task = net::spawn(serve(Rc::clone(&hub), stream, name, stop.clone()));
            open.push((stop, task));
        }
    }

    /// Reads what has arrived and closes all.
    pub async fn stop(&self) {
        let open = self.0.take();
        open.iter().for_each(|(stop, _)| stop.notify());
        for (_, task) in open {
            net::timeout(DRAIN_MAX, task).await.ok();
        }
    }
}

/// Counts an open connection.
struct Open(Rc<Hub>);

impl Open {
    fn new(hub: Rc<Hub>) -> Open {
        hub.connections.set(hub.connections.value() + 1.0);
        Open(hub)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.value() - 1.0);
    }
}

/// Reads one connection to its end.
async fn serve(hub: Rc<Hub>, mut stream: Stream, peer: String, stop: Notify) {
    let _open = Open::new(Rc::clone(&hub));
    let mut buffer = vec![0; LINE_BYTES_MAX];
    let (mut filled, mut stopping) = (0, false);
    loop {
        let read = match stopping {
            true => stream.read_now(&mut buffer[filled..]).await.and_then(Result::ok),
            false => {
                let read = async { stream.read(&mut buffer[filled..]).await.ok() };
                let stopped = async {
                    stop.notified().await;
                    None
                };
                let both = async { net::either(async { Some(read.await) }, stopped).await };
                match net::timeout(IDLE_MAX, both).await {
                    Ok(Some(read)) => read,
                    Ok(None) => {
                        stopping = true;
                        continue;
                    }
                    Err(_) => None,
                }
            }
        };
        let Some(read) = read.filter(|read| *read > 0) else { break };
        filled = take(&hub, &mut buffer, filled + read);
        if filled == buffer.len() {
            hub.refuse(&buffer, "line_too_long");
            log::warn!("statsd: {peer} sent a line longer than {LINE_BYTES_MAX} bytes; closed");
            return;
        }
        net::yield_now().await;
    }
    hub.set_age();
    hub.take(&buffer[..filled]);
}

/// Takes the complete lines in and moves the rest to the front; returns its length.
fn take(hub: &Hub, buffer: &mut [u8], filled: usize) -> usize {
    let Some(end) = memchr::memrchr(b'\n', &buffer[..filled]) else { return filled };
    hub.set_age();
    hub.take(&buffer[..=end]);
    buffer.copy_within(end + 1..filled, 0);
    filled - end - 1
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::observe::Registry;
    use crate::pipeline::ReceiverAccount;
    use crate::receive::statsd::series::tests::table;

    #[test]
    fn lines_that_are_here_at_the_stop_are_taken() {
        net::run(async {
            let registry = Registry::new();
            let lines = ReceiverAccount::new(&registry, "statsd", "metrics");
            let hub = Hub::new(table(|_| ()), lines, &registry);
            let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let mut client = std::net::TcpStream::connect(listener.local_addr()).unwrap();
            let (stream, peer) = listener.accept().await;
            let stop = Notify::default();
            let task = net::spawn(serve(hub, stream, peer.to_string(), stop.clone()));
            let taken = || registry.total("otlet_receiver_accepted_items_total");
            client.write_all(b"a:1|c\n").unwrap();
            while taken() < 1 {
                net::sleep(Duration::from_millis(1)).await;
            }
            // In the same turn: the system has them, the loop does not know.
            client.write_all(b"b:1|c\nc:1|c\n").unwrap();
            stop.notify();
            task.await;
            assert_eq!(taken(), 3);
        });
    }
}
