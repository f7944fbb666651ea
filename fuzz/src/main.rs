//! Fuzzing on stable: every target, for a bounded time, on mutations of its seeds.
//!
//! `mutate seconds=10 seed=1 [target…]`. A panic ends the run with the input written to a file;
//! the same seed finds it again. Not guided by coverage: cargo-fuzz does that where it runs.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};
use std::{env, fs, process};

/// Inputs grow no longer than this.
const INPUT_BYTES_MAX: usize = 8192;

/// Texts that parsers branch on.
const TOKENS: &[&[u8]] = &[
    b"\n", b"\"", b"\\", b"{", b"}", b",", b"=", b" ", b"#", b"# TYPE ", b"# HELP ", b"# EOF", b"NaN",
    b"+Inf", b"1e999", b"le=\"", b"\r\n", b"\r\n\r\n", b"0", b"ffffffff", b"Content-Length: ",
    b"Transfer-Encoding: chunked", b"${", b"k=", b"\xff", b"\x00", b"\x80",
];

fn main() {
    let text = |name: &str| env::args().find_map(|arg| Some(arg.strip_prefix(name)?.to_owned()));
    let seconds = text("seconds=").and_then(|text| text.parse().ok()).unwrap_or(10.0);
    let seed = text("seed=").and_then(|text| text.parse().ok()).unwrap_or(1_u64);
    let wanted: Vec<String> = env::args().skip(1).filter(|arg| !arg.contains('=')).collect();
    let mut failed = false;
    for (name, target, seeds) in otlet_fuzz::TARGETS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            failed |= !run(name, *target, seeds, seed, seconds);
        }
    }
    process::exit(i32::from(failed));
}

/// True if the target survived.
fn run(name: &str, target: fn(&[u8]), seeds: &[&[u8]], seed: u64, seconds: f64) -> bool {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut corpus: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let mut runs = 0_u64;
    while Instant::now() < end {
        let mut input = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(6) {
            mutate(&mut input, &corpus, &mut random);
        }
        input.truncate(INPUT_BYTES_MAX);
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            let path = format!("fuzz-{name}-{runs}.bin");
            let written = fs::write(&path, &input);
            println!("{name}: panicked after {runs} runs with seed={seed}; {path} {written:?}");
            return false;
        }
        // A few mutants stay, so that mutations pile up.
        if random.below(50) == 0 {
            let at = random.below(256);
            match corpus.get_mut(seeds.len() + at) {
                Some(old) => *old = input,
                None => corpus.push(input),
            }
        }
        runs += 1;
    }
    println!("{name}: {runs} runs, no panic (seed={seed})");
    true
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + random.below(16)).min(input.len());
    match random.below(7) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.next() as u8,
        2 => drop(input.drain(at..end)),
        3 => {
            let piece = input[at..end].to_vec();
            input.splice(at..at, piece);
        }
        4 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            let to = (from + random.below(64)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
        5 => input.truncate(at),
        _ => {
            let token = TOKENS[random.below(TOKENS.len())];
            input.splice(at..at, token.iter().copied());
        }
    }
}

/// xorshift64*: enough to choose mutations, the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound.max(1)
    }
}
