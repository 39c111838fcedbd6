/// Bounds of a session. The defaults are what both programs use.
#[derive(Debug, Clone)]
pub struct Config {
    /// A ping goes out this often.
    pub heartbeat_ms: u64,
    /// A peer that was not heard for so long is dead: two missed pings.
    pub dead_after_ms: u64,
    /// A peer that dialled has so long to introduce itself.
    pub hello_within_ms: u64,
    /// Items are gathered up to this many bytes before they are sent as one message.
    pub batch_bytes: usize,
    /// Bigger messages are cut into pieces of this size.
    pub chunk_bytes: usize,
    /// No more than this is under way unacknowledged, one message excepted; counted before compression, so that the peer's
    /// memory is what is bounded.
    pub window_bytes: usize,
    pub window_frames: usize,
    /// Smaller messages are not worth compressing.
    pub compress_from: usize,
    /// Of one WebSocket message from the peer.
    pub max_frame: usize,
    /// Of the first frame, from a peer that has proved nothing yet.
    pub max_hello: usize,
    /// Of one message, put together and unpacked.
    pub max_message: usize,
    /// What one message may take in memory once it is decoded: two bytes on the wire can stand for an item of hundreds.
    pub max_decoded: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat_ms: 10_000,
            dead_after_ms: 25_000,
            hello_within_ms: 10_000,
            batch_bytes: 256 << 10,
            chunk_bytes: 256 << 10,
            window_bytes: 4 << 20,
            window_frames: 256,
            compress_from: 1 << 10,
            max_frame: 1 << 20,
            max_hello: 64 << 10,
            max_message: 64 << 20,
            max_decoded: 256 << 20,
        }
    }
}
