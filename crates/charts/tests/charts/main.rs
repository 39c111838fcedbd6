//! What the crate promises: pure parts on made input, clients against real servers.

mod archive;
mod index;
mod pack;
mod values;
