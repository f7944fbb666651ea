//! Samples to OTLP points: the parts of a family are put together again, one resource per target
//! (OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", "Prometheus Metric
//! points to OTLP").
//!
//! Samples come family by family, as receivers say them. Names stay as they are, suffixes too;
//! `job` and `instance` become `service.name` and `service.instance.id`, every other label an
//! attribute. What has no place in OTLP's shape (gauge histograms) goes out as gauges under the
//! samples' own names. Left out: native histograms, which only come from OTLP and are relayed as
//! they came.
//!
//! Bounds: a family's samples are held until it ends; `series_max` start times are known, beyond
//! that points go out without one; [`RESOURCES_MAX`] resources are open at once.

mod group;
mod starts;

use std::collections::HashMap;

use foldhash::quality::FixedState;
use std::hash::{BuildHasher, Hash, Hasher};

use crate::codec::protobuf::{push_bytes, push_message};
use crate::model::{label_value, Family, MetricType, Part, Sample, NAME_LABEL};
use group::{push_attribute, Group, Shape};
use starts::Starts;

/// Resources written side by side; when there are more, all are closed.
const RESOURCES_MAX: usize = 64;

/// Turns samples into the body of an ExportMetricsServiceRequest.
pub struct Regroup {
    hasher: FixedState,
    starts: Starts,
    /// Those in use come first; the others keep their buffers.
    groups: Vec<Group>,
    groups_len: usize,
    by_key: HashMap<u64, usize, FixedState>,
    resources: Vec<Resource>,
    done: Vec<u8>,
    points: u64,
}

#[derive(Debug, Default)]
struct Resource {
    job: String,
    instance: String,
    /// Fields `metrics` of ScopeMetrics.
    metrics: Vec<u8>,
}

impl Regroup {
    /// `seed` is random.
    pub fn new(series_max: usize, seed: u64) -> Regroup {
        Regroup {
            hasher: FixedState::with_seed(seed),
            starts: Starts::new(series_max, seed),
            groups: Vec::new(),
            groups_len: 0,
            by_key: HashMap::with_hasher(FixedState::with_seed(seed)),
            resources: Vec::new(),
            done: Vec::new(),
            points: 0,
        }
    }

    /// Takes a sample of the family that is open.
    pub fn sample(&mut self, sample: &Sample<'_>) {
        let shape = match (sample.family.metric_type, sample.part) {
            _ if sample.histogram.is_some() => return,
            (MetricType::Counter, Part::Value | Part::Created) => Shape::Counter,
            (MetricType::Histogram, Part::Bucket | Part::Sum | Part::Count | Part::Created) => {
                Shape::Histogram
            }
            (MetricType::Summary, Part::Quantile | Part::Sum | Part::Count | Part::Created) => {
                Shape::Summary
            }
            (_, Part::Created) => return,
            (MetricType::Info | MetricType::StateSet, Part::Value) => Shape::State,
            _ => Shape::Gauge,
        };
        let at = self.group(sample, shape);
        self.groups[at].take(sample);
    }

    /// The group that the sample belongs to, by labels and time.
    fn group(&mut self, sample: &Sample<'_>, shape: Shape) -> usize {
        let bound = match (shape, sample.part) {
            (Shape::Histogram, _) => "le",
            (Shape::Summary, _) => "quantile",
            _ => "",
        };
        let name =
            if bound.is_empty() && sample.part != Part::Created { sample.name() } else { "" };
        let is_own = |name: &str| ![NAME_LABEL, bound].contains(&name);
        let mut hasher = self.hasher.build_hasher();
        // The created part has another name than the counter it belongs to.
        if shape != Shape::Counter {
            name.hash(&mut hasher);
        }
        (sample.family.name, shape as u8).hash(&mut hasher);
        for label in sample.labels.iter().filter(|label| is_own(label.name)) {
            (label.name, label.value).hash(&mut hasher);
        }
        let series = hasher.finish();
        let key = self.hasher.hash_one((series, sample.timestamp_ms));
        if let Some(at) = self.by_key.get(&key) {
            return *at;
        }
        let at = self.groups_len;
        if at == self.groups.len() {
            self.groups.push(Group::default());
        }
        let resource = self.resource(sample);
        let group = &mut self.groups[at];
        group.begin(shape, series, resource, sample.timestamp_ms);
        for label in sample.labels.iter().filter(|label| is_own(label.name)) {
            if !["job", "instance"].contains(&label.name) {
                push_attribute(&mut group.attributes, 1, label.name, label.value);
            }
        }
        self.groups_len += 1;
        self.by_key.insert(key, at);
        at
    }

    fn resource(&mut self, sample: &Sample<'_>) -> usize {
        let job = label_value(sample.labels, "job");
        let instance = label_value(sample.labels, "instance");
        let is_same = |known: &Resource| known.job == job && known.instance == instance;
        self.resources.iter().rposition(is_same).unwrap_or_else(|| {
            let (job, instance) = (job.to_owned(), instance.to_owned());
            self.resources.push(Resource { job, instance, metrics: Vec::new() });
            self.resources.len() - 1
        })
    }

    /// Writes the family whose samples were taken.
    pub fn end_family(&mut self, family: &Family<'_>) {
        let groups = &mut self.groups[..self.groups_len];
        for group in groups.iter_mut() {
            group.start_ms = match group.shape.is_cumulative() {
                true => self.starts.of(group),
                false => 0,
            };
            if group.name.is_empty() {
                group.name.push_str(family.name);
            }
        }
        let metric = |group: &Group| (group.resource, group.shape);
        groups.sort_by(|a, b| (metric(a), &a.name).cmp(&(metric(b), &b.name)));
        for points in groups.chunk_by(|a, b| metric(a) == metric(b) && a.name == b.name) {
            let resource = &mut self.resources[points[0].resource];
            group::push_metric(&mut resource.metrics, family, points);
            self.points += points.len() as u64;
        }
        self.groups_len = 0;
        self.by_key.clear();
        if self.resources.len() > RESOURCES_MAX {
            self.close_resources();
        }
    }

    /// Bytes written so far, about.
    pub fn bytes(&self) -> usize {
        self.done.len() + self.resources.iter().map(|own| own.metrics.len()).sum::<usize>()
    }

    /// Appends the request's body to `out` and begins anew; returns how many points it has. Samples
    /// of a family that has not ended are forgotten.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> u64 {
        self.close_resources();
        out.extend_from_slice(&self.done);
        let points = self.points;
        self.clear();
        points
    }

    /// Forgets what was taken; start times stay.
    pub fn clear(&mut self) {
        self.groups_len = 0;
        self.by_key.clear();
        self.resources.clear();
        self.done.clear();
        self.points = 0;
    }

    fn close_resources(&mut self) {
        for Resource { job, instance, metrics } in self.resources.drain(..) {
            if metrics.is_empty() {
                continue;
            }
            push_message(&mut self.done, 1, |out| {
                push_message(out, 1, |out| {
                    for (key, value) in [("service.name", job), ("service.instance.id", instance)] {
                        if !value.is_empty() {
                            push_attribute(out, 1, key, &value);
                        }
                    }
                });
                push_message(out, 2, |out| {
                    push_message(out, 1, |out| push_bytes(out, 1, b"otlet"));
                    out.extend_from_slice(&metrics);
                });
            });
        }
    }
}

#[cfg(test)]
mod tests;
