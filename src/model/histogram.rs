//! Native histograms as a sample carries them (Prometheus Remote-Write 1.0 protobuf, `Histogram`;
//! Prometheus documentation, "Native Histograms").

/// Consecutive buckets: `offset` counts from the end of the span before it, for the first span from
/// bucket 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketSpan {
    pub offset: i32,
    pub length: u32,
}

/// One side's buckets: each delta is the difference to the bucket before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NativeBuckets<'a> {
    pub spans: &'a [BucketSpan],
    pub deltas: &'a [i64],
}

/// A histogram of integer counts with exponential buckets: bucket `i` covers (base^(i−1), base^i]
/// where base is 2^(2^-schema).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NativeHistogram<'a> {
    pub count: u64,
    /// A staleness marker where the series ends.
    pub sum: f64,
    /// −4 to 8.
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: u64,
    pub negative: NativeBuckets<'a>,
    pub positive: NativeBuckets<'a>,
}
