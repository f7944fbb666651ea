//! One set of credentials for all who sign with it: fetched when first asked for, again before it
//! expires, and once more after a service refused it.
//!
//! A set that is still valid serves on while a new one is fetched, and while fetching fails. All
//! who wait share one request. A set that a service calls expired is not used again: who signs
//! waits for the next rather than lose what it has to send. Failures are tried again after 1 s,
//! then ×2 up to 60 s; between two tries the last failure is the answer. Expired credentials of
//! IMDS serve on, as AWS may still take them in an outage; so do those that their source hands out
//! as expired, since then the clock is wrong.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::fetch::Http;
use super::sts::StsFailure;
use super::{Credentials, Source};
use crate::aws::clock_skew::ClockSkew;
use crate::net::spawn;
use crate::observe::log::hide;

/// Credentials are fetched again this long before they expire, or after half their life.
const REFRESH_MS: i64 = 5 * 60_000;

/// Up to this much earlier, so that tasks started together do not ask together.
const JITTER_MS: i64 = 60_000;

/// Those of an instance are fetched again at least this often, as AWS's SDKs do.
const IMDS_AGE_MS_MAX: i64 = 3_600_000;

/// Pauses between two tries.
const PAUSE_MS_MIN: u64 = 1_000;
const PAUSE_MS_MAX: u64 = 60_000;

#[derive(Default)]
struct State {
    current: Option<Rc<Credentials>>,
    /// When to fetch the next.
    refresh_from_ms: i64,
    /// A service refused the current set; others may help.
    is_refused: bool,
    /// A service said that the current set is not good any more: it is not used again.
    is_spent: bool,
    /// The current set serves on after it has expired.
    is_lasting: bool,
    error: Option<String>,
    pause_ms: u64,
    next_try: Option<Instant>,
    is_fetching: bool,
    waiting: Vec<Waker>,
}

/// What to do with what is there.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Use,
    UseAndFetch,
    Wait,
    Fail,
}

impl State {
    fn step(&self, now_ms: i64, now: Instant) -> Step {
        let may_try = self.is_fetching || self.next_try.is_none_or(|at| at <= now);
        let Some(current) = &self.current else {
            return if may_try { Step::Wait } else { Step::Fail };
        };
        let is_expired = current.is_expired(now_ms);
        match (is_expired || self.is_refused || self.is_spent, may_try) {
            (true, true) => Step::Wait,
            (true, false) if self.is_spent || (is_expired && !self.is_lasting) => Step::Fail,
            (false, true) if current.expires_ms.is_some() && now_ms >= self.refresh_from_ms => {
                Step::UseAndFetch
            }
            _ => Step::Use,
        }
    }

    fn succeed(&mut self, credentials: Credentials, is_imds: bool, now_ms: i64, now: Instant) {
        if let Some(expires_ms) = credentials.expires_ms {
            let half_ms = (expires_ms - now_ms).max(0) / 2;
            let early_ms = REFRESH_MS + jitter_ms(&credentials.access_key_id);
            self.refresh_from_ms = expires_ms - early_ms.min(half_ms);
            if is_imds {
                self.refresh_from_ms = self.refresh_from_ms.min(now_ms + IMDS_AGE_MS_MAX);
            }
        }
        let is_expired = credentials.is_expired(now_ms);
        self.pause_ms = if is_expired { next_pause_ms(self.pause_ms) } else { 0 };
        self.next_try = Some(now + Duration::from_millis(self.pause_ms.max(PAUSE_MS_MIN)));
        self.is_lasting = is_expired || is_imds;
        self.current = Some(Rc::new(credentials));
        self.error = None;
        self.is_refused = false;
        self.is_spent = false;
    }

    fn fail(&mut self, error: String, now: Instant) {
        self.pause_ms = next_pause_ms(self.pause_ms);
        self.next_try = Some(now + Duration::from_millis(self.pause_ms));
        self.error = Some(error);
        self.is_refused = false;
    }
}

fn next_pause_ms(pause_ms: u64) -> u64 {
    (pause_ms * 2).clamp(PAUSE_MS_MIN, PAUSE_MS_MAX)
}

/// Differs between tasks, as the identifiers of their keys do.
fn jitter_ms(access_key_id: &str) -> i64 {
    let mix = |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = access_key_id.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    (hash >> 16) as i64 % JITTER_MS
}

/// Keeps the credentials of one source.
pub struct Provider {
    source: Source,
    http: Http,
    skew: Rc<Cell<ClockSkew>>,
    state: RefCell<State>,
}

impl Provider {
    pub fn new(source: Source, http: Http, skew: Rc<Cell<ClockSkew>>) -> Rc<Provider> {
        Rc::new(Provider { source, http, skew, state: RefCell::default() })
    }

    /// Where the credentials come from, for messages.
    pub fn describe(&self) -> String {
        self.source.describe()
    }

    /// The role that the current credentials belong to, if that is known.
    pub fn role(&self) -> Option<String> {
        let state = self.state.borrow();
        state.current.as_ref().and_then(|current| current.role.clone())
    }

    /// Credentials to sign with; `region` says which STS to ask where one is needed. The error says
    /// which source was tried and what was missing.
    pub async fn get(
        self: &Rc<Provider>,
        unix_ms: i64,
        region: &str,
    ) -> Result<Rc<Credentials>, String> {
        match &self.source {
            Source::Static(credentials) => return Ok(Rc::clone(credentials)),
            Source::Nothing(reason) => return Err(reason.clone()),
            _ => {}
        }
        let now_ms = self.skew.get().corrected(unix_ms);
        let step = self.state.borrow().step(now_ms, Instant::now());
        match step {
            Step::Use | Step::Fail => {}
            Step::UseAndFetch => self.start_fetch(unix_ms, region),
            Step::Wait => {
                self.start_fetch(unix_ms, region);
                self.fetched().await;
            }
        }
        let state = self.state.borrow();
        match &state.current {
            Some(current)
                if !state.is_spent && (state.is_lasting || !current.is_expired(now_ms)) =>
            {
                Ok(Rc::clone(current))
            }
            _ => Err(state.error.clone().unwrap_or_else(|| {
                format!("{}: its credentials have expired, others are due", self.describe())
            })),
        }
    }

    /// `text` without the secrets of the current set, should a server repeat them.
    pub fn redact(&self, text: String) -> String {
        let state = self.state.borrow();
        let current = match &self.source {
            Source::Static(credentials) => Some(credentials),
            _ => state.current.as_ref(),
        };
        let Some(keys) = current else { return text };
        let secrets = [Some(&keys.secret_access_key), keys.session_token.as_ref()];
        secrets.into_iter().flatten().fold(text, |text, secret| text.replace(secret, "***"))
    }

    /// The same in a server's words, whose length stays.
    pub fn hide(&self, words: &mut [u8]) {
        let state = self.state.borrow();
        let current = match &self.source {
            Source::Static(credentials) => Some(credentials),
            _ => state.current.as_ref(),
        };
        let Some(keys) = current else { return };
        let secrets = [Some(&keys.secret_access_key), keys.session_token.as_ref()];
        secrets.into_iter().flatten().for_each(|secret| hide(words, secret));
    }

    /// The identifier of the current key, which is no secret.
    pub fn key_id(&self) -> Option<String> {
        let state = self.state.borrow();
        state.current.as_ref().map(|current| current.access_key_id.clone())
    }

    /// A service refused the credentials: fetch others before the next use, or if they `are_spent`
    /// do not use them again. False if there are none to fetch.
    pub fn invalidate(&self, are_spent: bool) -> bool {
        match &self.source {
            Source::Static(_) | Source::Nothing(_) => return false,
            Source::Role { base, .. } => drop(base.invalidate(false)),
            _ => {}
        }
        let mut state = self.state.borrow_mut();
        state.is_refused = true;
        state.is_spent |= are_spent;
        true
    }

    /// Waits for the end of the fetch that is running.
    async fn fetched(&self) {
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if !state.is_fetching {
                return Poll::Ready(());
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                state.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Starts a fetch, unless one is running.
    fn start_fetch(self: &Rc<Provider>, unix_ms: i64, region: &str) {
        if std::mem::replace(&mut self.state.borrow_mut().is_fetching, true) {
            return;
        }
        let (provider, region) = (Rc::clone(self), region.to_owned());
        spawn(async move {
            let result = provider.fetch(unix_ms, &region).await;
            provider.finish(result, unix_ms);
        })
        .detach();
    }

    fn finish(&self, result: Result<Credentials, String>, unix_ms: i64) {
        let now_ms = self.skew.get().corrected(unix_ms);
        let mut state = self.state.borrow_mut();
        let now = Instant::now();
        match result {
            Ok(credentials) => {
                if credentials.is_expired(now_ms) {
                    log::warn!("aws: {}: credentials have expired already", self.describe());
                }
                let left_s = credentials.expires_ms.map(|at| (at - now_ms) / 1000);
                log::debug!(
                    "aws: credentials from {} {}",
                    self.describe(),
                    left_s.map_or("do not expire".to_owned(), |left_s| format!("for {left_s} s"))
                );
                let is_imds = matches!(self.source, Source::Imds);
                state.succeed(credentials, is_imds, now_ms, now);
            }
            Err(error) => {
                let error = format!("{}: {error}", self.describe());
                if state.current.is_some() {
                    log::warn!("aws: credentials are not renewed: {error}");
                }
                state.fail(error, now);
            }
        }
        state.is_fetching = false;
        for waker in state.waiting.drain(..) {
            waker.wake();
        }
    }

    async fn fetch(&self, unix_ms: i64, region: &str) -> Result<Credentials, String> {
        match &self.source {
            Source::Static(credentials) => Ok(Credentials::clone(credentials)),
            Source::Nothing(reason) => Err(reason.clone()),
            Source::Imds => self.http.imds().await.map_err(|why| {
                format!(
                    "{why}; where no instance has a role, set AWS_ACCESS_KEY_ID and \
                     AWS_SECRET_ACCESS_KEY"
                )
            }),
            Source::Container { url, token, must_be_loopback } => {
                self.http.container(url, token, *must_be_loopback).await
            }
            Source::WebIdentity { token_file, role } => {
                let answer = self.http.web_identity(token_file, role, region).await;
                answer.map_err(|failure| failure.message)
            }
            Source::Role { base, role } => {
                let mut attempt = 0;
                loop {
                    let keys = base.get(unix_ms, region).await?;
                    let now_ms = self.skew.get().corrected(unix_ms);
                    let failure = match self.http.assume_role(&keys, role, region, now_ms).await {
                        Ok(credentials) => return Ok(credentials),
                        Err(failure) => failure,
                    };
                    attempt += 1;
                    if attempt == 2 || !self.may_help(base, &failure, unix_ms) {
                        return Err(failure.message);
                    }
                }
            }
        }
    }

    /// Whether to ask STS again at once: the clock was corrected, or other base credentials may
    /// help.
    fn may_help(&self, base: &Provider, failure: &StsFailure, unix_ms: i64) -> bool {
        let mut skew = self.skew.get();
        let words = (failure.error.code.as_str(), failure.error.message.as_str());
        let is_corrected = skew.observe(failure.status, failure.date.as_deref(), words, unix_ms);
        self.skew.set(skew);
        is_corrected || (failure.error.is_stale() && base.invalidate(true))
    }
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
