//! The one table of flags and settings: parsing, `--help`, the README and hints derive from it.
//!
//! A component is one entry here and one function that fills its room's `Config`. Defaults stand
//! here as a user would type them and are parsed like anything typed.

use super::component::Component;
use super::value::SWITCH;
use super::{
    command, ecs, from_xray, otlp, pipeline, process, remote_write, scrape, statsd, stdout,
    to_otlp, to_xray, Config, FlagError,
};

/// Headings of `--help`, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Receivers,
    Exporters,
    Samples,
    /// These always have a value: where one is not given, its default is filled in.
    Process,
    Commands,
}

/// Whether a flag takes a value, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    /// With `=` only, so that the next argument is never taken for it.
    Optional,
    Required,
}

/// One flag.
#[derive(Debug)]
pub struct Flag {
    /// Without the dashes.
    pub name: &'static str,
    pub role: Role,
    pub takes: Takes,
    /// What stands first in the value, as help shows it; empty where there are only settings.
    pub address: &'static str,
    /// How many addresses may be given.
    pub addresses_max: usize,
    /// The address that is meant where none is given; empty where there is none.
    pub default: &'static str,
    pub repeats: bool,
    pub settings: &'static [Setting],
    /// Takes the client keys too.
    pub client: bool,
    pub help: &'static str,
    /// Checks the value and puts it into the configuration.
    pub fill: fn(&Component, &mut Config) -> Result<(), FlagError>,
}

/// One `key=value`.
#[derive(Debug)]
pub struct Setting {
    /// Ends in `NAME` where the user chooses the rest.
    pub key: &'static str,
    /// What stands for the value in help; [`SWITCH`] makes the bare key mean true.
    pub value: &'static str,
    pub default: &'static str,
    pub help: &'static str,
    /// The value is never shown.
    pub secret: bool,
}

impl Setting {
    const fn new(
        key: &'static str,
        value: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Setting {
        Setting { key, value, default, help, secret: false }
    }

    const fn secret(key: &'static str, value: &'static str, help: &'static str) -> Setting {
        Setting { key, value, default: "", help, secret: true }
    }

    /// What keys of this setting begin with, where the user chooses the rest.
    pub fn prefix(&self) -> Option<&'static str> {
        self.key.strip_suffix("NAME")
    }
}

impl Flag {
    /// A flag with nothing particular: entries below say what differs.
    const BASE: Flag = Flag {
        name: "",
        role: Role::Commands,
        takes: Takes::Nothing,
        address: "",
        addresses_max: 0,
        default: "",
        repeats: false,
        settings: &[],
        client: false,
        help: "",
        fill: command::nothing,
    };

    /// What stands for the value in help.
    pub fn value_name(&self) -> &'static str {
        match self.settings.first() {
            _ if !self.address.is_empty() => self.address,
            Some(setting) if setting.key == "NAME" => "NAME=VALUE",
            Some(_) => "KEY=VALUE…",
            None => "",
        }
    }

    const fn process(
        name: &'static str,
        address: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Flag {
        let (role, takes, addresses_max) = (Role::Process, Takes::Required, 1);
        Flag { name, role, takes, address, addresses_max, default, help, ..Flag::BASE }
    }
}

/// All flags, grouped by role.
pub const FLAGS: &[Flag] = &[
    Flag {
        name: "from-scrape",
        role: Role::Receivers,
        takes: Takes::Required,
        address: "URL",
        addresses_max: 1,
        repeats: true,
        settings: SCRAPE,
        client: true,
        help: "fetch Prometheus text or OpenMetrics from this address at every interval",
        fill: scrape::fill,
        ..Flag::BASE
    },
    Flag {
        name: "from-ecs",
        role: Role::Receivers,
        takes: Takes::Optional,
        settings: ECS,
        help:
            "read the task's own metrics from its metadata endpoint, and find scrape targets there",
        fill: ecs::fill,
        ..Flag::BASE
    },
    Flag {
        name: "from-statsd",
        role: Role::Receivers,
        takes: Takes::Optional,
        address: "IP:PORT|tcp://IP:PORT|unix:PATH",
        addresses_max: statsd::ADDRESSES_MAX,
        default: "127.0.0.1:8125",
        settings: STATSD,
        help: "take StatsD and DogStatsD lines in; all addresses share their series",
        fill: statsd::fill,
        ..Flag::BASE
    },
    Flag {
        name: "from-otlp",
        role: Role::Receivers,
        takes: Takes::Optional,
        settings: OTLP,
        help: "take OpenTelemetry in over gRPC and HTTP, protobuf and JSON",
        fill: otlp::fill,
        ..Flag::BASE
    },
    Flag {
        name: "from-xray",
        role: Role::Receivers,
        takes: Takes::Optional,
        address: "IP:PORT",
        addresses_max: 1,
        default: "127.0.0.1:2000",
        settings: FROM_XRAY,
        help: "take X-Ray segments in by UDP, and pass sampling requests on by TCP, signed",
        fill: from_xray::fill,
        ..Flag::BASE
    },
    Flag {
        name: "to-remote-write",
        role: Role::Exporters,
        takes: Takes::Required,
        address: "URL",
        addresses_max: 1,
        repeats: true,
        settings: REMOTE_WRITE,
        client: true,
        help: "send samples to a Prometheus-compatible database",
        fill: remote_write::fill,
        ..Flag::BASE
    },
    Flag {
        name: "to-otlp",
        role: Role::Exporters,
        takes: Takes::Required,
        address: "URL",
        addresses_max: 1,
        repeats: true,
        settings: TO_OTLP,
        client: true,
        help: "send metrics, traces and logs to an OpenTelemetry endpoint",
        fill: to_otlp::fill,
        ..Flag::BASE
    },
    Flag {
        name: "to-xray",
        role: Role::Exporters,
        takes: Takes::Required,
        address: "REGION|URL",
        addresses_max: 1,
        repeats: true,
        settings: TO_XRAY,
        client: true,
        help: "send traces to the AWS X-Ray API, always signed",
        fill: to_xray::fill,
        ..Flag::BASE
    },
    Flag {
        name: "to-stdout",
        role: Role::Exporters,
        takes: Takes::Optional,
        repeats: true,
        settings: STDOUT,
        help: "print one line per sample, span and log record; what happens without any --to-…",
        fill: stdout::fill,
        ..Flag::BASE
    },
    Flag {
        name: "label",
        role: Role::Samples,
        takes: Takes::Required,
        repeats: true,
        settings: LABEL,
        help: "add this label to every sample that lacks it",
        fill: pipeline::fill_label,
        ..Flag::BASE
    },
    Flag {
        name: "relabel",
        role: Role::Samples,
        takes: Takes::Required,
        repeats: true,
        settings: RELABEL,
        help: "a Prometheus relabel rule; rules apply in the order given",
        fill: pipeline::fill_relabel,
        ..Flag::BASE
    },
    Flag {
        name: "identity",
        role: Role::Samples,
        takes: Takes::Required,
        address: "on|off|LIST",
        addresses_max: 1,
        help: "which labels of the ECS task samples get: ecs_cluster,ecs_service,ecs_task_family,\
               ecs_task_id; off leaves instance and OTLP resources alone too",
        fill: ecs::fill_identity,
        ..Flag::BASE
    },
    Flag {
        fill: process::fill_memory_limit,
        ..Flag::process(
            "memory-limit",
            "SIZE",
            "32MiB",
            "bound of all that is buffered; by default never more than half of what the \
             container may use",
        )
    },
    Flag {
        fill: process::fill_admin,
        ..Flag::process(
            "admin",
            "IP:PORT|off",
            "127.0.0.1:13133",
            "serve / (health) and /metrics here",
        )
    },
    Flag {
        fill: process::fill_stop_timeout,
        ..Flag::process(
            "stop-timeout",
            "DURATION",
            "20s",
            "longest time from SIGTERM to the exit; a second signal ends at once",
        )
    },
    Flag {
        fill: process::fill_linger,
        ..Flag::process(
            "linger",
            "DURATION",
            "1s",
            "how long receivers stay open after SIGTERM, within the stop timeout",
        )
    },
    Flag {
        fill: process::fill_log_level,
        ..Flag::process("log-level", LEVELS, "info", "which events are logged to stderr")
    },
    Flag {
        fill: process::fill_log_format,
        ..Flag::process("log-format", FORMATS, "text", "how lines on stderr look")
    },
    Flag {
        name: "check",
        help: "try the flags and each destination, report line by line, exit",
        ..Flag::BASE
    },
    Flag {
        name: "healthcheck",
        takes: Takes::Optional,
        address: "IP:PORT",
        addresses_max: 1,
        default: "127.0.0.1:13133",
        help: "exit with 0 if the otlet that runs here answers healthy within 2 s; so does a \
               program that is called healthcheck",
        ..Flag::BASE
    },
    Flag {
        name: "help",
        takes: Takes::Optional,
        address: "FLAG",
        addresses_max: 1,
        help: "show all flags, or the settings of one; --help=client those of connections",
        ..Flag::BASE
    },
    Flag { name: "version", help: "show version, commit and target", ..Flag::BASE },
];

/// Log levels, from few lines to many.
pub const LEVELS: &str = "error|warn|info|debug|trace";

/// Ways to write a line.
pub const FORMATS: &str = "text|json";

const DURATION: &str = "DURATION";
const LABEL_NAME: &str = "label.NAME";

const SCRAPE: &[Setting] = &[
    Setting::new("job", "TEXT", "otlet", "the label job"),
    Setting::new("interval", DURATION, "15s", "from one scrape to the next"),
    Setting::new("timeout", DURATION, "10s", "for one scrape; never longer than the interval"),
    Setting::new(LABEL_NAME, "TEXT", "", "a label of the target"),
    Setting::new("honor_labels", SWITCH, "false", "labels in the data win over the target's"),
    Setting::new("honor_timestamps", SWITCH, "true", "timestamps in the data are kept"),
    Setting::new("sample_limit", "COUNT", "0", "more samples fail the scrape; 0 is no limit"),
    Setting::new("label_limit", "COUNT", "0", "more labels on a sample fail the scrape; 0: none"),
    Setting::new("body_limit", "SIZE", "64MiB", "a longer body, unpacked, fails the scrape"),
    Setting::new("keep", "REGEX", "", "keep only metrics whose whole name matches"),
    Setting::new("drop", "REGEX", "", "drop metrics whose whole name matches"),
];

const ECS: &[Setting] = &[
    Setting::new("interval", DURATION, "15s", "from one collection to the next"),
    Setting::new("metrics", "adot,exporter,semconv", "adot", "whose names; several are allowed"),
    Setting::new("discover", SWITCH, "true", "scrape containers that ask for it by docker label"),
];

const STATSD: &[Setting] = &[
    Setting::new("interval", DURATION, "10s", "from one flush to the next"),
    Setting::new("timers", statsd::TIMERS, "histogram", "what ms, h and d become"),
    Setting::new(
        "buckets",
        "LIST",
        "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10",
        "upper bounds of timers=histogram; seconds for ms",
    ),
    Setting::new("idle", DURATION, "5m", "a series that is silent for so long ends; 0s: never"),
    Setting::new("series_max", "COUNT", "10000", "lines that would start one more are refused"),
    Setting::new("prefix", "TEXT", "", "stands before every metric's name, as it is"),
    Setting::new("rcvbuf", "SIZE", "4MiB", "receive buffer asked for, per socket"),
];

/// Whose metric names, where the OpenTelemetry world has two.
pub const NAMES: &str = "prometheus|adot";

const OTLP: &[Setting] = &[
    Setting::new("grpc", "IP:PORT|off", "127.0.0.1:4317", "listen for gRPC here"),
    Setting::new("http", "IP:PORT|off", "127.0.0.1:4318", "listen for HTTP here"),
    Setting::new("body_limit", "SIZE", "16MiB", "a longer body, unpacked, is refused"),
    Setting::new("cors", "LIST", "", "origins whose web pages may send, * for anything in one"),
];

const FROM_XRAY: &[Setting] = &[
    Setting::new("upstream", "URL", "", "where sampling requests go; else the region's X-Ray"),
    Setting::new("region", "REGION", "", "signed for; else that of the task"),
];

const QUEUE: Setting =
    Setting::new("queue", "SIZE", "", "what may wait; else an equal share of --memory-limit");
const RETRY_FOR: Setting =
    Setting::new("retry_for", DURATION, "1h", "age at which a failing request is given up");

const REMOTE_WRITE: &[Setting] = &[
    Setting::new("batch", DURATION, "5s", "how long samples are gathered for one request"),
    Setting::new("samples_max", "COUNT", "2000", "this many samples close a batch early"),
    Setting::new("metadata", SWITCH, "true", "send type, unit and help of metrics too"),
    Setting::new("names", NAMES, "prometheus", "whose names OTLP metrics get"),
    Setting::new("resource_labels", "LIST|all", "", "OTLP resource attributes that become labels"),
    Setting::new("scope_labels", SWITCH, "false", "an OTLP metric's scope becomes labels"),
    Setting::new("native_histograms", SWITCH, "false", "exponential histograms become native"),
    Setting::new("streams_max", "COUNT", "10000", "OTLP series of delta temporality summed up"),
    Setting::new("stale", DURATION, "5m", "silence after which such a series is forgotten"),
    Setting::new(LABEL_NAME, "TEXT", "", "a label for this destination alone"),
    QUEUE,
    RETRY_FOR,
];

const TO_XRAY: &[Setting] = &[
    Setting::new("batch", DURATION, "1s", "how long documents are gathered for one request"),
    QUEUE,
    RETRY_FOR,
];

const TO_OTLP: &[Setting] = &[
    Setting::new("signals", "LIST", "metrics,traces,logs", "what is sent there"),
    Setting::new("protocol", to_otlp::PROTOCOLS, "http", "protobuf over HTTP/1.1, or gRPC"),
    Setting::new("compression", to_otlp::COMPRESSIONS, "gzip", "of requests"),
    Setting::new("batch", DURATION, "1s", "how long data is gathered for one request"),
    Setting::new(
        "metrics_url",
        "URL",
        "",
        "where metrics go, instead of the address + /v1/metrics",
    ),
    Setting::new("traces_url", "URL", "", "where traces go, instead of the address + /v1/traces"),
    Setting::new("logs_url", "URL", "", "where logs go, instead of the address + /v1/logs"),
    QUEUE,
    RETRY_FOR,
];

const STDOUT: &[Setting] = &[Setting::new("format", FORMATS, "text", "how a line looks")];

const LABEL: &[Setting] = &[Setting::new("NAME", "VALUE", "", "the label's name and value")];

const RELABEL: &[Setting] = &[
    Setting::new("action", pipeline::ACTIONS, "replace", "what the rule does"),
    Setting::new("source", "LIST", "", "labels whose values are joined and matched"),
    Setting::new("separator", "TEXT", ";", "between the joined values"),
    Setting::new("regex", "REGEX", "(.*)", "matches the whole of them, or of the label's name"),
    Setting::new("target", "LABEL", "", "the label that is written or compared with"),
    Setting::new("replacement", "TEXT", "$1", "the value written; $1 is the regex's first group"),
];

/// The client keys: the same for everything that connects out.
pub const CLIENT: &[Setting] = &[
    Setting::new("username", "TEXT", "", "Basic authentication"),
    Setting::secret("password", "TEXT", "Basic authentication"),
    Setting::secret("bearer", "TEXT", "Bearer authentication"),
    Setting::secret("header.NAME", "TEXT", "one more header of every request"),
    Setting::new("sigv4", SWITCH, "false", "sign requests as AWS wants it; for destinations"),
    Setting::new("region", "NAME", "", "sigv4: instead of the host's or the environment's"),
    Setting::new("service", "NAME", "", "sigv4: the signing name, instead of the host's"),
    Setting::new("role_arn", "ARN", "", "sigv4: assume this role first"),
    Setting::secret("external_id", "TEXT", "sigv4: what the role's trust policy asks for"),
    Setting::new("sts", "URL", "", "sigv4: STS's address instead of the region's"),
    Setting::new("tls.ca", "PEM", "", "trust this instead of the built-in roots: file or text"),
    Setting::secret("tls.cert", "PEM", "otlet's own certificate chain: file or text"),
    Setting::secret("tls.key", "PEM", "its private key: file or text"),
    Setting::new("tls.server_name", "HOST", "", "the name to verify instead of the URL's"),
    Setting::new("tls.insecure", SWITCH, "false", "accept any certificate"),
    Setting::new("timeout", DURATION, "30s", "for one request"),
    Setting::new("proxy", "URL", "", "an HTTP proxy to connect through"),
    Setting::new("name", "TEXT", "", "the destination's name in metrics and logs"),
];
