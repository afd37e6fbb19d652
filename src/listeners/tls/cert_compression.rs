//! How certificates are compressed for clients that ask for it (RFC 8879).
//!
//! rustls compresses a certificate that it may send again with all its effort. With brotli that clears 37 MiB of memory, on
//! the thread that serves requests, for each certificate after each reload; for QUIC with client certificates even for each
//! connection. With the effort for one connection a chain is a few percent longer and the memory is below 1 MiB.

use rustls::CertificateCompressionAlgorithm;
use rustls::compress::{BROTLI_COMPRESSOR, CertCompressor, CompressionFailed, CompressionLevel};

/// What a server compresses its certificates by, in the order of preference.
pub fn compressors() -> Vec<&'static dyn CertCompressor> {
    vec![&LightBrotli]
}

/// Brotli with the effort for one connection, however often the result is used.
#[derive(Debug)]
struct LightBrotli;

impl CertCompressor for LightBrotli {
    fn compress(&self, input: Vec<u8>, _level: CompressionLevel) -> Result<Vec<u8>, CompressionFailed> {
        BROTLI_COMPRESSOR.compress(input, CompressionLevel::Interactive)
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        BROTLI_COMPRESSOR.algorithm()
    }
}

#[cfg(test)]
mod tests {
    use rustls::compress::BROTLI_DECOMPRESSOR;

    use super::*;

    #[test]
    fn a_chain_is_compressed_with_little_effort_and_read_by_every_client() {
        let chain: Vec<u8> = (0..4_000_u32).flat_map(|n| (n * n % 251).to_be_bytes()).collect();
        let [light] = compressors()[..] else { panic!("one is enough") };
        let kept = light.compress(chain.clone(), CompressionLevel::Amortized).unwrap();
        assert_eq!(kept, BROTLI_COMPRESSOR.compress(chain.clone(), CompressionLevel::Interactive).unwrap());
        let mut read = vec![0; chain.len()];
        BROTLI_DECOMPRESSOR.decompress(&kept, &mut read).unwrap();
        assert_eq!(read, chain);
    }
}
