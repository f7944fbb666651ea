//! The first stage: which flags were given, with which values, as typed.

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use super::component::holds_credentials;
use super::nearest::nearest;
use super::table::{Flag, Takes, FLAGS};
use super::FlagError;
use crate::observe::log::shorten;

/// Longest piece of an argument that a message repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// A flag and its value, if it has one.
pub struct Argument {
    pub flag: &'static Flag,
    pub value: Option<String>,
}

/// Reads all arguments; their values are not looked at.
pub fn collect(args: impl IntoIterator<Item = OsString>) -> Result<Vec<Argument>, FlagError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut parser = Parser::from_args(args);
    let mut arguments: Vec<Argument> = Vec::new();
    while let Some(argument) = parser.next().map_err(|_| new("unexpected value".to_owned()))? {
        let name = match argument {
            Arg::Long(name) => name.to_owned(),
            Arg::Short(letter) => return Err(unknown_short(letter)),
            Arg::Value(value) => return Err(positional(&value, arguments.last())),
        };
        let flag = find(&name).ok_or_else(|| unknown(&name))?;
        if !flag.repeats && arguments.iter().any(|earlier| earlier.flag.name == flag.name) {
            return Err(new(format!("--{name}: given twice")));
        }
        let value = value_of(flag, &mut parser)?;
        arguments.push(Argument { flag, value });
    }
    Ok(arguments)
}

/// The flag of this name, without dashes.
pub fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// The error that names an unknown flag and the nearest known one.
pub fn unknown(name: &str) -> FlagError {
    let hint = match nearest(name, FLAGS.iter().map(|flag| flag.name)) {
        Some(known) => format!("nearest is --{known}"),
        None => "see --help".to_owned(),
    };
    new(format!("--{}: unknown flag; {hint}", shorten(name.as_bytes(), SHOWN_CHARS_MAX)))
}

fn unknown_short(letter: char) -> FlagError {
    let letter = shorten(letter.to_string().as_bytes(), SHOWN_CHARS_MAX);
    new(format!("-{letter}: unknown flag; flags begin with two dashes, see --help"))
}

fn value_of(flag: &Flag, parser: &mut Parser) -> Result<Option<String>, FlagError> {
    let attached = parser.optional_value();
    let value = match (flag.takes, attached) {
        (Takes::Nothing, Some(_)) => {
            return Err(new(format!("--{}: expected no value", flag.name)));
        }
        (Takes::Nothing | Takes::Optional, attached) => attached,
        (Takes::Required, Some(value)) => Some(value),
        (Takes::Required, None) => Some(following(flag, parser)?),
    };
    let text = value.map(OsString::into_string).transpose();
    text.map_err(|_| new(format!("--{}: expected valid UTF-8", flag.name)))
}

/// The next argument, unless it is a flag itself.
fn following(flag: &Flag, parser: &mut Parser) -> Result<OsString, FlagError> {
    let missing = || new(format!("--{}: expected {}", flag.name, flag.value_name()));
    let next = parser.try_raw_args().and_then(|mut args| {
        args.next_if(|argument| !argument.as_encoded_bytes().starts_with(b"--"))
    });
    next.ok_or_else(missing)
}

/// Only the key of a stray setting is repeated: the rest may be a secret.
fn positional(value: &OsString, last: Option<&Argument>) -> FlagError {
    let text = value.to_string_lossy();
    let shown = match text.split_once('=') {
        _ if holds_credentials(&text) => "***".to_owned(),
        Some((key, _)) => format!("{}=…", shorten(key.as_bytes(), SHOWN_CHARS_MAX)),
        None => shorten(text.as_bytes(), SHOWN_CHARS_MAX),
    };
    let hint = match last.map(|argument| argument.flag) {
        Some(flag) if flag.takes == Takes::Optional => {
            format!("--{} takes its value after =, as one argument", flag.name)
        }
        Some(flag) if !flag.settings.is_empty() => {
            format!("--{} takes address and settings as one quoted argument", flag.name)
        }
        _ => "see --help".to_owned(),
    };
    new(format!("unexpected argument {shown}; {hint}"))
}

fn new(message: String) -> FlagError {
    FlagError::new(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(args: &[&str], expected: &[(&str, Option<&str>)]) {
        let arguments = collect(args.iter().map(OsString::from)).unwrap();
        let short: Vec<_> =
            arguments.iter().map(|given| (given.flag.name, given.value.as_deref())).collect();
        assert_eq!(short, expected);
    }

    #[track_caller]
    fn bad(args: &[&str], message: &str) {
        match collect(args.iter().map(OsString::from)) {
            Ok(_) => panic!("{args:?} was taken"),
            Err(error) => assert_eq!(error.to_string(), message),
        }
    }

    #[test]
    fn arguments() {
        ok(&[], &[]);
        ok(&["--check", "--linger", "2s"], &[("check", None), ("linger", Some("2s"))]);
        ok(&["--linger=2s", "--to-stdout"], &[("linger", Some("2s")), ("to-stdout", None)]);
        ok(&["--to-stdout=format=json"], &[("to-stdout", Some("format=json"))]);
        ok(&["--label", "a=b", "--label=a=c"], &[("label", Some("a=b")), ("label", Some("a=c"))]);
        ok(&["--from-scrape", "-x"], &[("from-scrape", Some("-x"))]);
        ok(&["--from-scrape", ""], &[("from-scrape", Some(""))]);
    }

    #[test]
    fn bad_arguments_say_what_to_write() {
        bad(&["--from-scrap", "x"], "--from-scrap: unknown flag; nearest is --from-scrape");
        bad(&["--password=s3cret"], "--password: unknown flag; see --help");
        bad(&["--\u{7}"], "--\\u{7}: unknown flag; see --help");
        bad(&["-v"], "-v: unknown flag; flags begin with two dashes, see --help");
        bad(&["--check=yes"], "--check: expected no value");
        bad(&["--admin"], "--admin: expected IP:PORT|off");
        bad(&["--from-scrape", "--check"], "--from-scrape: expected URL");
        bad(&["--admin=off", "--admin=off"], "--admin: given twice");
        bad(&["serve"], "unexpected argument serve; see --help");
        bad(&["--", "--check"], "unexpected argument --check; see --help");
        bad(
            &["--to-stdout", "format=json"],
            "unexpected argument format=…; --to-stdout takes its value after =, as one argument",
        );
        bad(
            &["--from-scrape", "http://a", "password=s3cret"],
            "unexpected argument password=…; \
             --from-scrape takes address and settings as one quoted argument",
        );
        bad(&["http://u:s3cret@h"], "unexpected argument ***; see --help");
    }

    #[test]
    fn arguments_that_are_not_text() {
        use std::os::unix::ffi::OsStringExt;
        let args = [OsString::from_vec(b"--linger=\xff".to_vec())];
        let error = collect(args).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "--linger: expected valid UTF-8");
        let args = [OsString::from_vec(b"--\xff".to_vec()), OsString::from_vec(vec![0xff])];
        assert!(collect(args).is_err());
    }
}
