//! Many streams.

use std::time::Duration;

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
async fn thousands_of_streams_leave_nothing_behind() {
    let mut site = Site::open_with(|config| {
        config.stream_times.patience = Duration::from_millis(300);
        config.stream_times.farewell = Duration::from_millis(500);
    })
    .await;
    Box::pin(come_and_go(&mut site, 80)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (descriptors_before, tasks_before) = (descriptors(), tasks());
    for _ in 0..30 {
        Box::pin(come_and_go(&mut site, 80)).await;
    }
    // Each had four sockets here. Other tests of this process open some too, but never hundreds at once.
    eventually("sockets and tasks are as before", async || {
        descriptors() < descriptors_before + 200 && tasks() < tasks_before + 20
    })
    .await;
}
