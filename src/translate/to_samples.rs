//! Walks a metrics body and says its samples, a bounded piece at a time.
//!
//! One [`Walk`] is one body under way; the caller may do other things between two pieces. What is
//! kept from body to body are buffers, the streams of delta series, and what start times tell of
//! senders that share a resource.
//!
//! Cost: a point is read twice (scalars, attributes), its labels written to one text and sorted;
//! measured in benches/otlp.rs.

use foldhash::quality::FixedState;
use std::hash::{BuildHasher, Hash, Hasher};

use crate::codec::otlp::{
    resource_metrics, AnyValue, Attribute, Attributes, Data, Metric, Metrics, Points, Resource,
    Resources, Scope, Scopes,
};
use crate::model::{MetricType, Part};

use super::config::Config;
use super::delta::Streams;
use super::emit::{Buffers, Emit, Metadata};
use super::label_set::{LabelSet, Mark, Rules};
use super::names::{Name, NameKind};
use super::point::Scratch;
use super::prefork::Prefork;
use super::{Out, Reason};

/// Samples between two yields: half a millisecond in an encoder.
const PIECE_SAMPLES_MAX: u64 = 1024;

/// The same for what gives no sample: resources, scopes and metrics opened, points dropped.
const PIECE_STEPS_MAX: usize = 4096;

/// Points of a resource whose start times are looked at.
pub(super) const WATCHED_POINTS_MAX: u32 = 8;

/// What came of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub points: u64,
    /// `target_info` and zeros at birth among them.
    pub samples: u64,
    dropped: [u64; Reason::ALL.len()],
    /// Senders were found to share a resource without `service.instance.id`; said once.
    pub found_shared_resource: bool,
}

impl Report {
    /// Points dropped, by reason; only those that are not zero.
    pub fn dropped(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let all = Reason::ALL.iter().map(|drop| (drop.reason(), self.dropped[*drop as usize]));
        all.filter(|(_, points)| *points > 0)
    }

    pub(super) fn drop(&mut self, drop: Reason, points: u64) {
        self.dropped[drop as usize] += points;
    }
}

/// A body under way.
pub struct Walk<'a> {
    resources: Resources<'a>,
    resource: Option<Resource<'a>>,
    scopes: Option<Scopes<'a>>,
    metrics: Option<Metrics<'a>>,
    pub(super) open: Option<Open<'a>>,
    /// The resource's attributes that become labels.
    pub(super) promoted: Vec<Attribute<'a>>,
    pub(super) sorted: Vec<Attribute<'a>>,
    /// How much of the label set is the resource's.
    mark: Mark,
    pub(super) resource_key: u64,
    pub(super) scope_key: u64,
    /// Points of this resource whose start times are still to be looked at.
    pub(super) watch: u32,
    /// The newest point of this resource.
    pub(super) newest_ns: u64,
    pub report: Report,
}

impl<'a> Walk<'a> {
    /// Begins with a body that was validated.
    pub fn new(body: &'a [u8]) -> Walk<'a> {
        Walk {
            resources: resource_metrics(body),
            resource: None,
            scopes: None,
            metrics: None,
            open: None,
            promoted: Vec::new(),
            sorted: Vec::new(),
            mark: Mark::default(),
            resource_key: 0,
            scope_key: 0,
            watch: 0,
            newest_ns: 0,
            report: Report::default(),
        }
    }
}

/// A metric whose points are being read.
pub(super) struct Open<'a> {
    pub points: Points<'a>,
    pub data: Data,
    /// Identifies the metric among all.
    pub key: u64,
    /// It had a sample.
    pub is_used: bool,
}

/// Turns bodies into samples. One for each destination, because its settings are the destination's.
pub struct Translator {
    pub(super) rules: Rules,
    scope_labels: bool,
    pub(super) native_histograms: bool,
    pub(super) streams: Streams,
    pub(super) prefork: Prefork,
    hasher: FixedState,
    /// `instance` of resources that do not say theirs; empty is none.
    instance: String,
    name: Name,
    pub(super) metadata: Metadata,
    pub(super) set: LabelSet,
    pub(super) buffers: Buffers,
    pub(super) scratch: Scratch,
}

impl Translator {
    /// `seed` is random: senders must not be able to make their series collide.
    pub fn new(config: &Config, seed: u64) -> Translator {
        let stale_s = u32::try_from(config.stale.as_secs()).unwrap_or(u32::MAX);
        Translator {
            rules: Rules::new(config),
            scope_labels: config.scope_labels,
            native_histograms: config.native_histograms,
            streams: Streams::new(config.streams_max, stale_s, seed),
            prefork: Prefork::new(seed),
            hasher: FixedState::with_seed(seed),
            instance: String::new(),
            name: Name::default(),
            metadata: Metadata::default(),
            set: LabelSet::default(),
            buffers: Buffers::default(),
            scratch: Scratch::default(),
        }
    }

    /// The label `instance` of resources without `service.instance.id`: the task's id.
    pub fn set_instance(&mut self, instance: &str) {
        instance.clone_into(&mut self.instance);
    }

    /// Delta series that are being summed up.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Says one piece of a body's samples; true when the body is done. `now_s` is any clock that
    /// does not go back. A body that is begun is finished before another is.
    pub fn piece(
        &mut self,
        walk: &mut Walk<'_>,
        now_s: u32,
        out: &mut impl FnMut(Out<'_>),
    ) -> bool {
        self.streams.expire(now_s);
        let end = walk.report.samples + PIECE_SAMPLES_MAX;
        for _ in 0..PIECE_STEPS_MAX {
            if walk.report.samples >= end {
                break;
            }
            if walk.open.is_some() {
                if !self.point(walk, now_s, out) {
                    self.close_metric(walk, out);
                }
            } else if let Some(metric) = walk.metrics.as_mut().and_then(Iterator::next) {
                self.open_metric(walk, metric);
            } else if let Some(scope) = walk.scopes.as_mut().and_then(Iterator::next) {
                self.open_scope(walk, scope);
            } else {
                self.target_info(walk, out);
                let Some(resource) = walk.resources.next() else { return true };
                self.open_resource(walk, resource);
            }
        }
        false
    }

    fn open_resource<'a>(&mut self, walk: &mut Walk<'a>, resource: Resource<'a>) {
        self.set.clear();
        let job = Job::of(resource.attributes());
        let instance = if job.instance.is_empty() { &self.instance } else { job.instance };
        self.set.set_joined("job", [job.namespace, job.name]);
        self.set.set("instance", instance);
        walk.mark = self.set.fix();
        self.rules.promote(resource.attributes(), &mut walk.promoted);
        walk.resource_key = self.hash(resource.attributes(), 1);
        walk.watch = if job.instance.is_empty() { WATCHED_POINTS_MAX } else { 0 };
        (walk.newest_ns, walk.metrics) = (0, None);
        (walk.resource, walk.scopes) = (Some(resource), Some(resource.scopes()));
    }

    fn open_scope<'a>(&mut self, walk: &mut Walk<'a>, scope: Scope<'a>) {
        walk.metrics = Some(scope.metrics());
        let (name, version) = scope.name_and_version();
        let key = self.hasher.hash_one((walk.resource_key, name, version));
        walk.scope_key = self.hash(scope.attributes(), key);
        self.set.reset(walk.mark);
        if !self.scope_labels {
            return;
        }
        for attribute in scope.attributes() {
            if !["name", "version", "schema_url"].contains(&attribute.key) {
                self.set.set_scope(&attribute, self.rules.style);
            }
        }
        self.set.set("otel_scope_name", name);
        self.set.set("otel_scope_version", version);
        self.set.set("otel_scope_schema_url", scope.schema_url());
        self.set.fix();
    }

    fn open_metric<'a>(&mut self, walk: &mut Walk<'a>, metric: Metric<'a>) {
        let (kind, metric_type) = kind(&metric);
        if !self.name.translate(metric.name, metric.unit, kind) {
            let points = metric.points().count();
            walk.report.points += points;
            return walk.report.drop(Reason::Name, points);
        }
        self.metadata.set(&self.name.name, metric_type, &self.name.unit, metric.description);
        let data = match metric.data {
            Data::Gauge => (1, 0),
            Data::Sum { temporality, is_monotonic } => {
                (2 + u8::from(is_monotonic), temporality as u8)
            }
            Data::Histogram(temporality) => (4, temporality as u8),
            Data::ExponentialHistogram(temporality) => (5, temporality as u8),
            Data::Summary => (6, 0),
            Data::Unknown => (7, 0),
        };
        let key = self.hasher.hash_one((walk.scope_key, metric.name, metric.unit, data));
        let (points, data) = (metric.points(), metric.data);
        walk.open = Some(Open { points, data, key, is_used: false });
    }

    fn close_metric(&mut self, walk: &mut Walk<'_>, out: &mut impl FnMut(Out<'_>)) {
        if walk.open.take().is_some_and(|open| open.is_used) {
            out(Out::EndFamily(&self.metadata.family()));
        }
    }

    /// What is known of the resource, as a sample of its own.
    fn target_info(&mut self, walk: &mut Walk<'_>, out: &mut impl FnMut(Out<'_>)) {
        let Some(resource) = walk.resource.take() else { return };
        self.set.reset(walk.mark);
        let has_identity = self.set.labels().next().is_some();
        let mut has_more = false;
        for attribute in resource.attributes().filter(|attribute| !is_identity(attribute.key)) {
            has_more = true;
            self.set.push(&attribute, self.rules.target_style);
        }
        if !has_identity || !has_more || walk.newest_ns == 0 {
            return;
        }
        self.metadata.set("target_info", MetricType::Gauge, "", "Target metadata");
        let time_ms = (walk.newest_ns / 1_000_000) as i64;
        walk.report.samples +=
            Emit::point(&mut self.buffers, &self.metadata, &self.set, out, |emit| {
                emit.sample(Part::Value, 1.0, time_ms);
            });
        out(Out::EndFamily(&self.metadata.family()));
    }

    /// A hash of attributes, whatever their order.
    pub(super) fn hash(&self, attributes: Attributes<'_>, base: u64) -> u64 {
        let hashes = attributes.map(|attribute| {
            let mut hasher = self.hasher.build_hasher();
            attribute.key.hash(&mut hasher);
            match attribute.value {
                AnyValue::Empty => 0_u8.hash(&mut hasher),
                AnyValue::Text(text) => (1_u8, text).hash(&mut hasher),
                AnyValue::Bool(truth) => (2_u8, truth).hash(&mut hasher),
                AnyValue::Int(number) => (3_u8, number).hash(&mut hasher),
                AnyValue::Double(number) => (4_u8, number.to_bits()).hash(&mut hasher),
                AnyValue::Bytes(bytes) => (5_u8, bytes).hash(&mut hasher),
                AnyValue::Array(bytes) => (6_u8, bytes).hash(&mut hasher),
                AnyValue::Map(bytes) => (7_u8, bytes).hash(&mut hasher),
            }
            hasher.finish()
        });
        let sum = hashes.fold(0_u64, u64::wrapping_add);
        self.hasher.hash_one((base, sum))
    }
}

/// What identifies a target.
#[derive(Default)]
struct Job<'a> {
    namespace: &'a str,
    name: &'a str,
    instance: &'a str,
}

impl<'a> Job<'a> {
    fn of(attributes: Attributes<'a>) -> Job<'a> {
        let mut job = Job::default();
        for attribute in attributes {
            let AnyValue::Text(text) = attribute.value else { continue };
            match attribute.key {
                "service.namespace" => job.namespace = text,
                "service.name" => job.name = text,
                "service.instance.id" => job.instance = text,
                _ => {}
            }
        }
        if job.name.is_empty() {
            job.namespace = "";
        }
        job
    }
}

fn is_identity(key: &str) -> bool {
    ["service.namespace", "service.name", "service.instance.id"].contains(&key)
}

/// What a metric's name depends on, and its type towards Prometheus: its own, or the one it had
/// there before (`Metric.metadata`).
fn kind(metric: &Metric<'_>) -> (NameKind, MetricType) {
    let before = || {
        let mut types = metric.metadata().filter(|entry| entry.key == "prometheus.type");
        match types.next().map(|entry| entry.value) {
            Some(AnyValue::Text(text)) => text,
            _ => "",
        }
    };
    match metric.data {
        Data::Gauge if before() == "unknown" => (NameKind::Gauge, MetricType::Unknown),
        Data::Gauge => (NameKind::Gauge, MetricType::Gauge),
        Data::Sum { is_monotonic: true, .. } => (NameKind::Monotonic, MetricType::Counter),
        Data::Sum { .. } => match before() {
            "info" => (NameKind::Other, MetricType::Info),
            "stateset" => (NameKind::Other, MetricType::StateSet),
            _ => (NameKind::Other, MetricType::Gauge),
        },
        Data::Histogram(_) | Data::ExponentialHistogram(_) => {
            (NameKind::Other, MetricType::Histogram)
        }
        Data::Summary => (NameKind::Other, MetricType::Summary),
        Data::Unknown => (NameKind::Other, MetricType::Unknown),
    }
}
