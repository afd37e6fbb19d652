//! `Accept-Encoding` (RFC 9110 section 12.5.3): which content codings a client accepts, and how much. Pure.
//!
//! Nothing is refused by it with 406. A response of which no coding is acceptable is sent as it is, as section 12.4.1 allows;
//! so do nginx, Apache and Caddy.

use http::header::{self, HeaderMap, HeaderValue};

/// Items of one line that are read. Browsers send at most 5.
const MAX_ITEMS: usize = 32;
/// The weight of what is listed without one.
const FULL: u16 = 1000;

/// Weights in thousandths (section 12.4.2); `None` where a name is not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) brotli: Option<u16>,
    pub(super) gzip: Option<u16>,
    pub(super) zstd: Option<u16>,
    identity: Option<u16>,
    /// `*`: everything that is not listed.
    others: Option<u16>,
}

impl Accepted {
    /// What all lines of the field say. Of a name that is listed twice the larger weight counts.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        for line in headers.get_all(header::ACCEPT_ENCODING) {
            for item in line.to_str().unwrap_or_default().split(',').take(MAX_ITEMS) {
                let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
                if let Some(listed) = accepted.listed_as(name.trim()) {
                    *listed = (*listed).max(Some(weight(parameters)));
                }
            }
        }
        accepted
    }

    fn listed_as(&mut self, name: &str) -> Option<&mut Option<u16>> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name {
            "*" => Some(&mut self.others),
            // Section 8.4.1.3: `x-gzip` is the same.
            _ if is("gzip") || is("x-gzip") => Some(&mut self.gzip),
            _ if is("br") => Some(&mut self.brotli),
            _ if is("zstd") => Some(&mut self.zstd),
            _ if is("identity") => Some(&mut self.identity),
            _ => None,
        }
    }

    /// The weight of a coding, `listed` being what is listed for it; 0 where it is not acceptable.
    pub(super) fn weight(&self, listed: Option<u16>) -> u16 {
        listed.or(self.others).unwrap_or(0)
    }

    /// The weight of a response without a coding. It is acceptable unless it is excluded, and where nothing is said about it
    /// the least of all.
    pub(super) fn identity(&self) -> u16 {
        self.identity.or(self.others).unwrap_or(1)
    }

    /// Whether `*` may stand for a coding.
    pub(super) const fn has_wildcard(&self) -> bool {
        self.others.is_some()
    }

    /// The same without `*`, for a reader that does not know it. A client that accepts everything and lists no coding is sent
    /// gzip before zstd and brotli: what decodes any coding decodes this one.
    pub(super) fn without_wildcard(&self) -> HeaderValue {
        let listed = |listed: Option<u16>, rank: u16| match (listed, self.weight(listed)) {
            (None, weight @ 1..) => weight.saturating_sub(rank).max(1),
            (_, weight) => weight,
        };
        let weights = [
            ("gzip", listed(self.gzip, 0)),
            ("zstd", listed(self.zstd, 1)),
            ("br", listed(self.brotli, 2)),
            ("identity", self.identity()),
        ];
        let items = weights.map(|(name, weight)| format!("{name};q={}.{:03}", weight / FULL, weight % FULL));
        HeaderValue::try_from(items.join(", ")).expect("names and digits are a header value")
    }
}

/// The weight in the parameters of a item. One that cannot be read counts as 0: that the client accepts the coding cannot be
/// known.
fn weight(parameters: &str) -> u16 {
    let named = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let mut weights = named.filter(|(name, _)| name.trim().eq_ignore_ascii_case("q")).map(|(_, value)| value.trim());
    weights.next().map_or(FULL, |value| thousandths(value).unwrap_or(0))
}

/// A weight: 0 or 1, and at most three more digits (section 12.4.2).
fn thousandths(value: &str) -> Option<u16> {
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let is_valid = matches!(whole, "0" | "1") && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let weight: u16 = is_valid.then(|| format!("{whole}{part:0<3}").parse().ok())??;
    (weight <= FULL).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(lines: &[&'static str]) -> Accepted {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(line));
        }
        Accepted::of(&headers)
    }

    /// Weights of gzip, zstd, brotli and no coding.
    fn check(lines: &[&'static str], expected: [u16; 4]) {
        let seen = accepted(lines);
        let weights = [seen.weight(seen.gzip), seen.weight(seen.zstd), seen.weight(seen.brotli), seen.identity()];
        assert_eq!(weights, expected, "{lines:?}");
    }

    #[test]
    fn each_coding_has_its_own_weight_or_that_of_the_wildcard() {
        check(&[], [0, 0, 0, 1]);
        check(&[""], [0, 0, 0, 1]);
        check(&["gzip, deflate, br, zstd"], [1000, 1000, 1000, 1]);
        check(&["GZip;Q=0.5 , x-nothing"], [500, 0, 0, 1]);
        check(&["x-gzip"], [1000, 0, 0, 1]);
        check(&["gzip", "br;q=0.1"], [1000, 0, 100, 1]);
        check(&["*"], [1000, 1000, 1000, 1000]);
        check(&["*;q=0"], [0, 0, 0, 0]);
        check(&["identity;q=0"], [0, 0, 0, 0]);
        check(&["identity;q=0, *"], [1000, 1000, 1000, 0]);
        check(&["gzip;q=0, *"], [0, 1000, 1000, 1000]);
        check(&["gzip, *;q=0"], [1000, 0, 0, 0]);
        check(&["identity, *;q=0"], [0, 0, 0, 1000]);
        check(&["gzip;q=1.0, identity; q=0.5, *;q=0"], [1000, 0, 0, 500]);
        check(&["gzip;q=0.001;ext=1"], [1, 0, 0, 1]);
        check(&["gzip;q=0, gzip"], [1000, 0, 0, 1]);
    }

    #[test]
    fn a_weight_that_is_none_accepts_nothing() {
        for weight in
            ["2", "1.001", "0.0001", "-0", "+1", ".5", "1e0", "nan", "inf", "", "x", "99999999999999999999", "0.5x", "0,5"]
        {
            assert_eq!(thousandths(weight), None, "{weight}");
        }
        for (weight, expected) in [("0", 0), ("0.", 0), ("0.000", 0), ("0.05", 50), ("0.999", 999), ("1", 1000), ("1.000", 1000)]
        {
            assert_eq!(thousandths(weight), Some(expected), "{weight}");
        }
        check(&["gzip;q=x, *;q=0.5"], [0, 500, 500, 500]);
    }

    #[test]
    fn the_wildcard_is_spelled_out() {
        let check = |line, expected: &str| assert_eq!(accepted(&[line]).without_wildcard(), expected, "{line}");
        check("*", "gzip;q=1.000, zstd;q=0.999, br;q=0.998, identity;q=1.000");
        check("gzip;q=0, *;q=0.5", "gzip;q=0.000, zstd;q=0.499, br;q=0.498, identity;q=0.500");
        check("br, *;q=0", "gzip;q=0.000, zstd;q=0.000, br;q=1.000, identity;q=0.000");
        check("identity;q=0, *;q=0.001", "gzip;q=0.001, zstd;q=0.001, br;q=0.001, identity;q=0.000");
    }
}
