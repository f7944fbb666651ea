//! One flag as given: its addresses and settings, checked against the table, read by type.
//!
//! Secrets never reach a message: neither the value of a secret key, nor what came from a variable,
//! nor a word that follows a secret and may be the rest of it.

use super::grammar::{self, Expanded, Word};
use super::nearest::nearest;
use super::pipeline::NO_HASHMOD;
use super::table::{Flag, Setting, Takes, CLIENT};
use super::value::{self, Parsed, SWITCH};
use super::FlagError;
use crate::observe::log::shorten;

/// Longest piece of an argument that a message repeats.
const SHOWN_CHARS_MAX: usize = 80;

/// Longest explanation.
const WHY_CHARS_MAX: usize = 200;

/// Where variables are looked up.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A flag's value, split and expanded; every key is one the flag knows.
pub struct Component {
    pub flag: &'static Flag,
    addresses: Vec<Given>,
    settings: Vec<Given>,
}

/// A text and what it is for: a key as typed, or none for an address.
struct Given {
    key: String,
    text: String,
    secret: bool,
}

impl Component {
    /// Splits `value` and checks its keys against the table.
    pub fn parse(flag: &'static Flag, value: &str, env: Env) -> Result<Component, FlagError> {
        let words = grammar::split(value).map_err(|error| fail(flag, "", &error.to_string()))?;
        let mut component = Component { flag, addresses: Vec::new(), settings: Vec::new() };
        let mut after_secret = false;
        for word in &words {
            if component.takes_as_address(word) {
                component.push_address(word, env)?;
            } else {
                after_secret = component.push_setting(word, after_secret, env)?;
            }
        }
        let lacks_address = component.addresses.is_empty() && flag.addresses_max > 0;
        let empty = words.is_empty() && flag.takes == Takes::Required;
        if empty || (lacks_address && flag.default.is_empty()) {
            return Err(fail(flag, "", &format!("expected {}", flag.value_name())));
        }
        Ok(component)
    }

    /// Addresses come before settings; what is shaped like a setting is one, known or not.
    fn takes_as_address(&self, word: &Word) -> bool {
        let (key, value) = word.parts();
        let like_a_setting = value.is_some() && !key.contains([':', '/']);
        let room = self.settings.is_empty() && self.addresses.len() < self.flag.addresses_max;
        room && !like_a_setting && find(self.flag, key).is_none()
    }

    fn push_address(&mut self, word: &Word, env: Env) -> Result<(), FlagError> {
        let Expanded { text, from_variable } = self.expand("", &word.text, env)?;
        self.addresses.push(Given { key: String::new(), text, secret: from_variable });
        Ok(())
    }

    /// Adds a setting; true if it is a secret.
    fn push_setting(&mut self, word: &Word, masked: bool, env: Env) -> Result<bool, FlagError> {
        let (key, value) = word.parts();
        let Some((setting, _)) = find(self.flag, key) else {
            return Err(self.unknown(key, masked));
        };
        // The name is any word here, so a second one is more likely the rest of the first's value.
        if setting.prefix() == Some("") && !self.settings.is_empty() {
            let why = format!("expected one {}", self.flag.value_name());
            return Err(fail(self.flag, "", &(why + "; quote a value that holds blanks")));
        }
        let same = |given: &Given| match setting.prefix() {
            Some("header.") => given.key.eq_ignore_ascii_case(key),
            _ => given.key == key,
        };
        if self.settings.iter().any(same) {
            return Err(fail(self.flag, key, "given twice"));
        }
        let text = match value {
            Some(text) => text,
            None if setting.value == SWITCH => "true",
            None => {
                let why = format!("expected {}={}", setting.key, setting.value);
                return Err(fail(self.flag, key, &why));
            }
        };
        let Expanded { text, from_variable } = self.expand(key, text, env)?;
        let secret = setting.secret || from_variable;
        self.settings.push(Given { key: key.to_owned(), text, secret });
        Ok(setting.secret)
    }

    fn expand(&self, key: &str, text: &str, env: Env) -> Result<Expanded, FlagError> {
        grammar::expand(text, env).map_err(|variable| {
            let variable = shorten(variable.as_bytes(), SHOWN_CHARS_MAX);
            fail(self.flag, key, &format!("environment variable {variable} is not set"))
        })
    }

    fn unknown(&self, key: &str, masked: bool) -> FlagError {
        if masked || holds_credentials(key) {
            return fail(self.flag, "", "unknown setting ***; quote a value that holds blanks");
        }
        if (self.flag.name, key) == ("relabel", "modulus") {
            // The setting of an action that is refused by name.
            return fail(self.flag, key, NO_HASHMOD);
        }
        let known = settings_of(self.flag).map(|setting| setting.key);
        // lable.tier
        // ^ only this part can be mistyped
        let prefixed = || {
            let (stem, _) = key.split_once('.')?;
            let near = |prefix: &str| nearest(&format!("{stem}."), [prefix].into_iter()).is_some();
            settings_of(self.flag).find(|setting| setting.prefix().is_some_and(near))
        };
        let known = nearest(key, known).or_else(|| prefixed().map(|setting| setting.key));
        let hint = match known {
            Some(name) => format!("nearest is {name}"),
            None => format!("see --help={}", self.flag.name),
        };
        let key = shorten(key.as_bytes(), SHOWN_CHARS_MAX);
        fail(self.flag, "", &format!("unknown setting {key}; {hint}"))
    }

    /// The one address, or the flag's default.
    pub fn address<T>(&self, parse: impl Fn(&str) -> Parsed<T>) -> Result<T, FlagError> {
        match self.addresses.first() {
            Some(given) => self.typed(given, parse),
            None => parse(self.flag.default).map_err(|why| fail(self.flag, "", &why)),
        }
    }

    /// All addresses, or the flag's default.
    pub fn addresses<T>(&self, parse: impl Fn(&str) -> Parsed<T>) -> Result<Vec<T>, FlagError> {
        if self.addresses.is_empty() {
            return Ok(vec![self.address(parse)?]);
        }
        self.addresses.iter().map(|given| self.typed(given, &parse)).collect()
    }

    /// The setting `key`, or its default in the table.
    pub fn get<T>(&self, key: &str, parse: impl Fn(&str) -> Parsed<T>) -> Result<T, FlagError> {
        if let Some(given) = self.given(key) {
            return self.typed(given, parse);
        }
        let default = find(self.flag, key).map_or("", |(setting, _)| setting.default);
        parse(default).map_err(|why| fail(self.flag, key, &why))
    }

    /// The setting `key` if it was given: for settings without a default.
    pub fn optional<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Result<Option<T>, FlagError> {
        self.given(key).map(|given| self.typed(given, parse)).transpose()
    }

    /// The settings whose key begins with `prefix`, in the order given: checked name and value,
    /// which is not empty.
    pub fn named(
        &self,
        prefix: &str,
        check: impl Fn(&str) -> Parsed<String>,
    ) -> Result<Vec<(String, String)>, FlagError> {
        let named = self.settings.iter().filter_map(|given| {
            let name = given.key.strip_prefix(prefix)?;
            Some((given, name))
        });
        named
            .map(|(given, name)| match check(name) {
                Ok(name) => Ok((name, self.typed(given, value::filled)?)),
                Err(why) => Err(fail(self.flag, &given.key, &why)),
            })
            .collect()
    }

    /// Which of `keys` was given, if any.
    pub fn any_of(&self, keys: &[&'static str]) -> Option<&'static str> {
        keys.iter().find(|key| self.given(key).is_some()).copied()
    }

    /// An error that names this flag and `key`, which may be empty.
    pub fn error(&self, key: &str, why: &str) -> FlagError {
        fail(self.flag, key, &shorten(why.as_bytes(), WHY_CHARS_MAX))
    }

    fn given(&self, key: &str) -> Option<&Given> {
        self.settings.iter().find(|given| given.key == key)
    }

    fn typed<T>(&self, of: &Given, parse: impl Fn(&str) -> Parsed<T>) -> Result<T, FlagError> {
        parse(&of.text).map_err(|why| {
            let secret = of.secret || holds_credentials(&of.text);
            // What follows a colon may quote the text.
            let why = if secret { why.split(": ").next().unwrap_or("") } else { &why };
            let why = shorten(why.as_bytes(), WHY_CHARS_MAX);
            let text = shown_text(&of.text, secret);
            let equals = if of.key.is_empty() { "" } else { "=" };
            let key = shorten(of.key.as_bytes(), SHOWN_CHARS_MAX);
            fail(self.flag, "", &format!("{key}{equals}{text}: {why}"))
        })
    }
}

/// Whether a text may be an address with user information, `http://user:password@host`.
pub fn holds_credentials(text: &str) -> bool {
    text.contains('@') && text.contains(':')
}

/// A value as a message may repeat it: quoted, on one line, a URL without its query.
fn shown_text(text: &str, secret: bool) -> String {
    if secret {
        return "***".to_owned();
    }
    let query = if text.contains("://") { text.find('?') } else { None };
    let text = &text[..query.unwrap_or(text.len())];
    format!("\"{}\"", shorten(text.as_bytes(), SHOWN_CHARS_MAX))
}

fn fail(flag: &Flag, key: &str, why: &str) -> FlagError {
    let key = shorten(key.as_bytes(), SHOWN_CHARS_MAX);
    let colon = if key.is_empty() { "" } else { ": " };
    FlagError::new(format!("--{}: {key}{colon}{why}", flag.name))
}

/// The settings a flag takes, its own before those of the client.
pub fn settings_of(flag: &'static Flag) -> impl Iterator<Item = &'static Setting> {
    let client: &'static [Setting] = if flag.client { CLIENT } else { &[] };
    let own = |setting: &Setting| flag.settings.iter().any(|own| own.key == setting.key);
    flag.settings.iter().chain(client.iter().filter(move |setting| !own(setting)))
}

/// The setting that `key` is, and the name in it where the setting has one (`label.NAME`).
fn find<'k>(flag: &'static Flag, key: &'k str) -> Option<(&'static Setting, &'k str)> {
    settings_of(flag).find_map(|setting| match setting.prefix() {
        Some(prefix) => Some((setting, key.strip_prefix(prefix)?)),
        None => (setting.key == key).then_some((setting, "")),
    })
}
