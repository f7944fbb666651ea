//! From a page's bytes to a transaction: parse, merge labels, filter, limit, track.
//!
//! The page passes through a window; nothing of it is kept but what the transaction encodes and
//! the series table hashes. All counting of one scrape happens here.

use std::mem;
use std::rc::Rc;

use crate::codec::prometheus::{Event, Format, ParseError, Parser, RawSample};
use crate::model::{recycle, Changes, Family, Label, Sample};
use crate::pipeline::{Added, Transaction};

use super::merge::{Merged, Merger, Target};
use super::series::Series;
use super::series_labels::SetHasher;
use super::series_table::Seen;

pub use super::filter::Filter;

/// What of a page is plain in memory at a time; grows while a single line needs more. It also
/// bounds how long one step of a scrape keeps the loop.
pub const WINDOW_BYTES: usize = 32 * 1024;

/// Samples further in the future are refused one by one, as Prometheus does.
const FUTURE_MS_MAX: i64 = 10 * 60 * 1000;

/// How samples of a target are treated; from its flags.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The target's labels, `job` and `instance` among them, sorted.
    pub labels: Vec<(String, String)>,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    /// Zero means no limit, here and below.
    pub sample_limit: u64,
    pub label_limit: u64,
    pub filter: Filter,
}

/// Why a page was refused as a whole.
#[derive(Debug)]
pub enum PageError {
    Parse(ParseError),
    SampleLimit(u64),
    LabelLimit { limit: u64, labels: u64, name: String },
    SeriesLimit,
}

impl From<ParseError> for PageError {
    fn from(error: ParseError) -> PageError {
        PageError::Parse(error)
    }
}

impl PageError {
    /// The reason under which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            PageError::Parse(_) => "parse",
            PageError::SampleLimit(_) => "sample_limit",
            PageError::LabelLimit { .. } => "label_limit",
            PageError::SeriesLimit => "series_limit",
        }
    }
}

impl std::fmt::Display for PageError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PageError::Parse(error) => write!(out, "{error}"),
            PageError::SampleLimit(limit) => write!(out, "more than sample_limit={limit} samples"),
            PageError::LabelLimit { limit, labels, name } => {
                write!(out, "{labels} labels on {name}, label_limit={limit}")
            }
            PageError::SeriesLimit => write!(out, "more series than one target may have"),
        }
    }
}

/// What one scrape found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples the parser saw.
    pub scraped: u64,
    /// Those that the filter left.
    pub kept: u64,
    /// Series seen for the first time.
    pub added: u64,
    /// Refused one by one.
    pub duplicates: u64,
    pub out_of_bounds: u64,
}

impl Counts {
    /// Samples dropped by keep or drop.
    pub fn filtered(&self) -> u64 {
        self.scraped - self.kept
    }
}

/// The parser of a target's pages; keeps its buffers from scrape to scrape.
pub struct Page {
    parser: Parser,
    merged: Vec<Label<'static>>,
    merger: Merger,
    hasher: SetHasher,
    /// How the last merged sample differs from the last one taken.
    changes: Changes,
    pub counts: Counts,
    family_has_samples: bool,
}

/// What the samples of one page go to.
pub struct Into<'a> {
    pub rules: &'a Rules,
    pub series: &'a mut Series,
    pub transaction: &'a mut Transaction,
    /// Time of samples that name none.
    pub timestamp_ms: i64,
}

impl Default for Page {
    fn default() -> Page {
        Page {
            parser: Parser::new(Format::Text),
            merged: Vec::new(),
            merger: Merger::default(),
            hasher: SetHasher::default(),
            changes: Changes::ALL,
            counts: Counts::default(),
            family_has_samples: false,
        }
    }
}

impl Page {
    /// Starts another page.
    pub fn begin(&mut self, format: Format) {
        self.parser.reset(format);
        self.merger.begin();
        self.counts = Counts::default();
        self.family_has_samples = false;
    }

    /// Takes the complete lines at the start of `window`; returns the bytes consumed.
    pub fn push(
        &mut self,
        window: &[u8],
        last: bool,
        into: &mut Into<'_>,
    ) -> Result<usize, PageError> {
        let (parser, mut take) = self.open(into);
        parser.parse(window, last, &mut |event| take.event(event))
    }

    /// Ends the page.
    pub fn finish(&mut self, into: &mut Into<'_>) -> Result<(), PageError> {
        let (parser, mut take) = self.open(into);
        parser.finish(&mut |event| take.event(event))
    }

    fn open<'a, 'b>(&'a mut self, into: &'a mut Into<'b>) -> (&'a mut Parser, Take<'a, 'b>) {
        let Page { parser, merged, merger, hasher, changes, counts, family_has_samples } = self;
        let added = into.transaction.added();
        let track = Track { hasher, changes, counts, family_has_samples, into };
        (parser, Take { merged, merger, added, track })
    }
}

/// The page without its parser, which lends the events.
struct Take<'a, 'b> {
    merged: &'a mut Vec<Label<'static>>,
    merger: &'a mut Merger,
    added: Rc<Added>,
    track: Track<'a, 'b>,
}

impl Take<'_, '_> {
    fn event(&mut self, event: Event<'_>) -> Result<(), PageError> {
        match &event {
            Event::Sample(sample) => self.sample(sample),
            Event::FamilyEnd(family) => {
                self.track.end_family(family);
                Ok(())
            }
        }
    }

    fn sample(&mut self, raw: &RawSample<'_>) -> Result<(), PageError> {
        let Take { merged, merger, added, track } = self;
        let rules = track.into.rules;
        track.counts.scraped += 1;
        if !rules.filter.keeps(raw.name) {
            merger.pass(raw.changes);
            return Ok(());
        }
        track.counts.kept += 1;
        if rules.sample_limit > 0 && track.counts.kept > rules.sample_limit {
            return Err(PageError::SampleLimit(rules.sample_limit));
        }
        let mut labels = recycle(mem::take(*merged));
        let target = Target {
            labels: &rules.labels,
            honor_labels: rules.honor_labels,
            added: &added.labels,
        };
        let known = merger.merge(raw.name, raw.labels, raw.changes, target, &mut labels);
        let result = track.sample(raw, known, &labels);
        **merged = recycle(labels);
        result
    }
}

/// What becomes of a sample whose labels are settled.
struct Track<'a, 'b> {
    hasher: &'a mut SetHasher,
    changes: &'a mut Changes,
    counts: &'a mut Counts,
    family_has_samples: &'a mut bool,
    into: &'a mut Into<'b>,
}

impl Track<'_, '_> {
    /// Decides by its identity whether a sample is taken.
    fn sample(
        &mut self,
        raw: &RawSample<'_>,
        known: Merged,
        labels: &[Label<'_>],
    ) -> Result<(), PageError> {
        let rules = self.into.rules;
        *self.changes |= known.changes;
        let key = self.hasher.hash(known.names_hash, labels, known.changes);
        let label_count = known.own_labels as u64;
        if rules.label_limit > 0 && label_count > rules.label_limit {
            // As Prometheus counts: what breaks this limit has not passed the filter.
            self.counts.kept -= 1;
            let (limit, name) = (rules.label_limit, raw.name.to_owned());
            return Err(PageError::LabelLimit { limit, labels: label_count, name });
        }
        let explicit = raw.timestamp_ms.filter(|_| rules.honor_timestamps);
        let timestamp_ms = explicit.unwrap_or(self.into.timestamp_ms);
        if timestamp_ms > self.into.timestamp_ms.saturating_add(FUTURE_MS_MAX) {
            self.counts.out_of_bounds += 1;
            return Ok(());
        }
        match self.into.series.see_key(key, labels, explicit.is_some()) {
            Seen::Known => {}
            Seen::New => self.counts.added += 1,
            Seen::Duplicate => {
                self.counts.duplicates += 1;
                return Ok(());
            }
            Seen::Full => return Err(PageError::SeriesLimit),
        }
        *self.family_has_samples = true;
        let sample = Sample {
            family: raw.family,
            part: raw.part,
            labels,
            value: raw.value,
            timestamp_ms,
            exemplar: raw.exemplar,
            histogram: None,
        };
        self.into.transaction.settled(&sample, mem::take(self.changes));
        Ok(())
    }

    fn end_family(&mut self, family: &Family<'_>) {
        if mem::take(self.family_has_samples) {
            self.into.transaction.end_family(family);
        }
    }
}
