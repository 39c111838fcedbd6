//! gzip (RFC 1952) without a name and a time.

use std::io::Write;

use flate2::{Compression, GzBuilder};

/// How much work goes into being small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    Fast,
    Best,
}

pub fn gzip(bytes: &[u8], effort: Effort) -> Vec<u8> {
    let level = match effort {
        Effort::Fast => Compression::new(1),
        Effort::Best => Compression::new(9),
    };
    // 255 is "unknown system": the header must not tell where it was made.
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(Vec::new(), level);
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing into memory cannot fail")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn it_can_be_read_and_says_nothing_of_when_and_where() {
        let packed = gzip(b"content", Effort::Best);
        assert_eq!(&packed[4..10], &[0, 0, 0, 0, 2, 255], "time, level, system");
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "content");
    }
}
