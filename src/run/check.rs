//! `--check`: what would be used is tried, one line each, and nothing is kept running.
//!
//! The flags are parsed before; here the task's metadata is asked for where there should be some,
//! credentials are fetched, and each destination gets one empty request, signed where it is to be.
//! Scrape targets are asked for their page, and ports that others have are named; neither counts as
//! a failure, since the application may come later, and a collector that runs here has its ports.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::aws::task_metadata::parse_task;
use crate::aws::{Aws, Environment};
use crate::export::otlp::{self, Otlp};
use crate::export::queue::Queues;
use crate::export::remote_write::{self, RemoteWrite, Sender};
use crate::export::xray;
use crate::flags::{Config, Exporter, Receiver};
use crate::net::{self, dns::Resolver, DatagramSocket, Listener};
use crate::observe::output::say;
use crate::observe::{Budget, Registry};
use crate::pipeline::Pipeline;
use crate::receive::scrape;
use crate::receive::statsd::Address;

/// Tries everything; the error says how much failed.
pub fn check(config: Config) -> Result<(), String> {
    net::run(async {
        let registry = Registry::new();
        let queues = Queues::new(Budget::new(config.memory_limit_bytes));
        let resolver = Rc::new(Resolver::default());
        let aws = Aws::new(config.environment.clone(), Rc::clone(&resolver));
        Pipeline::new(&config.pipeline, Vec::new(), Rc::clone(&registry))?;
        let mut report = Report::default();
        if let Some(result) = task(&aws, &config.environment).await {
            report.line("task metadata", result)?;
        }
        for exporter in config.exporters {
            let around = (&registry, &queues, &resolver, &aws);
            match exporter {
                Exporter::RemoteWrite(config) => remote_write(config, around, &mut report).await?,
                Exporter::Otlp(config) => otlp(config, around, &mut report).await?,
                Exporter::Xray(config) => xray(config, around, &mut report).await?,
                Exporter::Stdout(_) => {}
            }
        }
        for receiver in &config.receivers {
            if let Receiver::Scrape(target) = receiver {
                let result = scrape::probe(target, &resolver).await;
                report.remark(&format!("scrape of {}", target.url), result)?;
            }
        }
        for (what, why) in taken_ports(config.admin.listen, &config.receivers) {
            report.remark(&what, Err(why))?;
        }
        report.end()
    })
}

/// What every exporter is built from.
type Around<'a> = (&'a Rc<Registry>, &'a Rc<Queues>, &'a Rc<Resolver>, &'a Rc<Aws>);

async fn remote_write(
    config: remote_write::Config,
    (registry, queues, resolver, aws): Around<'_>,
    report: &mut Report,
) -> Result<(), String> {
    let name = config.client.name.clone().unwrap_or_else(|| config.url.authority());
    let name = format!("remote write to {name}");
    let exporter = RemoteWrite::new(config, &name, registry, queues, 0);
    let mut sender = Sender::new(exporter, resolver, aws)
        .map_err(|error| format!("--to-remote-write: {error}"))?;
    if report.credentials(&name, sender.check_credentials().await)? {
        report.line(&name, sender.check().await)?;
    }
    Ok(())
}

/// Each signal has its own address.
async fn otlp(
    config: otlp::Config,
    (registry, queues, resolver, aws): Around<'_>,
    report: &mut Report,
) -> Result<(), String> {
    let name = config.client.name.clone().unwrap_or_else(|| config.url.authority());
    let exporter = Otlp::new(config, &name, registry, queues, 0, 0);
    let senders = exporter.senders(resolver, aws).map_err(|error| format!("--to-otlp: {error}"))?;
    for (signal, mut sender) in senders {
        let name = format!("otlp {} to {name}", signal.name());
        if report.credentials(&name, sender.check_credentials().await)? {
            report.line(&name, sender.check().await)?;
        }
    }
    Ok(())
}

async fn xray(
    config: xray::Config,
    (registry, queues, resolver, aws): Around<'_>,
    report: &mut Report,
) -> Result<(), String> {
    let name = format!("xray to {}", config.endpoint.authority());
    let exporter = xray::Xray::new(config, &name, registry, queues, 0);
    let mut sender = xray::Sender::new(exporter, resolver, aws)
        .map_err(|error| format!("--to-xray: {error}"))?;
    if report.credentials(&name, sender.check_credentials().await)? {
        report.line(&name, sender.check().await)?;
    }
    Ok(())
}

/// Which addresses could not be listened on, and why.
fn taken_ports(admin: Option<SocketAddr>, receivers: &[Receiver]) -> Vec<(String, String)> {
    let mut taken = Vec::new();
    let mut note = |what: &str, result: io::Result<()>| {
        if let Err(why) = result {
            taken.push((what.to_owned(), why.to_string()));
        }
    };
    let tcp = |address| Listener::bind_loopback_pair(address).map(|_| ());
    let udp = |address| DatagramSocket::bind_udp(address).map(|_| ());
    let given = |address: Option<SocketAddr>| address.map_or(Ok(()), tcp);
    note("admin", given(admin));
    for receiver in receivers {
        match receiver {
            Receiver::Otlp(config) => {
                note("otlp over gRPC", given(config.grpc));
                note("otlp over HTTP", given(config.http));
            }
            Receiver::Statsd(config) => {
                config.listeners.iter().for_each(|address| match address {
                    Address::Udp(address) => note("statsd", udp(*address)),
                    Address::Tcp(address) => note("statsd", tcp(*address)),
                    Address::Unix(path) => {
                        note("statsd", DatagramSocket::bind_unix(path).map(|_| ()))
                    }
                });
            }
            Receiver::Xray(config) => {
                note("xray", udp(config.address).and_then(|()| tcp(config.address)));
            }
            Receiver::Ecs(_) | Receiver::Scrape(_) => {}
        }
    }
    taken
}

/// Lines on stdout, and how many told of a failure.
#[derive(Default)]
struct Report {
    failed: usize,
}

impl Report {
    fn line(&mut self, what: &str, result: Result<String, String>) -> Result<(), String> {
        self.failed += usize::from(result.is_err());
        self.remark(what, result)
    }

    /// A line that does not count.
    fn remark(&self, what: &str, result: Result<String, String>) -> Result<(), String> {
        match result {
            Ok(answer) => say(&format!("{what}: ok ({answer})\n")),
            Err(why) => say(&format!("{what}: {why}\n")),
        }
    }

    /// The line about a destination's credentials, where it has some; false if they are lacking.
    fn credentials(
        &mut self,
        name: &str,
        result: Option<Result<String, String>>,
    ) -> Result<bool, String> {
        let Some(result) = result else { return Ok(true) };
        let is_there = result.is_ok();
        self.line(&format!("{name}: credentials"), result)?;
        Ok(is_there)
    }

    fn end(self) -> Result<(), String> {
        match self.failed {
            0 => say("flags: ok\n"),
            count => Err(format!("{count} of the checks failed")),
        }
    }
}

/// The task's metadata, where ECS says that there is some.
async fn task(aws: &Aws, environment: &Environment) -> Option<Result<String, String>> {
    environment.get("ECS_CONTAINER_METADATA_URI_V4")?;
    let document = match aws.task_document().await {
        Ok(document) => document,
        Err(why) => return Some(Err(why)),
    };
    Some(match parse_task(document.as_bytes()) {
        Ok(task) => {
            let parts = [task.cluster_name(), task.family.as_deref(), task.id()];
            let known: Vec<&str> = parts.into_iter().flatten().collect();
            Ok(known.join(" / "))
        }
        Err(error) => Err(error.to_string()),
    })
}
