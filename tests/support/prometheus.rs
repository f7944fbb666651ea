//! A real Prometheus: remote-write receiver, scraper, and the judge of what arrived.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::http::{self, encode};
use super::json::Json;
use super::{free_port, program, wait_for, Labels, Process, TempDir};

pub struct Prometheus {
    pub address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts it with the given configuration (YAML; empty for none) and waits until it is ready.
    pub fn start(config: &str) -> Prometheus {
        Prometheus::start_with(config, &[])
    }

    pub fn start_with(config: &str, flags: &[&str]) -> Prometheus {
        let folder = TempDir::new();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let config = folder.write("prometheus.yml", config);
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=warn"])
            .arg("--enable-feature=exemplar-storage")
            .args(flags)
            .current_dir(folder.path())
            .stdout(Stdio::null());
        let process = Process::start(&mut command);
        wait_for("Prometheus to be ready", || {
            http::get(address, "/-/ready").ok().filter(|answer| answer.status() == 200)
        });
        Prometheus { address, _process: process, _folder: folder }
    }

    pub fn write_url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// The `data` of an API answer.
    #[track_caller]
    pub fn api(&self, target: &str) -> Json {
        let answer = http::get(self.address, target).expect("an answer");
        let json = Json::parse(&answer.text());
        assert_eq!(json.get("status"), &Json::Text("success".into()), "{}", answer.text());
        json.get("data").clone()
    }

    /// The instant vector of a query, at this moment.
    #[track_caller]
    pub fn query(&self, promql: &str) -> BTreeMap<Labels, f64> {
        let data = self.api(&format!("/api/v1/query?query={}", encode(promql)));
        let entries = data.get("result").list().iter();
        entries.map(|entry| (entry.get("metric").labels(), value(entry.get("value")).1)).collect()
    }

    /// The stored samples of a range selector, such as `{job="web"}[5m]`: Unix seconds and value,
    /// without staleness markers.
    #[track_caller]
    pub fn samples(&self, range: &str) -> BTreeMap<Labels, Vec<(f64, f64)>> {
        let data = self.api(&format!("/api/v1/query?query={}", encode(range)));
        let entries = data.get("result").list().iter();
        let values = |entry: &Json| entry.get("values").list().iter().map(value).collect();
        entries.map(|entry| (entry.get("metric").labels(), values(entry))).collect()
    }
}

/// `[1700000000.5, "12"]`
fn value(pair: &Json) -> (f64, f64) {
    let [time, value] = pair.list() else { panic!("not a sample: {pair:?}") };
    (time.number(), value.text().parse().expect("a number"))
}
