//! Samples of a transaction, put together to points.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;

use super::lane::Staged;
use crate::codec::otlp::splice_resource;
use crate::model::{Changes, Family, Sample};
use crate::observe::Reservation;
use crate::pipeline::{Added, Staging};
use crate::translate::regroup::{Regroup, Starts};

/// Points are passed on when so many bytes of them are written.
const PIECE_BYTES: usize = 32 * 1024;

/// How often a family that does not end is looked after.
const SAMPLES_PER_LOOK: u64 = 512;

/// Cumulative series whose start time is known; beyond it points go out without one.
const SERIES_MAX: usize = 200_000;

/// What a destination keeps for all its transactions.
#[derive(Clone)]
pub struct Shop {
    starts: Rc<RefCell<Starts>>,
    /// What these take of the memory budget.
    held: Rc<RefCell<Reservation>>,
    /// One that nobody uses, for its buffers.
    spare: Rc<RefCell<Option<Regroup>>>,
}

impl Shop {
    /// `seed` is random.
    pub fn new(seed: u64, held: Reservation) -> Shop {
        let starts = Rc::new(RefCell::new(Starts::new(SERIES_MAX, seed)));
        Shop { starts, held: Rc::new(RefCell::new(held)), spare: Rc::default() }
    }

    fn take(&self) -> Regroup {
        self.spare.take().unwrap_or_else(|| Regroup::new(Rc::clone(&self.starts)))
    }

    fn give_back(&self, mut regroup: Regroup) {
        regroup.clear();
        self.held.borrow_mut().resize(self.starts.borrow().bytes());
        *self.spare.borrow_mut() = Some(regroup);
    }

    /// Frees what is only kept for speed.
    pub fn trim(&self) {
        *self.spare.borrow_mut() = None;
    }
}

pub struct Samples {
    /// None where the destination does not take metrics.
    staged: Option<Staged>,
    regroup: Option<Regroup>,
    shop: Shop,
    added: Rc<Added>,
    samples: u64,
    body: Vec<u8>,
    spliced: Vec<u8>,
}

impl Samples {
    pub fn new(staged: Option<Staged>, shop: Shop, added: Rc<Added>) -> Samples {
        let regroup = Some(shop.take());
        let (body, spliced) = (Vec::new(), Vec::new());
        Samples { staged, regroup, shop, added, samples: 0, body, spliced }
    }

    /// Passes on the points of families that have ended.
    fn flush(&mut self) {
        let (Some(staged), Some(regroup)) = (&mut self.staged, &mut self.regroup) else { return };
        self.body.clear();
        let points = regroup.finish(&mut self.body);
        if points == 0 {
            return;
        }
        let mut body = &self.body;
        if !self.added.attributes.is_empty() {
            self.spliced.clear();
            splice_resource(&self.body, &self.added.attributes, &mut self.spliced);
            body = &self.spliced;
        }
        staged.push(body);
        staged.end_piece(points);
    }
}

impl Staging for Samples {
    fn sample(&mut self, sample: &Sample<'_>, _: Changes) {
        if let Some(regroup) = &mut self.regroup {
            regroup.sample(sample, &self.added.labels);
            self.samples += 1;
            if self.samples % SAMPLES_PER_LOOK == 0 && regroup.bytes() >= PIECE_BYTES {
                self.flush();
            }
        }
    }

    fn end_family(&mut self, family: &Family<'_>) {
        let Some(regroup) = &mut self.regroup else { return };
        regroup.end_family(family);
        if regroup.bytes() >= PIECE_BYTES {
            self.flush();
        }
    }

    fn commit(mut self: Box<Self>) {
        // Markers belong to no family.
        self.end_family(&Family::default());
        self.flush();
        if let Some(staged) = mem::take(&mut self.staged) {
            staged.commit();
        }
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        if let Some(regroup) = self.regroup.take() {
            self.shop.give_back(regroup);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::otlp::resource_metrics;
    use crate::model::{Label, MetricType, Part, NAME_LABEL};
    use crate::observe::Budget;

    #[test]
    fn start_times_are_known_up_to_the_bound() {
        let shop = Shop::new(1, Budget::new(1 << 30).reservation());
        let mut regroup = shop.take();
        let family = Family { name: "hits", metric_type: MetricType::Counter, ..Family::default() };
        let mut start_of = |id: usize| {
            let id = id.to_string();
            let labels = [Label::new(NAME_LABEL, "hits_total"), Label::new("id", &id)];
            regroup.sample(
                &Sample {
                    family: &family,
                    part: Part::Value,
                    labels: &labels,
                    value: 1.0,
                    timestamp_ms: 7,
                    exemplar: None,
                    histogram: None,
                },
                &[],
            );
            regroup.end_family(&family);
            let mut body = Vec::new();
            assert_eq!(regroup.finish(&mut body), 1);
            let resource = resource_metrics(&body).next().expect("a resource");
            let mut metrics = resource.scopes().flat_map(|scope| scope.metrics());
            metrics
                .next()
                .and_then(|metric| metric.points().next_number())
                .expect("a point")
                .start_ns
        };
        assert!((0..SERIES_MAX).all(|id| start_of(id) == 7_000_000));
        assert_eq!((start_of(SERIES_MAX), start_of(0)), (0, 7_000_000));
        let bytes = shop.starts.borrow().bytes();
        shop.give_back(regroup);
        assert_eq!(shop.held.borrow().bytes(), bytes);
        assert!(bytes < 100 * SERIES_MAX as u64, "{bytes}");
    }
}
