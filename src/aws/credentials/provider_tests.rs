//! Tests of when credentials are used, fetched and given up.

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn keys(expires_ms: Option<i64>) -> Credentials {
    Credentials {
        access_key_id: "ASIA1".to_owned(),
        secret_access_key: "s".to_owned(),
        session_token: None,
        expires_ms,
        role: None,
    }
}

fn state(expires_ms: Option<i64>, is_imds: bool, now: Instant) -> State {
    let mut state = State::default();
    state.succeed(keys(expires_ms), is_imds, 0, now);
    state
}

#[test]
fn a_set_is_renewed_before_it_expires() {
    let start = Instant::now();
    let later = start + Duration::from_secs(2);
    let hour = state(Some(HOUR_MS), false, start);
    let jitter = jitter_ms("ASIA1");
    assert!((0..JITTER_MS).contains(&jitter));
    let from_ms = HOUR_MS - REFRESH_MS - jitter;
    for (now_ms, now, expected) in [
        (0, start, Step::Use),
        (from_ms - 1, later, Step::Use),
        (from_ms, start, Step::Use),
        (from_ms, later, Step::UseAndFetch),
        (HOUR_MS - 1, later, Step::UseAndFetch),
        (HOUR_MS, later, Step::Wait),
        (HOUR_MS, start, Step::Fail),
    ] {
        assert_eq!(hour.step(now_ms, now), expected, "{now_ms}");
    }
    assert_eq!(state(Some(4000), false, start).refresh_from_ms, 2000);
    assert_eq!(state(None, false, start).step(i64::MAX, later), Step::Use);
    assert_eq!(state(Some(HOUR_MS), true, start).step(HOUR_MS, start), Step::Use);
}

#[test]
fn a_failure_leaves_a_valid_set_in_use_and_is_tried_again() {
    let start = Instant::now();
    let mut state = state(Some(HOUR_MS), false, start);
    let mut pauses_ms = Vec::new();
    for _ in 0..8 {
        state.fail("down".to_owned(), start);
        pauses_ms.push(state.pause_ms);
        assert_eq!(state.step(HOUR_MS - 1, start), Step::Use);
    }
    assert_eq!(pauses_ms, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    assert_eq!(state.step(HOUR_MS - 1, start + Duration::from_secs(60)), Step::UseAndFetch);
    state.succeed(keys(None), false, 0, start);
    assert_eq!((state.pause_ms, state.error), (0, None));
}

#[test]
fn a_refused_set_is_exchanged_once() {
    let start = Instant::now();
    let later = start + Duration::from_secs(2);
    let mut state = state(Some(HOUR_MS), false, start);
    state.is_refused = true;
    assert_eq!(state.step(0, later), Step::Wait);
    assert_eq!(state.step(0, start), Step::Use);
    state.fail("down".to_owned(), later);
    assert_eq!(state.step(0, later), Step::Use);
}

#[test]
fn a_set_that_a_service_calls_expired_is_not_used_again() {
    let start = Instant::now();
    let later = start + Duration::from_secs(2);
    let mut state = state(Some(HOUR_MS), true, start);
    (state.is_refused, state.is_spent) = (true, true);
    assert_eq!((state.step(0, start), state.step(0, later)), (Step::Fail, Step::Wait));
    state.fail("down".to_owned(), later);
    assert_eq!(state.step(0, later), Step::Fail);
    state.succeed(keys(Some(HOUR_MS)), true, 0, later);
    assert_eq!(state.step(0, later), Step::Use);
}

#[test]
fn an_instances_set_is_renewed_every_hour() {
    let start = Instant::now();
    let set = state(Some(6 * HOUR_MS), true, start);
    assert_eq!(set.refresh_from_ms, HOUR_MS);
}

#[test]
fn what_is_handed_out_as_expired_serves() {
    let start = Instant::now();
    let late = state(Some(-1), false, start);
    assert_eq!(late.step(0, start), Step::Use);
    assert_eq!(late.step(0, start + Duration::from_secs(2)), Step::Wait);
    assert_eq!(State::default().step(0, start), Step::Wait);
}
