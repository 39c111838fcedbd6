//! Makes archives, good ones and bad ones.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

/// A tar stream, header by header; nothing is checked, so that anything can be written.
#[derive(Default, Clone)]
pub struct Pack {
    bytes: Vec<u8>,
}

impl Pack {
    /// A chart with the least that one has.
    pub fn chart(name: &str, version: &str) -> Self {
        Self::default().file(
            &format!("{name}/Chart.yaml"),
            format!("apiVersion: v2\nname: {name}\nversion: {version}\n"),
        )
    }

    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(path, b'0', "", content.as_ref())
    }

    pub fn entry(mut self, path: &str, flag: u8, target: &str, content: &[u8]) -> Self {
        self = self.header(path, flag, target, content.len() as u64);
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// A header alone, which may lie about what follows.
    pub fn header(mut self, path: &str, flag: u8, target: &str, size: u64) -> Self {
        let mut header = [0_u8; 512];
        let mut put = |at: usize, field: &[u8]| header[at..at + field.len()].copy_from_slice(field);
        put(0, path.as_bytes());
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{size:011o}\0").as_bytes());
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, &[flag]);
        put(157, target.as_bytes());
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend(header);
        self
    }

    pub fn pax(self, key: &str, value: &str) -> Self {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len();
        while length != rest.len() + length.to_string().len() {
            length = rest.len() + length.to_string().len();
        }
        self.entry("pax", b'x', "", format!("{length}{rest}").as_bytes())
    }

    pub fn tar(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }

    pub fn tgz(self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
