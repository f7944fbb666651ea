//! Delta points summed up to cumulative ones, one stream per OTLP identity.
//!
//! After contrib's deltatocumulativeprocessor, with three differences: a number stays a double
//! whatever type comes next; a stream that begins says so, so that a zero can be written before its
//! first increment; and a forgotten stream leaves its last time behind, so that its successor does
//! not begin before that. Gaps between points are not detected, as there.
//!
//! Bounds: `streams_max` streams, forgotten after `stale`; a histogram of one has at most
//! [`BOUNDS_MAX`] buckets, an exponential one those of its own bound.

use std::collections::HashMap;

use foldhash::quality::FixedState;

use super::exponential::Exponential;
use super::Reason;

/// Most explicit bounds of a histogram.
pub const BOUNDS_MAX: usize = 2048;

/// A histogram with explicit bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classic {
    pub bounds: Vec<f64>,
    /// Not cumulative; one more than bounds, or as the sender had it.
    pub counts: Vec<u64>,
    pub count: u64,
    pub sum: Option<f64>,
}

impl Classic {
    /// Adds one of the same bounds; false where they differ.
    fn add(&mut self, other: &Classic) -> bool {
        if self.bounds != other.bounds || self.counts.len() != other.counts.len() {
            return false;
        }
        for (to, count) in self.counts.iter_mut().zip(&other.counts) {
            *to = to.saturating_add(*count);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.zip(other.sum).map(|(a, b)| a + b);
        true
    }
}

/// What a point holds.
pub enum Value<'a> {
    Number(&'a mut f64),
    Classic(&'a mut Classic),
    Exponential(&'a mut Exponential),
}

#[derive(Debug)]
enum State {
    /// Forgotten; only its last time is known.
    Ended,
    Number(f64),
    Classic(Box<Classic>),
    Exponential(Box<Exponential>),
}

#[derive(Debug)]
struct Stream {
    last_ns: u64,
    /// When its last point came in, in seconds of the caller's clock.
    touched_s: u32,
    state: State,
}

/// All streams.
#[derive(Debug)]
pub struct Streams {
    streams: HashMap<u64, Stream, FixedState>,
    streams_max: usize,
    stale_s: u32,
    swept_s: u32,
}

impl Streams {
    pub fn new(streams_max: usize, stale_s: u32, seed: u64) -> Streams {
        let streams = HashMap::with_hasher(FixedState::with_seed(seed));
        Streams { streams, streams_max, stale_s, swept_s: 0 }
    }

    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Adds a point to its stream, and makes its value the stream's. Where the stream begins with
    /// it, returns the time (ns) at which it was zero, or none where there is no room before it.
    pub fn add(
        &mut self,
        key: u64,
        start_ns: u64,
        time_ns: u64,
        value: Value<'_>,
        now_s: u32,
    ) -> Result<Option<u64>, Reason> {
        if !self.streams.contains_key(&key) && self.streams.len() >= self.streams_max {
            self.sweep(now_s, true);
            if self.streams.len() >= self.streams_max {
                return Err(Reason::Streams);
            }
        }
        let new = || Stream { last_ns: 0, touched_s: now_s, state: State::Ended };
        let stream = self.streams.entry(key).or_insert_with(new);
        if time_ns <= stream.last_ns {
            return Err(Reason::OutOfOrder);
        }
        let born_ns = stream.state.add(value).then(|| zero_ns(start_ns, time_ns, stream.last_ns));
        (stream.last_ns, stream.touched_s) = (time_ns, now_s);
        Ok(born_ns.flatten())
    }

    /// Forgets streams that were silent for too long. To be called now and then.
    pub fn expire(&mut self, now_s: u32) {
        if now_s.saturating_sub(self.swept_s) >= self.stale_s.clamp(1, 60) {
            self.sweep(now_s, false);
        }
    }

    /// Ends what is stale, and removes what had ended a while ago, or all of it.
    fn sweep(&mut self, now_s: u32, all_ended: bool) {
        self.swept_s = now_s;
        let stale_s = self.stale_s;
        self.streams.retain(|_, stream| {
            let silent_s = now_s.saturating_sub(stream.touched_s);
            if silent_s >= stale_s {
                stream.state = State::Ended;
            }
            !matches!(stream.state, State::Ended)
                || !(all_ended || silent_s >= stale_s.saturating_mul(2))
        });
    }
}

/// A millisecond; zeros are written at least that far from their neighbours.
const MS_NS: u64 = 1_000_000;

/// When a stream was zero: at its start, a millisecond before its first point where that is not
/// said, never before its predecessor's last point.
fn zero_ns(start_ns: u64, time_ns: u64, last_ns: u64) -> Option<u64> {
    let latest_ns = time_ns.checked_sub(MS_NS)?;
    let start_ns = if start_ns == 0 { latest_ns } else { start_ns };
    let earliest_ns = if last_ns == 0 { 0 } else { last_ns + MS_NS };
    Some(start_ns.max(earliest_ns)).filter(|zero_ns| *zero_ns <= latest_ns)
}

impl State {
    /// Adds a value and makes it the sum; true where it is the first of this kind.
    fn add(&mut self, value: Value<'_>) -> bool {
        match (&mut *self, value) {
            (State::Number(sum), Value::Number(value)) => {
                *sum += *value;
                *value = *sum;
                false
            }
            (State::Classic(sum), Value::Classic(value)) => {
                let is_same = sum.add(value);
                if is_same {
                    value.clone_from(sum);
                } else {
                    (**sum).clone_from(value);
                }
                false
            }
            (State::Exponential(sum), Value::Exponential(value)) => {
                sum.add(value);
                value.clone_from(sum);
                false
            }
            (state, value) => {
                *state = match value {
                    Value::Number(value) => State::Number(*value),
                    Value::Classic(value) => State::Classic(Box::new(value.clone())),
                    Value::Exponential(value) => State::Exponential(Box::new(value.clone())),
                };
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(
        streams: &mut Streams,
        key: u64,
        times: (u64, u64),
        value: f64,
        now_s: u32,
    ) -> String {
        let mut value = value;
        let added =
            streams.add(key, times.0 * MS_NS, times.1 * MS_NS, Value::Number(&mut value), now_s);
        match added {
            Ok(Some(zero_ns)) => format!("zero at {}, {value}", zero_ns / MS_NS),
            Ok(None) => value.to_string(),
            Err(drop) => drop.reason().to_owned(),
        }
    }

    #[test]
    fn numbers_add_up() {
        let mut streams = Streams::new(10, 300, 1);
        let mut add = |times, value| number(&mut streams, 1, times, value, 0);
        assert_eq!(add((100, 200), 1.0), "zero at 100, 1");
        assert_eq!(add((200, 300), 2.5), "3.5");
        assert_eq!(add((200, 300), 2.5), "out_of_order");
        assert_eq!(add((100, 250), 2.5), "out_of_order");
        // Gaps and overlaps are not detected.
        assert_eq!(add((900, 1000), 1.0), "4.5");
        let mut add = |key, times| number(&mut streams, key, times, 1.0, 0);
        assert_eq!(add(2, (0, 200)), "zero at 199, 1");
        assert_eq!(add(3, (200, 200)), "1");
    }

    #[test]
    fn streams_are_bounded_and_forgotten() {
        let mut streams = Streams::new(2, 10, 1);
        assert_eq!(number(&mut streams, 1, (1, 5), 1.0, 0), "zero at 1, 1");
        assert_eq!(number(&mut streams, 2, (1, 5), 1.0, 5), "zero at 1, 1");
        assert_eq!(number(&mut streams, 3, (1, 5), 1.0, 5), "streams_max");
        streams.expire(15);
        // The first has ended; its successor begins after it, and after its last point.
        assert_eq!(number(&mut streams, 1, (1, 9), 7.0, 16), "zero at 6, 7");
        streams.expire(26);
        assert_eq!(number(&mut streams, 3, (1, 5), 1.0, 26), "zero at 1, 1");
        assert_eq!(streams.len(), 2);
        streams.expire(100);
        assert_eq!(streams.len(), 0);
    }

    #[test]
    fn histograms_add_up_until_bounds_change() {
        let mut streams = Streams::new(2, 10, 1);
        let histogram = |bounds: &[f64], counts: &[u64]| Classic {
            bounds: bounds.to_vec(),
            counts: counts.to_vec(),
            count: counts.iter().sum(),
            sum: Some(1.0),
        };
        let mut add = |time_ns, mut value: Classic| {
            streams.add(1, 1, time_ns, Value::Classic(&mut value), 0).unwrap();
            value
        };
        add(5 * MS_NS, histogram(&[1.0], &[1, 2]));
        let sum = add(6 * MS_NS, histogram(&[1.0], &[10, 20]));
        assert_eq!((sum.counts, sum.count, sum.sum), (vec![11, 22], 33, Some(2.0)));
        let other = histogram(&[2.0], &[1, 1]);
        assert_eq!(add(7 * MS_NS, other.clone()), other);
    }
}
