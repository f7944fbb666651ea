//! Metric names and units of OTLP as Prometheus has them: prometheus/otlptranslator 1.0,
//! UnderscoreEscapingWithSuffixes (OpenTelemetry specification, "Prometheus and OpenMetrics
//! Compatibility", and where the two differ the translator, whose names dashboards know).
//!
//! Values are never converted: milliseconds stay milliseconds. The buffers are kept from metric to
//! metric.

/// What a name's suffix depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// A monotonic sum: `_total`.
    Monotonic,
    /// A gauge: `_ratio` where its unit is `1`.
    Gauge,
    Other,
}

/// A metric's name, translated.
#[derive(Debug, Default)]
pub struct Name {
    pub name: String,
    /// The unit in words, as far as it is part of the name.
    pub unit: String,
    main: String,
    per: String,
}

impl Name {
    /// False where nothing is left of the name: the metric cannot be had.
    pub fn translate(&mut self, name: &str, unit: &str, kind: NameKind) -> bool {
        self.units(unit);
        self.name.clear();
        let suffix = match kind {
            NameKind::Monotonic => "total",
            NameKind::Gauge if unit == "1" => "ratio",
            _ => "",
        };
        for token in tokens(name).filter(|token| *token != suffix) {
            push_token(&mut self.name, token);
        }
        for unit in [&self.main, &self.per] {
            if tokens(name).all(|token| token != unit) && unit != suffix {
                push_token(&mut self.name, unit);
            }
        }
        push_token(&mut self.name, suffix);
        if self.name.starts_with(|first: char| first.is_ascii_digit()) {
            self.name.insert(0, '_');
        }
        self.unit.clear();
        push_token(&mut self.unit, &self.main);
        push_token(&mut self.unit, &self.per);
        self.name.bytes().any(|byte| byte != b'_')
    }

    /// `By/s` is `bytes` and `per_second`; what is in braces is no unit.
    fn units(&mut self, unit: &str) {
        self.main.clear();
        self.per.clear();
        let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
        let (main, per) = (main.trim(), per.trim());
        let is_unit = |text: &str| !text.is_empty() && !text.contains(['{', '}']);
        if is_unit(per) {
            self.per.push_str("per_");
            push_clean(&mut self.per, word(PER_UNITS, per));
            let length = self.per.trim_end_matches('_').len();
            self.per.truncate(length);
        }
        if is_unit(main) {
            push_clean(&mut self.main, word(UNITS, main));
            if !self.per.is_empty() {
                let length = self.main.trim_end_matches('_').len();
                self.main.truncate(length);
            }
        }
    }
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == ':'
}

fn tokens(name: &str) -> impl Iterator<Item = &str> {
    name.split(|character| !is_allowed(character)).filter(|token| !token.is_empty())
}

fn push_token(out: &mut String, token: &str) {
    if !token.is_empty() {
        if !out.is_empty() {
            out.push('_');
        }
        out.push_str(token);
    }
}

/// Appends a unit's word: characters that a name cannot have become `_`, one for a run of them, and
/// none in front.
fn push_clean(out: &mut String, word: &str) {
    let start = out.len();
    let mut after_separator = true;
    for character in word.chars() {
        if is_allowed(character) {
            out.push(character);
        } else if !after_separator && out.len() > start {
            out.push('_');
        }
        after_separator = !is_allowed(character);
    }
}

fn word<'a>(units: &[(&str, &'a str)], unit: &'a str) -> &'a str {
    units.iter().find(|(code, _)| *code == unit).map_or(unit, |(_, word)| word)
}

/// UCUM codes and their words, with the translator's spelling of `TiBy`.
#[rustfmt::skip]
const UNITS: &[(&str, &str)] = &[
    ("d", "days"), ("h", "hours"), ("min", "minutes"), ("s", "seconds"), ("ms", "milliseconds"),
    ("us", "microseconds"), ("ns", "nanoseconds"),
    ("By", "bytes"), ("KiBy", "kibibytes"), ("MiBy", "mebibytes"), ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"), ("KBy", "kilobytes"), ("MBy", "megabytes"), ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"), ("V", "volts"), ("A", "amperes"), ("J", "joules"), ("W", "watts"),
    ("g", "grams"), ("Cel", "celsius"), ("Hz", "hertz"), ("%", "percent"), ("1", ""),
];

#[rustfmt::skip]
const PER_UNITS: &[(&str, &str)] = &[
    ("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"),
    ("y", "year"),
];

#[cfg(test)]
mod tests {
    use super::NameKind::{Gauge, Monotonic, Other};
    use super::*;

    #[track_caller]
    fn ok(name: &str, unit: &str, kind: NameKind, expected: &str) {
        let mut translated = Name::default();
        assert!(translated.translate("before", "s", Monotonic));
        assert!(translated.translate(name, unit, kind));
        assert_eq!(translated.name, expected);
    }

    #[test]
    fn golden() {
        ok("http.server.request.duration", "s", Other, "http_server_request_duration_seconds");
        ok("system.network.io", "By", Monotonic, "system_network_io_bytes_total");
        ok("requests.rate", "1/s", Monotonic, "requests_rate_per_second_total");
        ok("requests_per_second", "1/s", Gauge, "requests_per_second_per_second");
        ok("seconds.behind", "s", Gauge, "seconds_behind");
        ok("total.requests.seen", "{request}", Monotonic, "requests_seen_total");
        ok("cpu.utilization", "1", Gauge, "cpu_utilization_ratio");
        ok("cpu.utilization", "1", Other, "cpu_utilization");
        ok("a__b..c_", "", Gauge, "a_b_c");
        ok("_hidden", "", Gauge, "hidden");
        ok("2xx.count", "{x}", Monotonic, "_2xx_count_total");
        ok("foo:bar", "", Gauge, "foo:bar");
        ok("speed", "m/s", Gauge, "speed_meters_per_second");
        ok("net", "By/{packet}", Gauge, "net_bytes");
        ok("x_custom_unit", "custom_unit", Gauge, "x_custom_unit_custom_unit");
        ok("temp", "°C", Gauge, "temp_C");
        ok("mem", "kBy", Gauge, "mem_kBy");
        ok("q", "/s", Gauge, "q_per_second");
        ok("ecs.task.memory.utilized", "Megabytes", Gauge, "ecs_task_memory_utilized_Megabytes");
        ok("ecs.task.cpu.utilized", "Percent", Gauge, "ecs_task_cpu_utilized_Percent");
        ok("ecs.task.cpu.reserved", "vCPU", Gauge, "ecs_task_cpu_reserved_vCPU");
        let rate = "ecs_task_network_rate_rx_Bytes_per_Second";
        ok("ecs.task.network.rate.rx", "Bytes/Second", Gauge, rate);
        ok("container.duration", "Seconds", Gauge, "container_duration_Seconds");
    }

    #[test]
    fn corners() {
        ok("ratio.of.ratio", "1", Gauge, "of_ratio");
        ok("total", "", Monotonic, "total");
        ok("hits", "", Monotonic, "hits_total");
        ok("a", " s / h ", Gauge, "a_seconds_per_hour");
        ok("a", "µs+/fortnight!", Gauge, "a_s_per_fortnight");
        ok("a", "TiBy", Gauge, "a_tibibytes");
        ok("é.a.ü", "", Gauge, "a");
        let mut name = Name::default();
        for bad in ["", "_", "..", "é"] {
            assert!(!name.translate(bad, "", Gauge), "{bad}");
        }
        assert!(name.translate("a", "By/s", Monotonic));
        assert_eq!(name.unit, "bytes_per_second");
        assert!(name.translate("a", "1", Gauge));
        assert_eq!(name.unit, "");
    }
}
