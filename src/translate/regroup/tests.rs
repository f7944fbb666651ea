//! Samples to points: read back by the cursors, and by the translation the other way.

use super::*;
use crate::codec::otlp::{
    resource_metrics, validate, AnyValue, Attributes, Data, Metric, Signal, Temporality,
};
use crate::model::{
    sort_labels, BucketSpan, Exemplar, Label, NativeBuckets, NativeHistogram, STALE_NAN_BITS,
};

struct Page(Regroup);

impl Page {
    fn knowing(series_max: usize) -> Page {
        Page(Regroup::new(Rc::new(RefCell::new(Starts::new(series_max, 1)))))
    }

    fn new() -> Page {
        Page::knowing(100)
    }

    /// One sample: `name{label=value,…}`.
    fn sample(
        &mut self,
        family: &Family<'_>,
        part: Part,
        series: &str,
        value: f64,
        timestamp_ms: i64,
    ) {
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let pairs = labels.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
        let mut labels: Vec<_> = pairs.map(|(name, value)| Label::new(name, value)).collect();
        labels.push(Label::new(NAME_LABEL, name));
        sort_labels(&mut labels);
        let trace = [Label::new("span_id", "0001020304050607"), Label::new("trace_id", "short")];
        let exemplar = Exemplar { labels: &trace, value: 7.0, timestamp_ms: Some(2) };
        let exemplar = (part == Part::Bucket && name.starts_with('x')).then_some(exemplar);
        let labels = &labels;
        let sample =
            Sample { family, part, labels, value, timestamp_ms, exemplar, histogram: None };
        self.0.sample(&sample, &[]);
    }

    fn finish(&mut self) -> Vec<u8> {
        let mut body = b"kept".to_vec();
        let points = self.0.finish(&mut body);
        let mut body = body.split_off(4);
        assert_eq!(validate(Signal::Metrics, &mut body).unwrap().items, points);
        body
    }
}

fn shown(attributes: Attributes<'_>) -> String {
    let pairs = attributes.map(|attribute| match attribute.value {
        AnyValue::Text(text) => format!("{}={text}", attribute.key),
        other => panic!("{other:?}"),
    });
    pairs.collect::<Vec<_>>().join(",")
}

/// The metrics of a body with one resource.
fn metrics(body: &[u8]) -> Vec<Metric<'_>> {
    resource_metrics(body).flat_map(|r| r.scopes()).flat_map(|s| s.metrics()).collect()
}

fn family<'a>(name: &'a str, metric_type: MetricType) -> Family<'a> {
    Family { name, metric_type, unit: "s", help: "Help." }
}

#[test]
fn counters_and_gauges() {
    let mut page = Page::new();
    let counter = family("hits", MetricType::Counter);
    page.sample(&counter, Part::Value, "hits_total{job=j,instance=i,a=1}", 5.0, 1000);
    page.sample(&counter, Part::Created, "hits_created{job=j,instance=i,a=1}", 0.25, 1000);
    page.sample(&counter, Part::Value, "hits_total{job=j,instance=i,a=2}", 6.0, 1000);
    page.0.end_family(&counter);
    let gauge = Family { name: "temperature", ..Family::default() };
    page.sample(
        &gauge,
        Part::Value,
        "temperature{job=j,instance=i}",
        f64::from_bits(STALE_NAN_BITS),
        1000,
    );
    page.0.end_family(&gauge);
    let body = page.finish();
    let resource = resource_metrics(&body).next().unwrap();
    assert_eq!(shown(resource.attributes()), "service.name=j,service.instance.id=i");
    let metrics = metrics(&body);
    let hits = &metrics[0];
    assert_eq!((hits.name, hits.unit, hits.description), ("hits_total", "s", "Help."));
    let temporality = Temporality::Cumulative;
    assert_eq!(hits.data, Data::Sum { temporality, is_monotonic: true });
    let mut points = hits.points();
    let point = points.next_number().unwrap();
    assert_eq!((shown(point.attributes()).as_str(), point.start_ns), ("a=1", 250_000_000));
    assert_eq!((point.time_ns, point.value.unwrap().to_f64()), (1_000_000_000, 5.0));
    // What does not say when it began, began when it was first seen.
    assert_eq!(points.next_number().unwrap().start_ns, 1_000_000_000);
    assert_eq!((metrics[1].name, metrics[1].data), ("temperature", Data::Gauge));
    assert_eq!(shown(metrics[1].metadata()), "prometheus.type=unknown");
    let point = metrics[1].points().next_number().unwrap();
    assert_eq!((point.flags, point.value), (1, None));
    assert!(page.finish().is_empty());
}

#[test]
fn histograms_and_summaries() {
    let mut page = Page::new();
    let histogram = family("x", MetricType::Histogram);
    for (le, count) in [("+Inf", 7.0), ("1", 3.0), ("0.5", 2.0)] {
        page.sample(&histogram, Part::Bucket, &format!("x_bucket{{le={le},a=b}}"), count, 1000);
    }
    page.sample(&histogram, Part::Sum, "x_sum{a=b}", 9.5, 1000);
    page.sample(&histogram, Part::Count, "x_count{a=b}", 7.0, 1000);
    page.0.end_family(&histogram);
    let summary = family("y", MetricType::Summary);
    page.sample(&summary, Part::Quantile, "y{quantile=0.5}", 1.5, 1000);
    page.sample(&summary, Part::Sum, "y_sum", 3.0, 1000);
    page.sample(&summary, Part::Count, "y_count", 2.0, 1000);
    page.0.end_family(&summary);
    let body = page.finish();
    let metrics = metrics(&body);
    let point = metrics[0].points().next_histogram().unwrap();
    assert_eq!((metrics[0].name, metrics[0].points().count()), ("x", 1));
    assert_eq!((point.count, point.sum, point.start_ns), (7, Some(9.5), 1_000_000_000));
    assert_eq!(point.bucket_counts().collect::<Vec<_>>(), [2, 1, 4]);
    assert_eq!(point.bounds().collect::<Vec<_>>(), [0.5, 1.0]);
    assert_eq!(shown(point.attributes()), "a=b");
    let exemplar = point.exemplars().next().unwrap();
    assert_eq!(
        (exemplar.span_id, exemplar.trace_id),
        ([0, 1, 2, 3, 4, 5, 6, 7].as_slice(), [].as_slice())
    );
    assert_eq!(
        (shown(exemplar.attributes()).as_str(), exemplar.time_ns),
        ("trace_id=short", 2_000_000)
    );
    let point = metrics[1].points().next_summary().unwrap();
    assert_eq!((metrics[1].name, point.count, point.sum), ("y", 2, 3.0));
    assert_eq!(point.quantiles().collect::<Vec<_>>(), [(0.5, 1.5)]);
}

#[test]
fn what_has_no_shape_goes_out_under_its_own_name() {
    let mut page = Page::new();
    let gauges = family("z", MetricType::GaugeHistogram);
    page.sample(&gauges, Part::Bucket, "z_bucket{le=1}", 3.0, 1000);
    page.sample(&gauges, Part::Count, "z_gcount", 3.0, 1000);
    page.0.end_family(&gauges);
    let state = family("s", MetricType::StateSet);
    page.sample(&state, Part::Value, "s{s=on}", 1.0, 1000);
    page.0.end_family(&state);
    let body = page.finish();
    let names: Vec<_> = metrics(&body).iter().map(|metric| (metric.name, metric.data)).collect();
    let (temporality, is_monotonic) = (Temporality::Cumulative, false);
    let sum = Data::Sum { temporality, is_monotonic };
    assert_eq!(names, [("z_bucket", Data::Gauge), ("z_gcount", Data::Gauge), ("s", sum)]);
    let point = metrics(&body)[0].points().next_number().unwrap();
    assert_eq!(shown(point.attributes()), "le=1");
}

#[test]
fn resources_are_kept_apart_and_bounded() {
    let mut page = Page::new();
    let counter = family("c", MetricType::Counter);
    let many = RESOURCES_MAX + 2;
    for _ in 0..2 {
        for at in 0..many {
            page.sample(&counter, Part::Value, &format!("c{{job=j{at}}}"), 1.0, 1000);
        }
        page.0.end_family(&counter);
        assert!(page.0.resources.len() <= RESOURCES_MAX);
    }
    assert!(page.0.bytes() > 0);
    let body = page.finish();
    let jobs: Vec<_> = resource_metrics(&body).map(|r| shown(r.attributes())).collect();
    assert_eq!((jobs.len(), jobs[1].as_str()), (2 * many, "service.name=j1"));
}

#[test]
fn start_times() {
    let counter = family("c", MetricType::Counter);
    let mut page = Page::knowing(1);
    let mut start_ms = |series: &str, value: f64, time_ms: i64| {
        page.sample(&counter, Part::Value, series, value, time_ms);
        page.0.end_family(&counter);
        let body = page.finish();
        let start_ns = metrics(&body)[0].points().next_number().unwrap().start_ns;
        start_ns / 1_000_000
    };
    assert_eq!(start_ms("c", 5.0, 1000), 1000);
    assert_eq!(start_ms("c", 6.0, 2000), 1000);
    // It fell: it began anew after it was seen last.
    assert_eq!(start_ms("c", 1.0, 3000), 2000);
    // No room for another, until the first is long silent.
    assert_eq!(start_ms("c{a=1}", 1.0, 4000), 0);
    assert_eq!(start_ms("c{a=1}", 1.0, 604_000), 604_000);
    // A marker ends it.
    assert_eq!(start_ms("c{a=1}", f64::from_bits(STALE_NAN_BITS), 605_000), 604_000);
    assert_eq!(start_ms("c{a=1}", 1.0, 606_000), 606_000);
}

#[test]
fn native_histograms_become_exponential() {
    let mut page = Page::new();
    let family = family("n", MetricType::Histogram);
    let spans = [BucketSpan { offset: -1, length: 2 }, BucketSpan { offset: 2, length: 1 }];
    let positive = NativeBuckets { spans: &spans, deltas: &[3, -2, 4] };
    let whole = NativeHistogram {
        count: 10,
        sum: 2.5,
        schema: -1,
        zero_threshold: 0.125,
        zero_count: 1,
        negative: NativeBuckets::default(),
        positive,
    };
    let wide = [BucketSpan { offset: 0, length: 1 }, BucketSpan { offset: i32::MAX, length: 2 }];
    let too_wide = NativeBuckets { spans: &wide, ..positive };
    let too_wide = NativeHistogram { positive: too_wide, negative: positive, ..whole };
    let end = NativeHistogram { sum: f64::from_bits(STALE_NAN_BITS), ..whole };
    for (timestamp_ms, histogram) in [(1000, whole), (2000, too_wide), (3000, end)] {
        let labels = [Label::new(NAME_LABEL, "n"), Label::new("a", "b"), Label::new("c", "d")];
        let (part, value, histogram) = (Part::Value, 0.0, Some(histogram));
        let (family, labels, exemplar) = (&family, &labels[..], None);
        let sample = Sample {
            family,
            part,
            labels,
            value,
            timestamp_ms,
            exemplar,
            histogram: histogram.as_ref(),
        };
        page.0.sample(&sample, &[("a".to_owned(), "b".to_owned())]);
    }
    page.0.end_family(&family);
    let body = page.finish();
    let metrics = metrics(&body);
    assert_eq!((metrics.len(), metrics[0].name), (1, "n"));
    let mut points = metrics[0].points();
    let point = points.next_exponential().unwrap();
    assert_eq!((point.count, point.sum, point.scale), (10, Some(2.5), -1));
    assert_eq!((point.zero_count, point.zero_threshold), (1, 0.125));
    let shown_buckets = |buckets: &crate::codec::otlp::Buckets<'_>| {
        (buckets.offset(), buckets.counts().collect::<Vec<_>>())
    };
    assert_eq!(shown_buckets(&point.positive()), (-2, vec![3, 1, 0, 0, 5]));
    assert_eq!(shown(point.attributes()), "c=d", "what all samples have is the resource's");
    let point = points.next_exponential().unwrap();
    assert_eq!(shown_buckets(&point.positive()).1, [], "too wide a gap");
    assert_eq!(shown_buckets(&point.negative()).1, [3, 1, 0, 0, 5]);
    assert_eq!(points.next_exponential().unwrap().flags, 1);
}

#[test]
fn a_family_that_does_not_end_is_written_all_the_same() {
    let mut page = Page::new();
    let family = family("h", MetricType::Histogram);
    let sets = 2 * POINTS_MAX + 500;
    let (mut bodies, mut points) = (Vec::new(), 0);
    for at in 0..sets {
        for (le, count) in [("1", 1.0), ("+Inf", 2.0)] {
            page.sample(
                &family,
                Part::Bucket,
                &format!("h_bucket{{job=j,at={at},le={le}}}"),
                count,
                1000,
            );
        }
        page.sample(&family, Part::Count, &format!("h_count{{job=j,at={at}}}"), 2.0, 1000);
        assert!(page.0.groups.len() <= POINTS_MAX + 1);
        if at % 100 == 0 {
            points += page.0.finish(&mut bodies);
        }
    }
    page.0.end_family(&family);
    points += page.0.finish(&mut bodies);
    assert_eq!(points, sets as u64);
    let mut seen = 0;
    for metric in metrics(&bodies) {
        let mut list = metric.points();
        while let Some(point) = list.next_histogram() {
            assert_eq!(point.bucket_counts().collect::<Vec<_>>(), [1, 1], "whole");
            seen += 1;
        }
    }
    assert_eq!(seen, sets);
}

#[test]
fn times_that_do_not_fit_are_cut_off() {
    let family = Family { name: "t", metric_type: MetricType::Counter, ..Family::default() };
    let mut page = Page::new();
    page.sample(&family, Part::Value, "t{a=1", 1.0, i64::MAX);
    page.sample(&family, Part::Created, "t{a=1", 1e300, i64::MAX);
    page.0.end_family(&family);
    let body = page.finish();
    let point = metrics(&body)[0].points().next_number().unwrap();
    assert_eq!((point.start_ns, point.time_ns), (u64::MAX, u64::MAX));
}

#[test]
fn resources_of_one_long_family_are_closed() {
    let family = Family { name: "g", metric_type: MetricType::Gauge, ..Family::default() };
    let mut page = Page::new();
    for number in 0..10_000 {
        page.sample(&family, Part::Value, &format!("g{{instance={number}"), 1.0, 1);
        assert!(page.0.resources.len() <= RESOURCES_MAX + POINTS_MAX + 1);
    }
    page.0.end_family(&family);
    let body = page.finish();
    assert_eq!(resource_metrics(&body).count(), 10_000);
    for (number, resource) in resource_metrics(&body).enumerate() {
        assert_eq!(shown(resource.attributes()), format!("service.instance.id={number}"));
    }
}

#[test]
fn what_ends_tells_its_bounds() {
    let mut page = Page::new();
    let stale = f64::from_bits(STALE_NAN_BITS);
    let histogram = family("x", MetricType::Histogram);
    for le in ["0.5", "+Inf"] {
        page.sample(&histogram, Part::Bucket, &format!("x_bucket{{le={le}}}"), stale, 1000);
    }
    page.sample(&histogram, Part::Sum, "x_sum", stale, 1000);
    page.0.end_family(&histogram);
    let summary = family("y", MetricType::Summary);
    page.sample(&summary, Part::Quantile, "y{quantile=0.5}", stale, 1000);
    page.0.end_family(&summary);
    let body = page.finish();
    let metrics = metrics(&body);
    let point = metrics[0].points().next_histogram().unwrap();
    assert_eq!((point.flags, point.count, point.sum), (1, 0, Some(0.0)));
    assert_eq!(point.bounds().collect::<Vec<_>>(), [0.5]);
    assert_eq!(point.bucket_counts().collect::<Vec<_>>(), [0, 0]);
    let point = metrics[1].points().next_summary().unwrap();
    assert_eq!((point.flags, point.quantiles().collect::<Vec<_>>()), (1, vec![(0.5, 0.0)]));
}
