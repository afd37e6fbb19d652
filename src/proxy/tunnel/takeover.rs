//! What a tunnel without rules hands over to one with rules.

/// One side of a tunnel without rules, for one with rules that takes over.
pub struct Handover<S> {
    pub stream: S,
    /// Read from the other side, and not taken by this one yet.
    pub unsent: Vec<u8>,
    /// Bytes read from it so far.
    pub bytes: u64,
}
