//! Many streams.

use std::time::{Duration, Instant};

use c7n_stream::{End, EndCode, Frame};
use futures_util::future::join_all;

use super::ends::{join_agent, join_client};
use super::site::{Site, exec, logs};
use crate::shop::eventually;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Opens and ends so many, in all the ways in which they end.
async fn come_and_go(site: &mut Site, number: usize) {
    let admin = site.server.admin();
    let wishes = (0..number).map(|at| if at % 2 == 0 { exec() } else { logs() });
    let opened = join_all(wishes.map(|wish| site.opened(&admin, wish))).await;
    let clients = join_all(opened.iter().map(|(_, ticket)| join_client(&site.server, ticket))).await;
    let mut ends = Vec::new();
    for ((id, _), client) in opened.iter().zip(clients) {
        let open = site.called(id).await;
        let agent = join_agent(&site.server, &site.credential, &open.ticket).await;
        ends.push((client.ok().unwrap(), agent.ok().unwrap()));
    }
    for (at, (mut client, mut agent)) in ends.into_iter().enumerate() {
        match at / 2 % 4 {
            0 => client.say(Frame::End(End::new(EndCode::Left, ""))).await,
            1 => drop(client),
            2 => agent.say(Frame::End(End::new(EndCode::Completed, ""))).await,
            _ => drop(agent),
        }
    }
    eventually("all are over", async || site.server.platform.open_streams() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_streams_leave_nothing_behind() {
    // Many at once: each round waits for those who may come back.
    const AT_ONCE: usize = 100;
    const ROUNDS: usize = 20;
    let mut site = Site::open_with(|config| {
        config.stream_times.patience = Duration::from_millis(300);
        config.stream_times.farewell = Duration::from_millis(500);
        config.streams_per_user = AT_ONCE as u32;
        config.streams_per_cluster = AT_ONCE as u32;
    })
    .await;
    Box::pin(come_and_go(&mut site, AT_ONCE)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = (descriptors(), tasks());
    for _ in 0..ROUNDS {
        Box::pin(come_and_go(&mut site, AT_ONCE)).await;
    }
    // Each had four sockets here. Other tests of this process open some too, but never hundreds at once.
    let begun = Instant::now();
    loop {
        let now = (descriptors(), tasks());
        if now.0 < before.0 + 200 && now.1 < before.1 + 20 {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{} descriptors and {} tasks after {} streams, {} and {} before",
            now.0,
            now.1,
            ROUNDS * AT_ONCE,
            before.0,
            before.1
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
