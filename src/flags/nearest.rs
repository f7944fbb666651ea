//! Did you mean: the known name nearest to a mistyped one.
//!
//! Distance is optimal string alignment: insertions, deletions, substitutions and exchanges of
//! neighbours count one each (Damerau 1964, Levenshtein 1966).

/// Longer names are not compared: no name in the table comes near.
const NAME_BYTES_MAX: usize = 64;

/// The name among `known` nearest to `name`, if it is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let (best, candidate) =
        known.map(|candidate| (distance(name, candidate), candidate)).min_by_key(|pair| pair.0)?;
    (best <= (candidate.len() / 3).max(1)).then_some(candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let is = |a, b, expected| assert_eq!(distance(a, b), expected, "{a} {b}");
        is("", "", 0);
        is("abc", "", 3);
        is("job", "job", 0);
        is("job", "jbo", 1);
        is("interval", "intervall", 1);
        is("timeout", "tineuot", 2);
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let near = |name| nearest(name, ["interval", "timeout", "job"].into_iter());
        assert_eq!(near("intervall"), Some("interval"));
        assert_eq!(near("jbo"), Some("job"));
        assert_eq!(near("time"), None);
        assert_eq!(near(""), None);
        assert_eq!(near(&"j".repeat(NAME_BYTES_MAX + 1)), None);
        assert_eq!(nearest("a", std::iter::empty()), None);
    }
}
