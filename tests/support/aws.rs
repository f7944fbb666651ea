//! AWS as the tests meet it: tests/aws/server.py with a database behind it, and the real program in
//! front.

use std::process::Command;

use super::http;
use super::otlet::{Exit, Metrics, Otlet};
use super::peers::Peer;
use super::remote_write::RemoteWrite;
use super::scripted::HttpServer;
use super::{python, repository, wait_for};

/// The variables of the key that the server knows from the start.
pub const STATIC: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIASTATIC0000000001"), ("AWS_SECRET_ACCESS_KEY", "static-s3cret/+")];
pub const TASK: &str = "arn:aws:iam::111122223333:role/task";
pub const WRITER: &str = "arn:aws:iam::444455556666:role/writer";

/// AWS, and the database behind it.
pub struct Cloud {
    pub peer: Peer,
    pub database: RemoteWrite,
}

impl Cloud {
    pub fn start() -> Cloud {
        let database = RemoteWrite::start();
        let peer = aws_before(&database.http.server.address.to_string());
        Cloud { peer, database }
    }

    /// `name=value&…`; what there is stands in server.py.
    pub fn set(&self, settings: &str) {
        assert_eq!(
            http::get(self.peer.address, &format!("/_set?{settings}")).unwrap().status(),
            200
        );
    }

    pub fn seen(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        Metrics::parse(&http::get(self.peer.address, "/_state").unwrap().text()).sum(name, labels)
    }

    pub fn wait_seen(&self, name: &str, labels: &[(&str, &str)], least: f64) {
        wait_for(name, || (self.seen(name, labels) >= least).then_some(()));
    }

    /// The flag that sends here.
    pub fn to(&self, path: &str, settings: &str) -> String {
        let url = self.peer.url(path);
        format!("--to-remote-write={url} batch=50ms sigv4 {settings}")
    }

    /// The variables of a task role.
    pub fn task(&self) -> [(&'static str, String); 1] {
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", self.peer.url("/creds"))]
    }
}

pub const WRITE: &str = "/workspaces/ws-1/api/v1/remote_write";
pub const KNOWN: &str = "service=aps region=eu-west-1";

/// A page, and the flag that scrapes it.
pub fn page() -> (HttpServer, String) {
    let page = HttpServer::page("a 1\n");
    let flag = format!("--from-scrape={} interval=200ms timeout=200ms", page.url("/metrics"));
    (page, flag)
}

pub fn command<V: AsRef<str>>(environment: &[(&str, V)], flags: &[&str]) -> Command {
    let mut command = Otlet::command();
    command.args(["--admin", "127.0.0.1:0"]).args(flags);
    command.envs(environment.iter().map(|(name, value)| (name, value.as_ref())));
    command
}

pub fn start<V: AsRef<str>>(environment: &[(&str, V)], flags: &[&str]) -> Otlet {
    Otlet::spawn(&mut command(environment, flags))
}

pub fn check<V: AsRef<str>>(environment: &[(&str, V)], to: &str) -> Exit {
    let from = "--from-statsd=127.0.0.1:0";
    let exit = Otlet::run(&mut command(environment, &[from, to, "--check"]));
    shows_no_secret(&exit.stdout);
    shows_no_secret(&exit.stderr);
    exit
}

#[track_caller]
pub fn shows_no_secret(lines: &[String]) {
    assert!(!lines.iter().any(|line| line.contains("s3cret")), "{lines:#?}");
}

/// Stops it, and looks for secrets in all that it said.
#[track_caller]
pub fn stop(otlet: Otlet) -> Exit {
    for page in ["/metrics", "/status", "/"] {
        shows_no_secret(&[http::get(otlet.admin(), page).unwrap().text()]);
    }
    let exit = otlet.stop();
    assert_eq!(exit.status.code(), Some(0), "{:?}", exit.stderr);
    shows_no_secret(&exit.stderr);
    exit
}

/// What was counted of the destination, under any reason.
pub fn items(metrics: &Metrics, what: &str) -> f64 {
    metrics.sum(&format!("otlet_exporter_{what}"), &[("exporter", "remote-write")])
}

/// The server before a database of that address.
pub fn aws_before(database: &str) -> Peer {
    let server = repository("tests/aws/server.py");
    Peer::start_announced(python().arg(server).arg(database))
}
