//! Names of folders in the state, made from host names and URLs. A slug is always one safe path component.

use std::fmt;

use crate::base::name::Identifier;

/// One path component: letters, digits and `. - _ +`, never empty, never `.` or `..`, at most 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    /// Folder of the authority at this directory URL: `acme-v02.api.letsencrypt.org-directory`.
    pub fn of_url(url: &str) -> Self {
        let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
        Self::of_text(bare.trim_end_matches('/'), url)
    }

    /// Folder of the certificate for these names: `example.com`, `wildcard_.example.com`, `2001+db8++1`, and for
    /// several names `example.com+2-0a1b2c3d`, where the digits stand for the exact set in any order.
    pub fn of_names(names: &[Identifier]) -> Self {
        let mut texts: Vec<String> = names.iter().map(ToString::to_string).collect();
        let first = texts.first().cloned().unwrap_or_default();
        if texts.len() < 2 {
            return Self::of_text(&first, &first);
        }
        texts.sort();
        texts.dedup();
        let set = checksum(texts.join(",").as_bytes());
        Self::of_text(&format!("{first}+{}-{:08x}", texts.len() - 1, set >> 32), &texts.join(","))
    }

    /// Reads a component found on disk; `None` when it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let sound = !text.is_empty() && text.len() <= 255 && !text.starts_with('.') && text.chars().all(is_plain);
        sound.then(|| Self(text.to_owned()))
    }

    /// The component.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `whole` tells apart what the cut or the replaced characters would make equal.
    fn of_text(text: &str, whole: &str) -> Self {
        let mut slug: String = text
            .replace("*.", "wildcard_.")
            .chars()
            .map(|c| match c {
                ':' => '+',
                '/' => '-',
                c if is_plain(c) => c.to_ascii_lowercase(),
                _ => '_',
            })
            .collect();
        if slug.len() > 200 {
            slug.truncate(180);
            slug = format!("{slug}-{:016x}", checksum(whole.as_bytes()));
        }
        if slug.is_empty() || slug.starts_with('.') {
            slug.insert(0, '_');
        }
        Self(slug)
    }
}

impl<'de> serde::Deserialize<'de> for Slug {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a name of a folder"))
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+')
}

/// FNV-1a of 64 bits: finds accidents, does not stop an attacker, and stays the same over releases.
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Identifier> {
        texts.iter().map(|text| Identifier::parse(text).unwrap()).collect()
    }

    #[test]
    fn names_become_readable_folders() {
        let check = |texts: &[&str], expected: &str| assert_eq!(Slug::of_names(&names(texts)).as_str(), expected);
        check(&["example.com"], "example.com");
        check(&["*.example.com"], "wildcard_.example.com");
        check(&["2001:db8::1"], "2001+db8++1");
        check(&["192.0.2.7"], "192.0.2.7");
        let both = Slug::of_names(&names(&["a.example", "b.example"]));
        assert!(both.as_str().starts_with("a.example+1-"), "{both}");
        assert_ne!(both, Slug::of_names(&names(&["a.example", "c.example"])));
    }

    #[test]
    fn urls_become_one_component_and_nothing_climbs_out() {
        let check = |url: &str, expected: &str| assert_eq!(Slug::of_url(url).as_str(), expected);
        check("https://acme-v02.api.letsencrypt.org/directory", "acme-v02.api.letsencrypt.org-directory");
        check("https://localhost:14000/dir", "localhost+14000-dir");
        check("https://../../etc/", "_..-..-etc");
        check("", "_");
        assert!(Slug::of_url(&"x".repeat(900)).as_str().len() <= 200);
        for bad in ["", ".", "..", "a/b", "a b"] {
            assert_eq!(Slug::parse(bad), None, "for {bad:?}");
        }
    }
}
