//! Edits of a header, in the order of the text.

use http::header::HeaderMap;

use crate::config::settings::HeaderEdit;

/// Edits to be made one after the other.
#[derive(Clone, Debug, Default)]
pub struct Edits(Box<[HeaderEdit]>);

impl Edits {
    /// `None` when there is nothing to do.
    pub fn of(edits: &[HeaderEdit]) -> Option<Self> {
        (!edits.is_empty()).then(|| Self(edits.into()))
    }

    /// Makes the edits.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for edit in &self.0 {
            match edit {
                HeaderEdit::Set { name, value } => {
                    headers.insert(name, value.clone());
                }
                HeaderEdit::Add { name, value } => {
                    headers.append(name, value.clone());
                }
                HeaderEdit::Remove { name } => {
                    headers.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{HeaderName, HeaderValue};

    #[test]
    fn edits_are_made_in_order() {
        let name = HeaderName::from_static;
        let value = HeaderValue::from_static;
        let edits = Edits::of(&[
            HeaderEdit::Remove { name: name("server") },
            HeaderEdit::Set { name: name("x-a"), value: value("1") },
            HeaderEdit::Add { name: name("x-a"), value: value("2") },
        ]);
        let mut headers = HeaderMap::from_iter([(name("server"), value("uvicorn")), (name("x-a"), value("0"))]);
        edits.unwrap().apply(&mut headers);
        assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(headers.len(), 2);
        assert!(Edits::of(&[]).is_none());
    }
}
