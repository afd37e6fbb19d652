//! `Range` (RFC 9110 section 14.1.2), read for one file. Pure. tower-http's `ServeDir` takes a range apart by itself, but calls a
//! number that does not fit 64 bits unsatisfiable, and the last bytes of a file that has fewer, and a part of an empty file it
//! sends as one.

use http::HeaderValue;

/// The one range that is asked of a file of `size` bytes, in a form that `ServeDir` reads; `None` where the whole file is the
/// answer: for other units, for several ranges, and where there is nothing to leave out. What is no range stays as it is, and
/// gets 416.
pub(super) fn of(range: &HeaderValue, size: u64) -> Option<HeaderValue> {
    let (unit, set) = range.to_str().ok()?.split_once('=')?;
    // A unit is compared without case (section 14.1), and one that is not known is ignored.
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let rejected = || HeaderValue::from_str(&format!("bytes={set}")).ok();
    let items = || set.split(',').map(str::trim_ascii).filter(|item| !item.is_empty());
    if items().next().is_none() || items().any(|item| Bytes::read(item).is_none()) {
        return rejected();
    }
    let mut items = items().filter_map(Bytes::read);
    let (Some(bytes), None) = (items.next(), items.next()) else { return None };
    match bytes {
        _ if size == 0 => None,
        Bytes::Last(count) if count > size => None,
        Bytes::Last(count) => HeaderValue::from_str(&format!("bytes=-{count}")).ok(),
        Bytes::From(first, last) => HeaderValue::from_str(&format!("bytes={first}-{}", last.min(size - 1).max(first))).ok(),
    }
}

/// One range of bytes. Numbers beyond 64 bits are the largest of these: no file is longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    /// From the first position to the last one.
    From(u64, u64),
    /// So many at the end.
    Last(u64),
}

impl Bytes {
    fn read(item: &str) -> Option<Self> {
        match item.split_once('-')? {
            ("", count) => Some(Self::Last(number(count)?)),
            (first, "") => Some(Self::From(number(first)?, u64::MAX)),
            (first, last) => {
                Some(Self::From(number(first)?, number(last)?)).filter(|bytes| matches!(bytes, Self::From(a, b) if a <= b))
            }
        }
    }
}

fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_for_the_size_of_the_file() {
        const BEYOND: &str = "99999999999999999999";
        let check = |range: &str, size, expected: Option<&str>| {
            let seen = of(&HeaderValue::from_str(range).unwrap(), size);
            assert_eq!(seen.as_ref().map(|range| range.to_str().unwrap()), expected, "{range} of {size}");
        };
        check("bytes=1-2", 5, Some("bytes=1-2"));
        check("BYTES=1-2", 5, Some("bytes=1-2"));
        check("bytes=001-002", 5, Some("bytes=1-2"));
        check("bytes=1-2,", 5, Some("bytes=1-2"));
        check("bytes=3-", 5, Some("bytes=3-4"));
        check("bytes=3-99", 5, Some("bytes=3-4"));
        check(&format!("bytes=0-{BEYOND}"), 5, Some("bytes=0-4"));
        check("bytes=0-18446744073709551615", 5, Some("bytes=0-4"));
        check("bytes=0-18446744073709551616", 5, Some("bytes=0-4"));
        check("bytes=-2", 5, Some("bytes=-2"));
        check("bytes=-5", 5, Some("bytes=-5"));
        check("bytes=-6", 5, None);
        check(&format!("bytes=-{BEYOND}"), 5, None);
        check(&format!("bytes=0-1,3-{BEYOND}"), 5, None);
        check("bytes=0-1 , 3-4", 5, None);
        check("lines=0-1", 5, None);
        check("bytes", 5, None);
        // 416: nothing of it is there, or it is no range.
        check("bytes=5-", 5, Some("bytes=5-5"));
        check(&format!("bytes={BEYOND}-"), 5, Some("bytes=18446744073709551615-18446744073709551615"));
        check(&format!("bytes={BEYOND}-{BEYOND}"), 5, Some("bytes=18446744073709551615-18446744073709551615"));
        check("bytes=-0", 5, Some("bytes=-0"));
        for bad in [
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=2-1",
            "bytes=1",
            "bytes=1-2-3",
            "bytes=0x1-2",
        ] {
            check(bad, 5, Some(bad));
        }
        check("bytes=0-1,x", 5, Some("bytes=0-1,x"));
        check("bytes=0-", 0, None);
        check("bytes=-3", 0, None);
    }

    #[test]
    fn a_thousand_ranges_are_the_whole_file() {
        let set: Vec<_> = (0..1000).map(|at| format!("{at}-{at}")).collect();
        assert_eq!(of(&HeaderValue::from_str(&format!("bytes={}", set.join(","))).unwrap(), 5000), None);
    }
}
