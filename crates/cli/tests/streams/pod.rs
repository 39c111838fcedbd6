//! The other end of a process: what an agent would say and hear.

use c7n_stream::{Part, Pipe};

use crate::fake::Seat;

/// Says what the pod's end has to say, until its pipe is empty.
pub async fn say_all(seat: &mut Seat, pod: &mut Pipe) {
    while let Some(frame) = pod.poll() {
        seat.say(frame).await;
    }
}

/// Hears until a part comes; what is to be said meanwhile is said.
pub async fn part(seat: &mut Seat, pod: &mut Pipe) -> Part {
    loop {
        say_all(seat, pod).await;
        let frame = seat.hear().await.expect("the person goes");
        if let Some(part) = pod.receive(frame).unwrap() {
            return part;
        }
    }
}
