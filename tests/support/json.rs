//! JSON as Prometheus' API and `format=json` write it (RFC 8259). Panics on anything else: it reads
//! answers in tests only.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Map(BTreeMap<String, Json>),
}

impl Json {
    #[track_caller]
    pub fn parse(text: &str) -> Json {
        let mut rest = text.trim_start();
        let value = value(&mut rest);
        assert_eq!(rest.trim_end(), "", "after the JSON value");
        value
    }

    /// The member `name`; null where there is none.
    pub fn get(&self, name: &str) -> &Json {
        match self {
            Json::Map(members) => members.get(name).unwrap_or(&Json::Null),
            _ => &Json::Null,
        }
    }

    /// The entries of a list; none for anything else.
    pub fn list(&self) -> &[Json] {
        match self {
            Json::List(entries) => entries,
            _ => &[],
        }
    }

    #[track_caller]
    pub fn text(&self) -> &str {
        match self {
            Json::Text(text) => text,
            other => panic!("not a string: {other:?}"),
        }
    }

    #[track_caller]
    pub fn number(&self) -> f64 {
        match self {
            Json::Number(number) => *number,
            other => panic!("not a number: {other:?}"),
        }
    }

    /// A map of strings.
    #[track_caller]
    pub fn labels(&self) -> super::Labels {
        match self {
            Json::Map(all) => all.iter().map(|(k, v)| (k.clone(), v.text().to_owned())).collect(),
            other => panic!("not a map: {other:?}"),
        }
    }
}

fn value(rest: &mut &str) -> Json {
    match rest.as_bytes().first() {
        Some(b'{') => Json::Map(members(rest)),
        Some(b'[') => {
            let mut entries = Vec::new();
            *rest = rest[1..].trim_start();
            while !take(rest, ']') {
                entries.push(value(rest));
                take(rest, ',');
            }
            Json::List(entries)
        }
        Some(b'"') => Json::Text(string(rest)),
        _ => scalar(rest),
    }
}

fn members(rest: &mut &str) -> BTreeMap<String, Json> {
    let mut members = BTreeMap::new();
    *rest = rest[1..].trim_start();
    while !take(rest, '}') {
        let name = string(rest);
        assert!(take(rest, ':'), "no colon at {rest}");
        members.insert(name, value(rest));
        take(rest, ',');
    }
    members
}

fn scalar(rest: &mut &str) -> Json {
    let end =
        rest.find(|c: char| !(c.is_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after.trim_start();
    match word {
        "null" => Json::Null,
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        number => Json::Number(number.parse().unwrap_or_else(|_| panic!("not JSON: {number:?}"))),
    }
}

fn string(rest: &mut &str) -> String {
    let mut out = String::new();
    let mut characters = rest.strip_prefix('"').expect("a string").chars();
    loop {
        match characters.next().expect("the end of a string") {
            '"' => break,
            '\\' => out.push(escape(&mut characters)),
            other => out.push(other),
        }
    }
    *rest = characters.as_str().trim_start();
    out
}

fn escape(characters: &mut std::str::Chars<'_>) -> char {
    match characters.next().expect("an escape") {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => match hex(characters) {
            high @ 0xd800..=0xdbff => {
                assert!(characters.as_str().starts_with("\\u"), "half a surrogate pair");
                characters.nth(1);
                let low = hex(characters);
                char::from_u32(0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff)).expect("a pair")
            }
            code => char::from_u32(code).expect("a character"),
        },
        other => other,
    }
}

fn hex(characters: &mut std::str::Chars<'_>) -> u32 {
    let digits: String = characters.take(4).collect();
    u32::from_str_radix(&digits, 16).expect("four hexadecimal digits")
}

/// Consumes one mark and the blanks after it.
fn take(rest: &mut &str, mark: char) -> bool {
    let found = rest.starts_with(mark);
    if found {
        *rest = rest[mark.len_utf8()..].trim_start();
    }
    found
}
