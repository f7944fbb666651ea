//! X-Ray receiver: segment documents by UDP, and sampling requests by TCP on the same port (AWS
//! X-Ray Developer Guide, "Running the X-Ray daemon" and "Sending trace data to X-Ray").
//!
//! A document is given to the sink as it came; where some exporter takes spans, translated too.
//! Spans of a segment in progress wait until it is complete, or a bound. Left out: the daemon's
//! telemetry records, and buffering, which is the exporters' business.

mod config;
mod datagrams;
mod ended;
mod held;
mod intake;
mod proxy;

#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;

pub use config::Config;
pub use held::{HELD_AGE_MAX, HELD_BYTES_MAX, HELD_DOCUMENTS_MAX};
pub use intake::Sink;

use crate::aws::Aws;
use crate::net::dns::Resolver;
use crate::net::{http1, spawn, DatagramSocket, Listener, Notify};
use crate::observe::{Budget, Registry};
use crate::pipeline::ReceiverAccount;
use datagrams::Source;
use intake::Intake;
use proxy::Proxy;

/// Attempts to find a port that is free for both protocols.
const PORT_ATTEMPTS_MAX: usize = 16;

/// Asked of the kernel: as many documents of full size as arrive while one turn is worked on.
const RECEIVE_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// What the receiver needs of the program.
pub struct Surroundings<'a> {
    pub registry: &'a Rc<Registry>,
    pub budget: &'a Rc<Budget>,
    pub aws: &'a Rc<Aws>,
    pub resolver: &'a Rc<Resolver>,
    /// Counts spans; nobody else counts what this receiver takes.
    pub spans: Rc<ReceiverAccount>,
    pub takes: Takes,
}

/// What of a document some exporter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Documents are refused.
    Nothing,
    /// Documents are checked, not translated.
    Documents,
    /// Spans, and perhaps documents too.
    Spans,
}

/// The receiver, its sockets open.
pub struct Xray<S> {
    intake: Rc<Intake<S>>,
    sources: Vec<Rc<Source>>,
    listener: Listener,
    proxy: Rc<Proxy>,
    /// How long its clients may take; tests wait less.
    waits: http1::Waits,
}

impl<S: Sink> Xray<S> {
    /// Opens all sockets; fails where one cannot be, and says which and why.
    pub fn open(config: &Config, around: Surroundings<'_>, sink: S) -> Result<Xray<S>, String> {
        let (sockets, listener) = bind(config.address)?;
        for socket in &sockets {
            // Whatever is granted will do: what is dropped is counted.
            let _ = socket.set_recv_buffer(RECEIVE_BUFFER_BYTES);
        }
        log::info!("xray: listening on {} (UDP and TCP)", listener.local_addr());
        if around.takes == Takes::Nothing {
            log::warn!("xray: no exporter takes traces; segments are refused");
        }
        let Surroundings { registry, budget, aws, resolver, spans, takes } = around;
        Ok(Xray {
            intake: Intake::new(spans, takes, registry, budget, sink),
            sources: sockets.into_iter().map(Source::new).collect(),
            listener,
            waits: http1::Waits::default(),
            proxy: Rc::new(Proxy::new(config, aws, resolver, registry, budget)),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Receives until told to stop; then takes in what has arrived, and gives up what is held.
    pub async fn run(self, stop: Notify) {
        let stop_proxy = Notify::default();
        let mut tasks = vec![spawn(Rc::clone(&self.proxy).close_idle())];
        let proxy = self.proxy;
        let handler = async move |incoming: &mut http1::Incoming<'_>| proxy.answer(incoming).await;
        let server =
            spawn(http1::serve_until(self.listener, self.waits, stop_proxy.clone(), handler));
        tasks.push(spawn(Rc::clone(&self.intake).watch()));
        for source in &self.sources {
            tasks.push(spawn(Rc::clone(source).run(Rc::clone(&self.intake))));
        }
        stop.notified().await;
        drop(tasks);
        for source in &self.sources {
            source.drain(&self.intake).await;
        }
        self.intake.release_all();
        stop_proxy.notify();
        server.await;
    }
}

/// Sockets of both protocols on one port.
fn bind(address: SocketAddr) -> Result<(Vec<DatagramSocket>, Listener), String> {
    let mut attempt = 1;
    loop {
        let (sockets, bound) =
            DatagramSocket::bind_udp(address).map_err(|error| error.to_string())?;
        match Listener::bind_loopback_pair(bound) {
            Ok(listener) => return Ok((sockets, listener)),
            Err(error) if error.kind() == ErrorKind::AddrInUse && address.port() == 0 => {
                if attempt == PORT_ATTEMPTS_MAX {
                    return Err(error.to_string());
                }
                attempt += 1;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}
