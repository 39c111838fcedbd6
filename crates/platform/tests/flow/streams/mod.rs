//! Logs, exec and port-forward through a real platform: both ends are real sockets, led by the tests.

mod ends;
mod lives;
mod seats;
mod site;
