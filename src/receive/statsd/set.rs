//! How many different members a set has, in bounded memory.
//!
//! Up to [`EXACT_MAX`] members are remembered by their hash and counted exactly; beyond that a
//! HyperLogLog (Flajolet et al., 2007) estimates their number, with a standard error of 3 %.

/// Members remembered one by one.
const EXACT_MAX: usize = 64;

/// Registers of the sketch, one byte each; the standard error is 1.04 / √registers.
const REGISTERS: usize = 1024;

#[derive(Clone, Debug)]
pub enum Set {
    Exact(Vec<u64>),
    Sketch(Box<[u8; REGISTERS]>),
}

impl Default for Set {
    fn default() -> Set {
        Set::Exact(Vec::new())
    }
}

impl Set {
    /// The most that a set holds on the heap.
    pub const HEAP_BYTES_MAX: usize = REGISTERS;

    /// Takes a member in by a hash of all 64 bits.
    pub fn insert(&mut self, hash: u64) {
        match self {
            Set::Exact(members) if members.contains(&hash) => {}
            Set::Exact(members) if members.len() < EXACT_MAX => members.push(hash),
            Set::Exact(members) => {
                let mut registers = Box::new([0; REGISTERS]);
                members.iter().for_each(|member| note(&mut registers, *member));
                note(&mut registers, hash);
                *self = Set::Sketch(registers);
            }
            Set::Sketch(registers) => note(registers, hash),
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Set::Exact(members) if members.is_empty())
    }

    /// The number of members.
    pub fn count(&self) -> f64 {
        match self {
            Set::Exact(members) => members.len() as f64,
            Set::Sketch(registers) => estimate(registers),
        }
    }

    /// Forgets all members.
    pub fn clear(&mut self) {
        match self {
            Set::Exact(members) => members.clear(),
            Set::Sketch(_) => *self = Set::default(),
        }
    }
}

/// The low bits choose a register; it keeps the longest run of zeros among the others.
fn note(registers: &mut [u8; REGISTERS], hash: u64) {
    let register = &mut registers[hash as usize % REGISTERS];
    let run = (hash >> REGISTERS.trailing_zeros()).trailing_zeros() as u8 + 1;
    *register = (*register).max(run);
}

fn estimate(registers: &[u8; REGISTERS]) -> f64 {
    let size = REGISTERS as f64;
    let sum: f64 = registers.iter().map(|run| (-f64::from(*run)).exp2()).sum();
    let raw = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
    let empty = registers.iter().filter(|run| **run == 0).count();
    let linear = empty > 0 && raw <= 2.5 * size;
    (if linear { size * (size / empty as f64).ln() } else { raw }).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_exact_and_many_are_near() {
        let mut random = fastrand::Rng::with_seed(9);
        for count in [0, 1, EXACT_MAX, EXACT_MAX + 1, 500, 5000, 100_000, 1_000_000] {
            let mut set = Set::default();
            let hashes: Vec<u64> = (0..count).map(|_| random.u64(..)).collect();
            hashes.iter().chain(&hashes).for_each(|hash| set.insert(*hash));
            let error = (set.count() - count as f64).abs();
            let allowed = if count <= EXACT_MAX { 0.0 } else { 0.12 * count as f64 };
            assert!(error <= allowed, "{count}: {}", set.count());
            set.clear();
            assert!(set.is_empty() && set.count() == 0.0);
        }
    }
}
