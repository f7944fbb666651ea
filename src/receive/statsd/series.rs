//! The one table of series that all listeners share.
//!
//! A line is looked up twice at most: by a hash of its name, tags and type as sent, which finds the
//! series of all but the first line of each spelling; else its name and tags are translated and the
//! series is found by what came out. Neither allocates; a new series does. Series are known by 64
//! bits of a hash that is seeded per process: nobody can write two that collide.
//!
//! Cost: a counter with two tags takes about 180 bytes. Families own their name and list their
//! series, so that a flush visits them family by family.
//!
//! Invariants: a name has one form, the first one wins; a slot in use belongs to exactly one
//! family's list; the table has at most `series_max` series.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

use crate::codec::statsd::{self, Kind, Line, Metric, Value};

use super::config::{Config, Timers};
use super::names::{Form, Translated};
use super::spellings::Spellings;
use super::state::{Buckets, State};
use super::worst::Worst;

/// No series, no family.
pub(super) const NONE: u32 = u32::MAX;

/// The scale from milliseconds to seconds.
const MS_PER_S: f64 = 1000.0;

/// All series of one name.
#[derive(Debug)]
pub(super) struct Family {
    /// Empty for a slot that is free.
    pub name: Box<str>,
    pub form: Form,
    /// Its first series.
    pub first: u32,
}

/// One series. Times are those of its samples, in Unix milliseconds; ages are in seconds since the
/// table was made.
#[derive(Debug)]
pub(super) struct Series {
    pub labels: Box<[u8]>,
    pub state: State,
    /// Of its last sample; 0 before the first.
    pub last_ms: i64,
    pub touched_s: u32,
    /// The time its last line carried, in Unix seconds; 0 for none.
    pub time_s: u32,
    pub family: u32,
    pub next: u32,
    pub previous: u32,
    /// There were lines since the last flush.
    pub is_fresh: bool,
}

/// What was wrong within lines that were taken all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub bad_rate: u64,
    pub bad_tag: u64,
    pub bad_time: u64,
    /// A packed value, or a sample of several on a line.
    pub bad_value: u64,
    pub unknown_section: u64,
    /// A time before the series' last sample: the time of the flush was taken instead.
    pub late: u64,
}

impl Faults {
    /// Each with the value of the label `fault`.
    pub fn each(&self) -> [(&'static str, u64); 6] {
        [
            ("bad_rate", self.bad_rate),
            ("bad_tag", self.bad_tag),
            ("bad_time", self.bad_time),
            ("bad_value", self.bad_value),
            ("late", self.late),
            ("unknown_section", self.unknown_section),
        ]
    }
}

/// The table.
pub struct Table {
    pub(super) families: Vec<Family>,
    pub(super) series: Vec<Series>,
    pub(super) buckets: Buckets,
    /// Series that ended in the last flush and in the one under way, by key.
    pub(super) ended: [Vec<u64>; 2],
    pub(super) faults: Faults,
    worst: Worst,
    family_ids: HashMap<u64, u32, FixedState>,
    ids: HashMap<u64, u32, FixedState>,
    free_families: Vec<u32>,
    free: Vec<u32>,
    spellings: Spellings,
    /// A series has ended since the spellings were forgotten.
    forget: bool,
    translated: Translated,
    hasher: FixedState,
    timers: Timers,
    prefix: String,
    series_max: usize,
    heap_bytes: usize,
    age_s: u32,
}

impl Table {
    pub fn new(config: &Config, seed: u64) -> Table {
        let hasher = FixedState::with_seed(seed);
        Table {
            families: Vec::new(),
            series: Vec::new(),
            buckets: Buckets::new(&config.buckets),
            ended: Default::default(),
            faults: Faults::default(),
            worst: Worst::default(),
            family_ids: HashMap::with_hasher(FixedState::with_seed(seed)),
            ids: HashMap::with_hasher(FixedState::with_seed(seed)),
            free_families: Vec::new(),
            free: Vec::new(),
            spellings: Spellings::default(),
            forget: false,
            translated: Translated::default(),
            hasher,
            timers: config.timers,
            prefix: config.prefix.clone(),
            series_max: config.series_max,
            heap_bytes: 0,
            age_s: 0,
        }
    }

    /// Says how old the table is, in seconds, for the lines that follow.
    pub fn set_age(&mut self, age_s: u32) {
        self.age_s = age_s;
    }

    pub fn len(&self) -> usize {
        self.series.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was wrong since the last call.
    pub fn take_faults(&mut self) -> Faults {
        std::mem::take(&mut self.faults)
    }

    /// Lines refused for want of room and their most frequent names, since the last call.
    pub fn take_overflow(&mut self) -> Option<(u64, String)> {
        self.worst.take()
    }

    /// Memory held, to within what the allocator adds.
    pub fn bytes(&self) -> usize {
        let maps = (self.ids.capacity() + self.family_ids.capacity()) * 8 / 7 * 17;
        self.series.capacity() * size_of::<Series>()
            + self.families.capacity() * size_of::<Family>()
            + self.spellings.bytes()
            + maps
            + self.heap_bytes
    }

    /// Takes the lines of a datagram in and tells how many; each refused one is shown with its
    /// reason.
    pub fn take(&mut self, datagram: &[u8], mut refuse: impl FnMut(&[u8], &'static str)) -> u64 {
        let mut taken = 0;
        for line in statsd::lines(datagram) {
            match self.line(line) {
                Ok(lines) => taken += lines,
                Err(reason) => refuse(line, reason),
            }
        }
        taken
    }

    fn line(&mut self, line: &[u8]) -> Result<u64, &'static str> {
        match statsd::parse(line).map_err(|refusal| refusal.name())? {
            Line::Empty => return Ok(0),
            Line::Metric(metric) => self.samples(metric)?,
            // Nothing that otlet sends to takes events.
            Line::Event(_) => return Err("event"),
            Line::Check(check) => {
                self.translated.translate_check(check.name, check.fields.tags)?;
                let id = self.find_translated(Form::Gauge)?;
                self.touch(id, 0).record(f64::from(check.status), 1.0, &Buckets::new(&[]));
            }
        }
        Ok(1)
    }

    /// All samples on a line; an error where none was taken.
    fn samples(&mut self, mut metric: Metric<'_>) -> Result<(), &'static str> {
        let mut result = self.metric(&metric);
        while let Some(next) = metric.next() {
            let next = match next {
                Ok(next) => {
                    metric = next;
                    self.metric(&metric)
                }
                Err(refusal) => Err(refusal.name()),
            };
            self.faults.bad_value += u64::from(result.is_err() != next.is_err());
            let stop = next.is_err();
            result = result.or(next);
            if stop {
                break;
            }
        }
        result
    }

    /// The values of one sample; an error where none was taken.
    fn metric(&mut self, metric: &Metric<'_>) -> Result<(), &'static str> {
        let (mut found, mut refused) = (None, None);
        for value in metric.values() {
            let value = match value {
                Ok(Value::Number(number)) if !(number * metric.weight).is_finite() => {
                    refused = Some("bad_value");
                    continue;
                }
                Ok(value) => value,
                Err(refusal) => {
                    refused = Some(refusal.name());
                    continue;
                }
            };
            let id = match found {
                Some(id) => id,
                None => *found.insert(self.find(metric)?),
            };
            self.record(id, value, metric);
        }
        match (found, refused) {
            (None, refused) => Err(refused.unwrap_or("bad_value")),
            (Some(_), refused) => {
                self.faults.bad_value += u64::from(refused.is_some());
                if metric.bad_rate || metric.bad_time || metric.unknown_sections > 0 {
                    self.faults.bad_rate += u64::from(metric.bad_rate);
                    self.faults.bad_time += u64::from(metric.bad_time);
                    self.faults.unknown_section += u64::from(metric.unknown_sections);
                }
                Ok(())
            }
        }
    }

    #[inline]
    fn record(&mut self, id: u32, value: Value<'_>, metric: &Metric<'_>) {
        let time_s = metric.time_s.unwrap_or(0);
        match value {
            Value::Number(number) => {
                let number = if metric.kind == Kind::Timer { number / MS_PER_S } else { number };
                self.touch(id, time_s);
                let state = &mut self.series[id as usize].state;
                state.record(number, metric.weight, &self.buckets);
            }
            Value::Change(_) => self.touch(id, time_s).record_other(value, 0),
            Value::Text(member) => {
                let hash = self.hasher.hash_one(member);
                self.touch(id, time_s).record_other(value, hash);
            }
        }
    }

    #[inline]
    fn touch(&mut self, id: u32, time_s: u32) -> &mut State {
        let series = &mut self.series[id as usize];
        series.touched_s = self.age_s;
        series.time_s = time_s;
        series.is_fresh = true;
        &mut series.state
    }

    /// The series of a metric, made where there is none.
    #[inline]
    fn find(&mut self, metric: &Metric<'_>) -> Result<u32, &'static str> {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(metric.name);
        hasher.write(metric.tags);
        hasher.write_u8(metric.kind as u8);
        let key = hasher.finish();
        if let Some(id) = self.spellings.get(key) {
            return Ok(id);
        }
        let id = self.find_spelled(metric)?;
        self.spellings.insert(key, id, self.series.len());
        Ok(id)
    }

    fn find_spelled(&mut self, metric: &Metric<'_>) -> Result<u32, &'static str> {
        let form = Form::of(metric.kind, self.timers);
        self.translated.translate(&self.prefix, metric.name, metric.kind, metric.tags, form)?;
        // Lines with bad tags are remembered as well: the fault is counted once per spelling.
        self.faults.bad_tag += self.translated.bad_tags;
        self.find_translated(form)
    }

    fn find_translated(&mut self, form: Form) -> Result<u32, &'static str> {
        let name_key = self.hasher.hash_one(self.translated.name.as_str());
        let family = self.family_ids.get(&name_key).copied();
        if family.is_some_and(|family| self.families[family as usize].form != form) {
            return Err("type_conflict");
        }
        let key = series_key(&self.hasher, name_key, &self.translated.labels);
        if let Some(id) = self.ids.get(&key) {
            return Ok(*id);
        }
        if self.len() >= self.series_max {
            self.worst.note(&self.translated.name);
            return Err("series_max");
        }
        let family = match family {
            Some(family) => family,
            None if self.has_namesake(form) => return Err("type_conflict"),
            None => self.add_family(name_key, form),
        };
        Ok(self.add_series(key, family))
    }

    /// Whether the name under translation would share series with another family: a histogram `a`
    /// has `a_sum`, which a gauge may be called as well.
    fn has_namesake(&self, form: Form) -> bool {
        const SUFFIXES: [&str; 3] = ["_bucket", "_count", "_sum"];
        let name = self.translated.name.as_str();
        let family = |name: &str| {
            let id = self.family_ids.get(&self.hasher.hash_one(name))?;
            Some(self.families[*id as usize].form)
        };
        if form.is_observer() {
            return SUFFIXES.iter().any(|suffix| family(&format!("{name}{suffix}")).is_some());
        }
        let mut stems = SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix));
        stems.any(|stem| family(stem).is_some_and(Form::is_observer))
    }

    fn add_family(&mut self, key: u64, form: Form) -> u32 {
        let name: Box<str> = self.translated.name.as_str().into();
        self.heap_bytes += name.len();
        let family = Family { name, form, first: NONE };
        let id = put(&mut self.families, &mut self.free_families, family);
        self.family_ids.insert(key, id);
        id
    }

    fn add_series(&mut self, key: u64, family: u32) -> u32 {
        let next = self.families[family as usize].first;
        let state = State::new(self.families[family as usize].form, &self.buckets);
        self.heap_bytes += self.translated.labels.len() + state.heap_bytes_max();
        let series = Series {
            labels: self.translated.labels.as_slice().into(),
            state,
            last_ms: 0,
            touched_s: self.age_s,
            time_s: 0,
            family,
            next,
            previous: NONE,
            is_fresh: true,
        };
        let id = put(&mut self.series, &mut self.free, series);
        if next != NONE {
            self.series[next as usize].previous = id;
        }
        self.families[family as usize].first = id;
        self.ids.insert(key, id);
        id
    }

    /// Ends a series; its key stays known until the flush after the next.
    pub(super) fn remove(&mut self, id: u32) {
        let series = &mut self.series[id as usize];
        let labels = std::mem::take(&mut series.labels);
        let state = std::mem::replace(&mut series.state, State::Counter(0.0));
        let (family, next, previous) = (series.family, series.next, series.previous);
        match previous {
            NONE => self.families[family as usize].first = next,
            _ => self.series[previous as usize].next = next,
        }
        if next != NONE {
            self.series[next as usize].previous = previous;
        }
        self.heap_bytes = self.heap_bytes.saturating_sub(labels.len() + state.heap_bytes_max());
        let key = self.key(family, &labels);
        self.ids.remove(&key);
        self.ended[1].push(key);
        self.free.push(id);
        self.forget = true;
    }

    /// Spellings do not know whose they are: where a series has ended, all are learnt anew.
    pub(super) fn forget_spellings(&mut self) {
        if std::mem::take(&mut self.forget) {
            self.spellings.forget();
        }
    }

    /// Frees a family without series.
    pub(super) fn remove_family(&mut self, id: u32) {
        let name = std::mem::take(&mut self.families[id as usize].name);
        self.heap_bytes = self.heap_bytes.saturating_sub(name.len());
        self.family_ids.remove(&self.hasher.hash_one(&*name));
        self.free_families.push(id);
    }

    /// The key of a series.
    pub(super) fn key(&self, family: u32, labels: &[u8]) -> u64 {
        let name_key = self.hasher.hash_one(&*self.families[family as usize].name);
        series_key(&self.hasher, name_key, labels)
    }
}

fn series_key(hasher: &FixedState, name_key: u64, labels: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write_u64(name_key);
    hasher.write(labels);
    hasher.finish()
}

/// Puts an entry into a free slot, else at the end. Grows by an eighth: doubling would waste more
/// than all else that a series takes.
fn put<T>(entries: &mut Vec<T>, free: &mut Vec<u32>, entry: T) -> u32 {
    if let Some(id) = free.pop() {
        entries[id as usize] = entry;
        return id;
    }
    if entries.len() == entries.capacity() {
        entries.reserve_exact(entries.len() / 8 + 8);
    }
    entries.push(entry);
    entries.len() as u32 - 1
}

#[cfg(test)]
#[path = "series_tests.rs"]
pub(super) mod tests;
