//! Lengths of time as people write them.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `500ms`, `30s`, `10min`, `24h`, `7d`, `10m` (minutes), and sums such as `1h30min`. A bare number has no meaning here.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
        let unit = match &rest[digits..unit_end] {
            "m" => "min",
            unit => unit,
        };
        let scale = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        let count: u64 = rest[..digits].parse().ok()?;
        total = total.checked_add(count.checked_mul(scale)?)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// Prints in the largest unit that divides it, as `parse` reads it: `90s`, `24h`, `1d`.
pub fn print(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let (name, scale) =
        UNITS.iter().find(|(_, scale)| millis >= *scale && millis.is_multiple_of(*scale)).unwrap_or(&("s", 1_000));
    format!("{}{name}", millis / scale)
}

/// Prints for reading, to two units and no finer than needed: `88d 4h`, `12h`, `45s`.
pub fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let Some(first) = parts.iter().position(|(count, _)| *count > 0) else { return "0s".into() };
    let shown: Vec<String> =
        parts[first..].iter().take(2).filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print_alike() {
        for text in ["500ms", "30s", "10min", "24h", "7d", "90s"] {
            let printed = print(parse(text).unwrap());
            assert_eq!(parse(&printed), parse(text), "for {text}, printed {printed}");
        }
        assert_eq!(parse("1h30min"), Some(Duration::from_secs(5_400)));
        assert_eq!(parse("10m"), Some(Duration::from_secs(600)));
        assert_eq!(print(Duration::ZERO), "0s");
        for text in ["", "10", "s", "1.5h", "-1s", "1y", "99999999999999999999d"] {
            assert_eq!(parse(text), None, "for {text:?}");
        }
    }

    #[test]
    fn rough_spans_have_at_most_two_units() {
        for (seconds, text) in [(0, "0s"), (45, "45s"), (3_600, "1h"), (7_620_300, "88d 4h"), (86_461, "1d")] {
            assert_eq!(rough(Duration::from_secs(seconds)), text);
        }
    }
}
