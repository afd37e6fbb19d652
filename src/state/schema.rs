//! Keys and records of the journal as bytes: a version, a checksum over key and content, then JSON. A field that
//! an older version did not know takes its default; one that a newer version added is passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::history::History;
use super::pem_store::Slot;
use super::slug::{Slug, checksum};
use crate::base::time::{Timestamp, Window};

/// Version of every record written today.
const VERSION: u8 = 1;

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// [`Remembered`] of a certificate.
    Need(Slot),
    /// [`OpenOrder`] for a certificate.
    Order(Slot),
    /// [`IssuerMemory`].
    Issuer(Slug),
    /// [`Timestamp`] of the last alarm about a certificate whose life runs out.
    AlertMessage(Slot),
    /// [`OnDemand`] of a name that somebody asked for.
    OnDemand(Slot),
    /// [`Timestamp`] of the last alarm that the loop of renewals stands still.
    Stall,
    /// [`TxtRecord`] that was set for an order at this authority; the name is made of its name and value.
    Record(Slot),
}

impl Key {
    /// As the journal sorts it.
    pub fn to_text(&self) -> String {
        match self {
            Self::Need(slot) => format!("need/{}/{}", slot.issuer, slot.name),
            Self::Order(slot) => format!("order/{}/{}", slot.issuer, slot.name),
            Self::Issuer(issuer) => format!("issuer/{issuer}"),
            Self::AlertMessage(slot) => format!("alarm/{}/{}", slot.issuer, slot.name),
            Self::OnDemand(slot) => format!("on-demand/{}/{}", slot.issuer, slot.name),
            Self::Stall => "stall/alarm".to_owned(),
            Self::Record(slot) => format!("record/{}/{}", slot.issuer, slot.name),
        }
    }

    /// Reads a key back; `None` for one this version does not know.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (kind, issuer) = (parts.next()?, Slug::parse(parts.next()?)?);
        let slot = |name: Option<&str>| Some(Slot { issuer: issuer.clone(), name: Slug::parse(name?)? });
        let key = match kind {
            "need" => Self::Need(slot(parts.next())?),
            "order" => Self::Order(slot(parts.next())?),
            "issuer" => Self::Issuer(issuer),
            "alarm" => Self::AlertMessage(slot(parts.next())?),
            "on-demand" => Self::OnDemand(slot(parts.next())?),
            "stall" if issuer.as_str() == "alarm" => Self::Stall,
            "record" => Self::Record(slot(parts.next())?),
            _ => return None,
        };
        parts.next().is_none().then_some(key)
    }
}

/// What is remembered of one certificate besides its files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// Orders failed in a row.
    pub fails: u32,
    /// When the first of them did.
    pub failing_since: Option<Timestamp>,
    /// Tries in a row that never became an order.
    pub unreachable: u32,
    /// Nothing is tried before this.
    pub pause: Option<Pause>,
    /// Whether the authority asked for the pause; one of our own ends when a person acts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
    /// What was tried.
    pub history: History,
    /// The challenge that proved the names last time, by its registered name.
    pub worked: Option<String>,
    /// When the certificate held is to be renewed.
    pub renewal: Option<Renewal>,
    /// The latest failure, until something succeeds.
    pub last_error: Option<LastError>,
    /// The authority that failed last, so that the next one can be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Slug>,
    /// Authorities whose latest order came to nothing; where they have a staging directory, the next one goes there.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub rehearse: BTreeSet<Slug>,
    /// Certificates in a row of which the authority said soon after that they are to be renewed at once.
    #[serde(skip_serializing_if = "is_zero")]
    pub recalls: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A name that is held because somebody asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDemand {
    /// The name.
    pub name: String,
    /// When somebody asked for it last, to the day.
    pub last: Timestamp,
}

/// A wait, with the moment it was decided, so that a clock set back does not stretch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it was decided.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

impl Pause {
    /// From `now` for `span`.
    pub fn starting(now: Timestamp, span: Duration) -> Self {
        Self { since: now, until: now + span }
    }

    /// Its end if it still holds at `now`. A pause from the future was decided under a wrong clock and does not hold.
    pub fn holds(&self, now: Timestamp) -> Option<Timestamp> {
        const SKEW: Duration = Duration::from_secs(3_600);
        (now < self.until && self.since <= now + SKEW).then_some(self.until)
    }
}

/// When a certificate is to be renewed; chosen once, when it was issued or when the authority last said so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Renewal {
    /// The certificate's serial number in hexadecimal: a renewal moment never outlives its certificate.
    pub serial: String,
    /// Fraction of life, with its jitter.
    pub backstop: Timestamp,
    /// The moment: the backstop, or a random time in the window if that is earlier.
    pub renew_at: Timestamp,
    /// When the authority is asked for its window again; `None` when it has none to give.
    pub recheck_at: Option<Timestamp>,
    /// The authority's window (RFC 9773) as last heard.
    pub window: Option<Window>,
    /// The window was over when it was heard, long before the certificate's own time: the moment was chosen by that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recalled: bool,
}

/// A failure as people read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// All of its words.
    pub words: String,
    /// What a person can do about it, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// An order the authority knows of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrder {
    /// Its URL.
    pub url: String,
    /// When it was made.
    pub at: Timestamp,
}

/// A TXT record that was set to prove a name, and is to be taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxtRecord {
    /// Its name in DNS, behind all aliases.
    pub name: String,
    /// Its text.
    pub value: String,
}

impl TxtRecord {
    /// Where the journal keeps it.
    pub fn key(&self, issuer: &Slug) -> Key {
        let name = Slug::of_url(&format!("{}={}", self.name, self.value));
        Key::Record(Slot { issuer: issuer.clone(), name })
    }
}

/// What is remembered of an authority.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IssuerMemory {
    /// Failures of the authority itself in a row.
    pub fails: u32,
    /// Nothing is asked before this.
    pub pause: Option<Pause>,
    /// Whether the authority asked for the pause; one of our own ends when a person acts.
    pub asked: bool,
    /// Why, in words.
    pub why: String,
    /// New orders that are left, where the authority's limit is known.
    pub bucket: Option<Bucket>,
    /// Kinds of requests, by name, that it asked us to leave alone for a while.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quiet: BTreeMap<String, Pause>,
}

/// A token bucket: what was left when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Tokens.
    pub left: u32,
    /// When that was so.
    pub at: Timestamp,
}

/// Why a record was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Too short to be one.
    #[error("it is cut off")]
    Cut,
    /// Written by a newer doorward.
    #[error("it has version {0}, newer than this doorward knows")]
    Version(u8),
    /// Bytes changed since it was written.
    #[error("its checksum does not match")]
    Checksum,
    /// Sound bytes that mean something else.
    #[error("it is not what belongs under this key")]
    Shape,
}

/// The bytes of a record under its key.
pub fn encode<T: Serialize>(key: &Key, record: &T) -> Vec<u8> {
    let content = serde_json::to_vec(record).expect("journal records have string keys and no failing parts");
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&sum(key, &content).to_be_bytes());
    bytes.extend_from_slice(&content);
    bytes
}

/// The record in the bytes found under a key.
///
/// # Errors
/// When the bytes are damaged, foreign or newer.
pub fn decode<T: DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T, RecordError> {
    let (version, rest) = bytes.split_first().ok_or(RecordError::Cut)?;
    if *version != VERSION {
        return Err(RecordError::Version(*version));
    }
    let (stored, content) = rest.split_first_chunk::<8>().ok_or(RecordError::Cut)?;
    if u64::from_be_bytes(*stored) != sum(key, content) {
        return Err(RecordError::Checksum);
    }
    serde_json::from_slice(content).map_err(|_| RecordError::Shape)
}

/// The key is part of the sum, so that a record that slipped to another key is noticed.
fn sum(key: &Key, content: &[u8]) -> u64 {
    checksum(&[key.to_text().as_bytes(), b"\n", content].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::history::Ended;

    fn key() -> Key {
        Key::Need(Slot { issuer: Slug::parse("ca.example").unwrap(), name: Slug::parse("a.example").unwrap() })
    }

    fn remembered() -> Remembered {
        let at = Timestamp::from_unix;
        let mut history = History::default();
        history.begin(at(1_800_000_000));
        history.end(Ended::Unproved);
        Remembered {
            fails: 2,
            failing_since: Some(at(1_800_000_000)),
            unreachable: 1,
            pause: Some(Pause { since: at(1_800_000_000), until: at(1_800_000_060) }),
            history,
            worked: Some("http-01".to_owned()),
            renewal: Some(Renewal {
                serial: "0a1b".to_owned(),
                backstop: at(1_805_000_000),
                renew_at: at(1_804_000_000),
                recheck_at: Some(at(1_800_021_600)),
                window: Window::new(at(1_803_900_000), at(1_804_100_000)),
                recalled: false,
            }),
            last_error: Some(LastError { at: at(1_800_000_000), words: "no".to_owned(), remedy: None }),
            limited: false,
            failed_at: None,
            rehearse: BTreeSet::new(),
            recalls: 0,
        }
    }

    const GOLDEN: &str = concat!(
        r#"{"fails":2,"failing_since":1800000000,"unreachable":1,"pause":{"since":1800000000,"until":1800000060},"#,
        r#""history":[{"at":1800000000,"ended":"unproved"}],"worked":"http-01","#,
        r#""renewal":{"serial":"0a1b","backstop":1805000000,"renew_at":1804000000,"recheck_at":1800021600,"#,
        r#""window":{"start":1803900000,"end":1804100000}},"last_error":{"at":1800000000,"words":"no"}}"#
    );

    #[test]
    fn the_bytes_of_version_1_stay_what_they_are() {
        let bytes = encode(&key(), &remembered());
        assert_eq!(bytes[0], 1);
        assert_eq!(u64::from_be_bytes(bytes[1..9].try_into().unwrap()), 72_816_215_555_749_392);
        assert_eq!(std::str::from_utf8(&bytes[9..]).unwrap(), GOLDEN);
        assert_eq!(decode(&key(), &bytes), Ok(remembered()));
    }

    #[test]
    fn damage_of_any_byte_is_noticed() {
        let bytes = encode(&key(), &remembered());
        for n in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[n] ^= 0x20;
            assert!(decode::<Remembered>(&key(), &damaged).is_err(), "byte {n}");
            assert!(decode::<Remembered>(&key(), &bytes[..n]).is_err(), "cut at {n}");
        }
        let other = Key::Issuer(Slug::parse("ca.example").unwrap());
        assert_eq!(decode::<Remembered>(&other, &bytes), Err(RecordError::Checksum));
    }

    #[test]
    fn unknown_fields_are_passed_over_and_missing_ones_take_their_default() {
        let read = |json: &str| serde_json::from_str::<Remembered>(json).unwrap();
        assert_eq!(read(r#"{"fails":3,"of_tomorrow":true}"#), Remembered { fails: 3, ..Remembered::default() });
    }

    #[test]
    fn keys_read_back() {
        let issuer = Key::Issuer(Slug::parse("x").unwrap());
        let Key::Need(slot) = key() else { unreachable!() };
        let record = TxtRecord { name: "_acme-challenge.a.example".into(), value: "x-_Y".into() };
        let record = record.key(&Slug::parse("x").unwrap());
        for key in [key(), issuer, Key::AlertMessage(slot.clone()), Key::OnDemand(slot), Key::Stall, record] {
            assert_eq!(Key::parse(&key.to_text()), Some(key));
        }
        for bad in ["", "need/a", "need/a/b/c", "issuer/", "other/a", "need/../b"] {
            assert_eq!(Key::parse(bad), None, "for {bad}");
        }
    }

    #[test]
    fn a_pause_decided_in_the_future_does_not_hold() {
        let at = Timestamp::from_unix;
        let pause = Pause::starting(at(1_000_000), Duration::from_secs(60));
        assert_eq!(pause.holds(at(1_000_010)), Some(at(1_000_060)));
        assert_eq!(pause.holds(at(1_000_060)), None);
        assert_eq!(pause.holds(at(500_000)), None);
    }
}
