//! HTTP/1.1 requests read as strictly as RFC 9112 allows: one reading, or none. Independent of what the gateway reads with.
//! Or with the freedoms that it leaves a server, to know what a client may have meant.

/// A request as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Without its chunks.
    pub body: Vec<u8>,
}

impl Heard {
    /// Values of a field, in turn.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

/// What is taken for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// What a gateway may write.
    Strict,
    /// What a server may take: HTTP/1.0, a bare line feed at the end of a line (section 2.2), a length beside chunks, which
    /// win (section 6.3), chunks' extensions (section 7.1.1), and any trailer, as long as nobody believes it.
    Free,
}

/// Why there is no request.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// More bytes are needed.
    Incomplete,
    /// It can be read in more than one way, or in none.
    Wrong(String),
}

fn wrong<T>(what: impl Into<String>) -> Result<T, Unread> {
    Err(Unread::Wrong(what.into()))
}

/// Reads the first request of `bytes`, and says how many it took.
pub fn read(bytes: &[u8], rules: Rules) -> Result<(Heard, usize), Unread> {
    let mut at = 0;
    let line = line(bytes, &mut at, rules)?;
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let (method, target) = match words.as_slice() {
        [method, target, b"HTTP/1.1"] => (*method, *target),
        [method, target, b"HTTP/1.0"] if rules == Rules::Free => (*method, *target),
        _ => return wrong(format!("no request line: {}", line.escape_ascii())),
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) || !target.iter().all(|byte| byte.is_ascii_graphic()) {
        return wrong(format!("bad method or target: {}", line.escape_ascii()));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (method, target) = (text(method), text(target));
    let fields = section(bytes, &mut at, rules)?;
    let mut heard = Heard { method, target, fields, body: Vec::new() };
    if heard.all("host").count() != 1 {
        return wrong("not one Host");
    }
    heard.body = body(&heard, bytes, &mut at, rules)?;
    Ok((heard, at))
}

fn body(heard: &Heard, bytes: &[u8], at: &mut usize, rules: Rules) -> Result<Vec<u8>, Unread> {
    let codings: Vec<&[u8]> = heard.all("transfer-encoding").collect();
    let lengths: Vec<&[u8]> = heard.all("content-length").collect();
    match (codings.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(Vec::new()),
        ([], [length]) => {
            let digits = std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let Some(Ok(length)) = digits.map(str::parse::<usize>) else {
                return wrong(format!("no length: {}", length.escape_ascii()));
            };
            if digits != Some(&length.to_string()) {
                return wrong("a length that some read as octal");
            }
            take(bytes, at, length).map(<[u8]>::to_vec)
        }
        ([coding], lengths) if coding.eq_ignore_ascii_case(b"chunked") && (lengths.is_empty() || rules == Rules::Free) => {
            chunks(bytes, at, rules)
        }
        _ => wrong(format!("two framings: {:?}", heard.fields)),
    }
}

fn chunks(bytes: &[u8], at: &mut usize, rules: Rules) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    loop {
        let mut size = line(bytes, at, Rules::Strict)?;
        if rules == Rules::Free {
            let end = size.iter().position(|byte| *byte == b';').unwrap_or(size.len());
            size = size[..end].trim_ascii_end();
        }
        let digits = std::str::from_utf8(size).ok().filter(|text| (1..=8).contains(&text.len()));
        let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(Ok(size)) = digits.map(|text| usize::from_str_radix(text, 16)) else {
            return wrong(format!("no chunk: {}", size.escape_ascii()));
        };
        if size == 0 {
            if rules == Rules::Free {
                skip_trailers(bytes, at)?;
                return Ok(body);
            }
            // Trailers, which must say nothing of the message's frame.
            let trailers = section(bytes, at, rules)?;
            let bad = trailers.iter().any(|(name, _)| ["host", "content-length", "transfer-encoding"].contains(&&**name));
            return if bad { wrong("a frame in the trailers") } else { Ok(body) };
        }
        body.extend_from_slice(take(bytes, at, size)?);
        if take(bytes, at, 2)? != b"\r\n" {
            return wrong("a chunk that goes on");
        }
    }
}

fn section(bytes: &[u8], at: &mut usize, rules: Rules) -> Result<Vec<(String, Vec<u8>)>, Unread> {
    let mut fields = Vec::new();
    loop {
        let line = line(bytes, at, rules)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return wrong(format!("no field: {}", line.escape_ascii()));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return wrong(format!("no name: {}", name.escape_ascii()));
        }
        if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..)) {
            return wrong(format!("no value: {}", value.escape_ascii()));
        }
        fields.push((String::from_utf8_lossy(name).to_lowercase(), value.to_vec()));
    }
}

/// To the first empty line.
fn skip_trailers(bytes: &[u8], at: &mut usize) -> Result<(), Unread> {
    let rest = &bytes[*at..];
    let end =
        if rest.starts_with(b"\r\n") { Some(2) } else { rest.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) };
    *at += end.ok_or(Unread::Incomplete)?;
    Ok(())
}

/// Up to the next line feed, which must have its carriage return where the rules want it; no other may stand in it.
fn line<'a>(bytes: &'a [u8], at: &mut usize, rules: Rules) -> Result<&'a [u8], Unread> {
    let rest = &bytes[*at..];
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Unread::Incomplete)?;
    let line = match rest[..end].strip_suffix(b"\r") {
        Some(line) => line,
        None if rules == Rules::Free => &rest[..end],
        None => return wrong(format!("a bare line feed behind {}", rest[..end].escape_ascii())),
    };
    if line.contains(&b'\r') {
        return wrong(format!("a bare carriage return in {}", line.escape_ascii()));
    }
    *at += end + 1;
    Ok(line)
}

fn take<'a>(bytes: &'a [u8], at: &mut usize, count: usize) -> Result<&'a [u8], Unread> {
    let piece = bytes.get(*at..at.saturating_add(count)).ok_or(Unread::Incomplete)?;
    *at += count;
    Ok(piece)
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}
