//! Samples to OTLP points: the parts of a family are put together again, one resource per target
//! (OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", "Prometheus Metric
//! points to OTLP").
//!
//! Samples come family by family, as receivers say them. Names stay as they are, suffixes too;
//! `job` and `instance` become `service.name` and `service.instance.id`, every other label an
//! attribute, but for those that the caller says are the same for all: they belong to the resource.
//! Native histograms become exponential ones. What has no place in OTLP's shape (gauge histograms)
//! goes out as gauges under the samples' own names.
//!
//! Bounds: a family's samples are held until it ends, or [`POINTS_MAX`] points are in the making;
//! `series_max` start times are known, beyond that points go out without one; more than
//! [`RESOURCES_MAX`] resources are closed whenever points are written.

mod exponential;
mod group;
mod starts;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use foldhash::quality::FixedState;
use std::hash::{BuildHasher, Hash, Hasher};

use crate::codec::protobuf::{push_bytes, push_message};
use crate::model::{label_value, Family, MetricType, Part, Sample, NAME_LABEL};
use group::{push_attribute, Group, Shape};

pub use starts::Starts;

/// Points put together side by side; when there are more, all are written. The samples of one point
/// stand together on every page that is not made to tease.
const POINTS_MAX: usize = 1024;

/// Resources written side by side; when there are more, all are closed.
const RESOURCES_MAX: usize = 64;

/// Turns samples into the body of an ExportMetricsServiceRequest.
pub struct Regroup {
    hasher: FixedState,
    starts: Rc<RefCell<Starts>>,
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
    /// `starts` outlive what is put together here, and may be shared with others.
    pub fn new(starts: Rc<RefCell<Starts>>) -> Regroup {
        let seed = starts.borrow().seed();
        Regroup {
            hasher: FixedState::with_seed(seed),
            starts,
            groups: Vec::new(),
            groups_len: 0,
            by_key: HashMap::with_hasher(FixedState::with_seed(seed)),
            resources: Vec::new(),
            done: Vec::new(),
            points: 0,
        }
    }

    /// Takes a sample of the family that is open. `common` are labels of all samples, which are no
    /// attributes where the sample has that very value.
    pub fn sample(&mut self, sample: &Sample<'_>, common: &[(String, String)]) {
        if self.groups_len > POINTS_MAX {
            // The last one may lack samples still.
            self.write_points(sample.family, POINTS_MAX);
        }
        let shape = match (sample.family.metric_type, sample.part) {
            _ if sample.histogram.is_some() => Shape::Exponential,
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
        let at = self.group(sample, shape, common);
        self.groups[at].take(sample);
    }

    /// The group that the sample belongs to, by labels and time.
    fn group(&mut self, sample: &Sample<'_>, shape: Shape, common: &[(String, String)]) -> usize {
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
        group.key = key;
        for label in sample.labels.iter().filter(|label| is_own(label.name)) {
            let is_common =
                common.iter().any(|(name, value)| label.name == name && label.value == value);
            if !is_common && !["job", "instance"].contains(&label.name) {
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
        self.write_points(family, self.groups_len);
    }

    /// Writes the first points, and keeps at most one.
    fn write_points(&mut self, family: &Family<'_>, count: usize) {
        let groups = &mut self.groups[..count];
        for group in groups.iter_mut() {
            group.start_ms = match group.shape.is_cumulative() {
                true => self.starts.borrow_mut().of(group),
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
        self.by_key.clear();
        let is_one_left = self.groups_len > count;
        self.groups_len = usize::from(is_one_left);
        if is_one_left {
            self.groups.swap(0, count);
            self.by_key.insert(self.groups[0].key, 0);
        }
        if self.resources.len() > RESOURCES_MAX {
            self.close_resources();
        }
    }

    /// Bytes written so far, about.
    pub fn bytes(&self) -> usize {
        self.done.len() + self.resources.iter().map(|own| own.metrics.len()).sum::<usize>()
    }

    /// Appends the points written so far to `out`, as a request's body; returns how many they are.
    /// Samples of a family that has not ended wait for the next call.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> u64 {
        self.close_resources();
        out.append(&mut self.done);
        std::mem::take(&mut self.points)
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
        for Resource { job, instance, metrics } in &mut self.resources {
            if metrics.is_empty() {
                continue;
            }
            push_message(&mut self.done, 1, |out| {
                push_message(out, 1, |out| {
                    for (key, value) in [("service.name", job), ("service.instance.id", instance)] {
                        if !value.is_empty() {
                            push_attribute(out, 1, key, value);
                        }
                    }
                });
                push_message(out, 2, |out| {
                    push_message(out, 1, |out| push_bytes(out, 1, b"otlet"));
                    out.append(metrics);
                });
            });
        }
        // Those stay that a group refers to; without this a family of many resources, of which one
        // group is always left, would search through all of them for each.
        match self.groups_len {
            0 => self.resources.clear(),
            1 => {
                self.resources.swap(0, self.groups[0].resource);
                self.resources.truncate(1);
                self.groups[0].resource = 0;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
