//! The family at hand: what HELP, TYPE and UNIT said of it, and which samples belong to it.
//!
//! OpenMetrics 1.0, "Metric Types": the suffixes each type's samples carry. Prometheus takes
//! samples without them too, so a family's bare name always belongs to it. In the classic text
//! format a counter's family name usually ends in `_total` already; both forms are matched.

use super::Event;
use crate::model::{Family, Label, MetricType, Part};

/// The family of the lines being read; its texts keep their capacity.
#[derive(Default)]
pub(super) struct Current {
    name: String,
    pub metric_type: MetricType,
    pub unit: String,
    pub help: String,
    /// Whether there is one at all.
    pub open: bool,
}

impl Current {
    /// Tells `visit` that the family has ended, if there is one.
    pub fn end<E>(&mut self, visit: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        visit(Event::FamilyEnd(&self.family()))
    }

    pub fn start(&mut self, name: &str) {
        self.name.clear();
        self.name.push_str(name);
        self.metric_type = MetricType::Unknown;
        self.unit.clear();
        self.help.clear();
        self.open = true;
    }

    pub fn is(&self, name: &str) -> bool {
        self.open && self.name == name
    }

    pub fn family(&self) -> Family<'_> {
        Family {
            name: &self.name,
            metric_type: self.metric_type,
            unit: &self.unit,
            help: &self.help,
        }
    }

    /// Which part of this family the sample is; none if it belongs to another.
    #[inline]
    pub fn part(&self, name: &str, labels: &[Label<'_>]) -> Option<Part> {
        let suffix = name.strip_prefix(self.name.as_str()).filter(|_| self.open)?;
        let part = part_of(self.metric_type, suffix)?;
        // A bucket without a bound is none, and a summary's bare name may lack the quantile.
        Some(match (part, self.metric_type) {
            (Part::Bucket, _) if !has(labels, "le") => Part::Value,
            (Part::Value, MetricType::Summary) if has(labels, "quantile") => Part::Quantile,
            (part, _) => part,
        })
    }
}

fn has(labels: &[Label<'_>], name: &str) -> bool {
    labels.iter().any(|label| label.name == name)
}

#[inline]
fn part_of(metric_type: MetricType, suffix: &str) -> Option<Part> {
    use MetricType::{Counter, GaugeHistogram, Histogram, Info, Summary};
    Some(match (metric_type, suffix) {
        (_, "") | (Counter, "_total") | (Info, "_info") => Part::Value,
        (Histogram | GaugeHistogram, "_bucket") => Part::Bucket,
        (Histogram | Summary, "_sum") | (GaugeHistogram, "_gsum") => Part::Sum,
        (Histogram | Summary, "_count") | (GaugeHistogram, "_gcount") => Part::Count,
        (Counter | Histogram | Summary, "_created") => Part::Created,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use MetricType::*;

    #[test]
    fn samples_find_their_part() {
        let labels = [Label::new("le", "1.0"), Label::new("quantile", "0.5")];
        for (metric_type, name, part) in [
            (Counter, "f", Some(Part::Value)),
            (Counter, "f_total", Some(Part::Value)),
            (Counter, "f_created", Some(Part::Created)),
            (Counter, "f_sum", None),
            (Gauge, "f", Some(Part::Value)),
            (Gauge, "f_created", None),
            (Unknown, "f_total", None),
            (Histogram, "f_bucket", Some(Part::Bucket)),
            (Histogram, "f_sum", Some(Part::Sum)),
            (Histogram, "f_count", Some(Part::Count)),
            (Histogram, "f_created", Some(Part::Created)),
            (Histogram, "f_gsum", None),
            (GaugeHistogram, "f_bucket", Some(Part::Bucket)),
            (GaugeHistogram, "f_gsum", Some(Part::Sum)),
            (GaugeHistogram, "f_gcount", Some(Part::Count)),
            (GaugeHistogram, "f_count", None),
            (Summary, "f", Some(Part::Quantile)),
            (Summary, "f_sum", Some(Part::Sum)),
            (Summary, "f_count", Some(Part::Count)),
            (Summary, "f_created", Some(Part::Created)),
            (Summary, "f_bucket", None),
            (Info, "f_info", Some(Part::Value)),
            (StateSet, "f", Some(Part::Value)),
            (Gauge, "ff", None),
            (Gauge, "g", None),
        ] {
            let mut current = Current::default();
            assert_eq!(current.part(name, &labels), None);
            current.start("f");
            current.metric_type = metric_type;
            assert_eq!(current.part(name, &labels), part, "{metric_type:?} {name}");
        }
    }

    #[test]
    fn parts_that_need_a_label_have_it() {
        let mut current = Current::default();
        current.start("f");
        current.metric_type = Histogram;
        assert_eq!(current.part("f_bucket", &[]), Some(Part::Value));
        current.metric_type = Summary;
        assert_eq!(current.part("f", &[]), Some(Part::Value));
    }
}
