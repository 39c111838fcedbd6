//! Logs, exec and port-forward through a real platform: both ends are real sockets, led by the tests.

mod abuse;
mod downloads;
mod ends;
mod full_disk;
mod guards;
mod lives;
mod load;
mod recordings;
mod returns;
mod seats;
mod site;
