//! What the flag table looks like to a reader: `--help`, `--help=FLAG`, and the README's table.

use std::fmt::Write;

use super::component::settings_of;
use super::table::{Flag, Role, Setting, Takes, CLIENT, FLAGS};
use super::value::SWITCH;
use super::Topic;

/// Width of a terminal that is never too narrow.
const LINE_CHARS_MAX: usize = 80;

/// Where explanations begin.
const COLUMN: usize = 28;

const ROLES: [Role; 5] =
    [Role::Receivers, Role::Exporters, Role::Samples, Role::Process, Role::Commands];

const USAGE: &str = "\
otlet collects telemetry and sends it on.

Usage: otlet --from-X 'ADDRESS KEY=VALUE…' --to-X 'ADDRESS KEY=VALUE…' …
";

const FOOTER: &str = "
A value is one argument: an address first, then settings, separated by blanks.
KEY=\"a b\" quotes, ${NAME} is replaced by that environment variable.
--help=FLAG shows the settings of one flag with their defaults.
";

/// The text of `--help`, or of `--help=` with a topic.
pub fn render(topic: Option<Topic>) -> String {
    match topic {
        None => all_flags(),
        Some(Topic::Client) => {
            let mut out =
                String::from("Client keys, the same for everything that connects out\n\n");
            CLIENT.iter().for_each(|setting| push_setting(&mut out, setting));
            out
        }
        Some(Topic::Flag(flag)) => one_flag(flag),
    }
}

fn all_flags() -> String {
    let mut out = String::from(USAGE);
    for role in ROLES {
        let _ = write!(out, "\n{role:?}\n");
        FLAGS.iter().filter(|flag| flag.role == role).for_each(|flag| push_flag(&mut out, flag));
    }
    out + FOOTER
}

fn one_flag(flag: &'static Flag) -> String {
    let mut out = String::new();
    push_flag(&mut out, flag);
    let mut heading = "";
    for setting in settings_of(flag) {
        let own = flag.settings.iter().any(|own| own.key == setting.key);
        let group = if own { "Settings" } else { "Client keys" };
        if group != heading {
            let _ = write!(out, "\n{group}\n");
            heading = group;
        }
        push_setting(&mut out, setting);
    }
    out
}

fn push_flag(out: &mut String, flag: &Flag) {
    let left = match flag.takes {
        Takes::Nothing => format!("--{}", flag.name),
        Takes::Optional => format!("--{}[={}]", flag.name, flag.value_name()),
        Takes::Required => format!("--{} {}", flag.name, flag.value_name()),
    };
    let repeats = if flag.repeats { " (repeatable)" } else { "" };
    push_row(out, &left, &format!("{}{repeats}{}", flag.help, default_note(flag.default)));
}

fn push_setting(out: &mut String, setting: &Setting) {
    let left = format!("{}={}", setting.key, setting.value);
    push_row(out, &left, &format!("{}{}", setting.help, default_note(setting.default)));
}

fn default_note(default: &str) -> String {
    match default {
        "" => String::new(),
        text => format!(" [{text}]"),
    }
}

/// Two columns; a left side that is too long has its line to itself, and is broken between choices.
fn push_row(out: &mut String, left: &str, right: &str) {
    let mut line = format!("  {left}");
    while line.chars().count() > LINE_CHARS_MAX {
        let Some(bar) = line[..LINE_CHARS_MAX].rfind('|') else { break };
        let _ = writeln!(out, "{}", &line[..=bar]);
        line = format!("    {}", &line[bar + 1..]);
    }
    if line.chars().count() + 2 > COLUMN {
        let _ = writeln!(out, "{line}");
        line.clear();
    }
    for word in right.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > LINE_CHARS_MAX {
            let _ = writeln!(out, "{line}");
            line.clear();
        }
        let missing = COLUMN.saturating_sub(line.chars().count()).max(1);
        line.extend(std::iter::repeat_n(' ', missing));
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

/// The README's table of flags in Markdown, and the client keys under it.
pub fn readme_table() -> String {
    let mut out = String::from("| flag | value | settings (defaults) | what it does |\n");
    out.push_str("|---|---|---|---|\n");
    for flag in FLAGS {
        let mut settings: Vec<_> = flag.settings.iter().filter_map(readme_setting).collect();
        settings.extend(flag.client.then(|| "client keys".to_owned()));
        let settings = if settings.is_empty() { "—".to_owned() } else { settings.join(", ") };
        let value = readme_value(flag);
        let _ = writeln!(out, "| `--{}` | {value} | {settings} | {} |", flag.name, flag.help);
    }
    let keys: Vec<_> = CLIENT.iter().filter_map(readme_setting).collect();
    let _ = writeln!(
        out,
        "\nClient keys, the same for everything that connects out: {}.",
        keys.join(", ")
    );
    out
}

fn readme_value(flag: &Flag) -> String {
    let value = match flag.value_name() {
        "" => return "—".to_owned(),
        name => code(name),
    };
    let note = match (flag.takes, flag.default) {
        (Takes::Required, "") => ", required".to_owned(),
        (_, "") => ", optional".to_owned(),
        (_, default) => format!(", default {}", code(default)),
    };
    let repeats = if flag.repeats { ", repeatable" } else { "" };
    format!("{value}{note}{repeats}")
}

/// None for a setting that is all of its flag's value.
fn readme_setting(setting: &Setting) -> Option<String> {
    // An address that may also be off has a default that says more.
    let is_choice = setting.value.split('|').any(|choice| choice == setting.default);
    let choices = setting.value.contains('|') && setting.value != SWITCH && is_choice;
    match setting.default {
        _ if setting.key == "NAME" => None,
        default if default.is_empty() || choices => {
            Some(code(&format!("{}={}", setting.key, setting.value)))
        }
        default => Some(code(&format!("{}={default}", setting.key))),
    }
}

/// Code in a cell of a table, where a bar would end the cell.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_layout(text: &str) {
        assert!(text.ends_with('\n') && !text.contains("\n\n\n"), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= LINE_CHARS_MAX && line == line.trim_end(), "{line}");
        }
    }

    #[test]
    fn help_names_every_flag_on_at_most_three_lines() {
        let text = render(None);
        check_layout(&text);
        for flag in FLAGS {
            assert_eq!(text.matches(&format!("\n  --{}", flag.name)).count(), 1, "{}", flag.name);
            let mut row = String::new();
            push_flag(&mut row, flag);
            assert!(row.lines().count() <= 3, "{row}");
        }
        for heading in ["Receivers", "Exporters", "Samples", "Process", "Commands"] {
            assert!(text.contains(&format!("\n\n{heading}\n  --")), "{heading}");
        }
    }

    #[test]
    fn help_of_a_flag_shows_every_setting() {
        for flag in FLAGS {
            let text = render(Some(Topic::Flag(flag)));
            check_layout(&text);
            for setting in settings_of(flag) {
                let row = format!("\n  {}={}", setting.key, &setting.value[..3]);
                assert!(text.contains(&row), "{text}");
                assert!(text.contains(&default_note(setting.default)), "{}", setting.key);
            }
        }
        let scrape = render(Some(Topic::Flag(&FLAGS[0])));
        assert!(scrape.contains("\n\nClient keys\n  username=TEXT"), "{scrape}");
        assert_eq!(scrape.matches("\n  timeout=").count(), 1, "its own, not the client's");
        check_layout(&render(Some(Topic::Client)));
    }

    #[test]
    fn readme_rows_have_four_cells() {
        let table = readme_table();
        let rows: Vec<_> = table.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(rows.len(), FLAGS.len() + 2);
        for row in rows {
            let bars = row.matches('|').count() - row.matches("\\|").count();
            assert_eq!(bars, 5, "{row}");
        }
        assert!(table.contains("`timeout=30s`") && table.contains("`format=text\\|json`"));
    }
}
