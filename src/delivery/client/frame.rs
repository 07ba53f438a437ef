//! Builds the gRPC message of a batch: the 5-byte prefix (compressed flag, length) and the bodies, compressed or not.
//! Uncompressed bodies are never copied.

use std::io::{self, Write};

use bytes::Bytes;

use super::chunks::Chunks;
use crate::config::Compression;

const PREFIX: usize = 5;

/// The value of `grpc-encoding`; `None` when the message is not compressed.
pub(crate) fn grpc_encoding(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some("gzip"),
        Compression::Zstd => Some("zstd"),
    }
}

/// One gRPC message of all `bodies`.
///
/// # Errors
/// A message of more than 4 GiB, or no memory.
pub(crate) fn message(bodies: Vec<Bytes>, compression: Compression) -> io::Result<Chunks> {
    match compression {
        Compression::None => {
            let length = bodies.iter().map(Bytes::len).sum();
            Ok(Chunks::new(Bytes::copy_from_slice(&prefix(0, length)?), bodies))
        }
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(vec![0; PREFIX], flate2::Compression::fast());
            for body in &bodies {
                encoder.write_all(body)?;
            }
            finish(encoder.finish()?)
        }
        Compression::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(vec![0; PREFIX], zstd::DEFAULT_COMPRESSION_LEVEL)?;
            for body in &bodies {
                encoder.write_all(body)?;
            }
            finish(encoder.finish()?)
        }
    }
}

fn finish(mut framed: Vec<u8>) -> io::Result<Chunks> {
    let prefix = prefix(1, framed.len() - PREFIX)?;
    framed[..PREFIX].copy_from_slice(&prefix);
    Ok(Chunks::new(Bytes::from(framed), Vec::new()))
}

fn prefix(compressed: u8, length: usize) -> io::Result<[u8; PREFIX]> {
    let length = u32::try_from(length).map_err(|_| io::Error::other("a gRPC message cannot be larger than 4 GiB"))?;
    let [a, b, c, d] = length.to_be_bytes();
    Ok([compressed, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use bytes::Buf;

    use super::*;

    /// What a receiver reads out of the message is the bodies one after the other, for each compression.
    #[test]
    fn the_message_holds_the_bodies_in_order() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let bodies = vec![Bytes::from_static(b"first "), Bytes::new(), Bytes::from_static(b"second")];
            let mut rope = message(bodies, compression).expect("small");
            let flag = rope.get_u8();
            let length = rope.get_u32() as usize;
            assert_eq!(length, rope.remaining());
            assert_eq!(flag == 1, grpc_encoding(compression).is_some());
            let payload = rope.copy_to_bytes(length);
            let mut plain = Vec::new();
            match compression {
                Compression::None => plain.extend_from_slice(&payload),
                Compression::Gzip => {
                    flate2::read::GzDecoder::new(&payload[..]).read_to_end(&mut plain).expect("gzip");
                }
                Compression::Zstd => plain = zstd::stream::decode_all(&payload[..]).expect("zstd"),
            }
            assert_eq!(plain, b"first second");
        }
    }
}
