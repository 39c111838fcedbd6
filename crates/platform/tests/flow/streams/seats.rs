//! Tickets and seats: who may sit, who may come back, and who is told nothing.

use std::time::Duration;

use c7n_stream::{End, EndCode, Frame, Resume};

use super::ends::{join_agent, join_client, join_client_as, reveal, text_of, told};
use super::site::{Running, Site, able_agent, exec, logs};
use crate::shop::{activation, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_good_once_for_its_user_and_its_seat() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let ann = site.server.member("ann", "shop", "owner").await;
    let (id, ticket) = site.opened(&admin, exec()).await;
    let server = &site.server;

    let of_another = join_client_as(server, &ticket, ann.token.as_deref().unwrap()).await;
    let of_another = of_another.err().unwrap();
    let of_client = c7n_stream::Ticket::parse(&ticket).unwrap();
    let as_agent = join_agent(server, &site.credential, of_client.as_bytes());
    let as_agent = as_agent.await.err().unwrap();
    assert_eq!((of_another.status, as_agent.status), (401, 401));
    let invented = join_client(server, &reveal(&[7; 16])).await.err().unwrap();
    assert_eq!(invented, of_another, "nothing is told of tickets that there are");

    let client = join_client_as(server, &ticket, admin.token.as_deref().unwrap()).await;
    let _client = client.ok().unwrap();
    assert_eq!(join_client(server, &ticket).await.err().unwrap(), invented);
    let open = site.called(&id).await;
    let as_client = join_client(&site.server, &reveal(&open.ticket))
        .await
        .err()
        .unwrap();
    assert_eq!(as_client, invented, "the agent's ticket is none for a person");
    let agent = join_agent(&site.server, &site.credential, &open.ticket).await;
    let _agent = agent.ok().unwrap();
    let again = join_agent(&site.server, &site.credential, &open.ticket).await;
    assert_eq!(again.err().unwrap().status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_before_the_agent_has_come_waits_for_it() {
    let mut site = Site::open().await;
    let (id, ticket) = site.opened(&site.server.admin(), exec()).await;
    let mut client = join_client(&site.server, &ticket).await.ok().unwrap();
    client.input(0, "early").await;
    let open = site.called(&id).await;
    let agent = join_agent(&site.server, &site.credential, &open.ticket).await;
    assert_eq!(text_of(agent.ok().unwrap().said().await), "early");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_nobody_uses_ends_its_stream() {
    let site = Site::open_with(|config| config.stream_times.take_seat = Duration::from_millis(100)).await;
    let (id, ticket) = site.opened(&site.server.admin(), exec()).await;
    let record = site.ended_record(&id).await;
    assert!(record["end"].as_str().unwrap().contains("open a new stream"));
    assert_eq!(
        join_client(&site.server, &ticket).await.err().unwrap().status,
        401
    );
    eventually("its place is free", async || {
        site.server.platform.open_streams() == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_of_another_cluster_is_refused_and_the_ticket_stays_good() {
    let mut site = Site::open().await;
    site.server.environment("bank").await;
    let token = activation(&site.server, "bank", "east").await;
    let other = able_agent(&site.server, &token, "uid-bank").await;
    let (id, ticket) = site.opened(&site.server.admin(), exec()).await;
    let _client = join_client(&site.server, &ticket).await.ok().unwrap();
    let open = site.called(&id).await;

    let stolen = join_agent(&site.server, &other.welcome.credential, &open.ticket).await;
    let invented = join_agent(&site.server, &other.welcome.credential, &[7; 16]).await;
    assert_eq!(stolen.err().unwrap(), invented.err().unwrap());
    let path = "/projects/bank/clusters/east";
    let message = site.server.admin().get(path).await.body["message"].clone();
    assert!(message.as_str().unwrap().contains("not its own"), "{message}");

    let rightful = join_agent(&site.server, &site.credential, &open.ticket).await;
    rightful.ok().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_goes_on_after_a_break_on_either_way() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let Running {
        id,
        mut client,
        mut agent,
        ..
    } = site.joined(&admin, exec()).await;
    client.input(0, "one").await;
    assert_eq!(text_of(agent.said().await), "one");

    let ticket = client.resume.clone();
    drop(client);
    agent.peer(false).await;
    agent.output(0, "into the void").await;
    agent.settled().await;
    let mut client = join_client(&site.server, &reveal(&ticket)).await.ok().unwrap();
    client.peer(true).await;
    agent.peer(true).await;
    client
        .say(Frame::Resume(Resume {
            next: 0,
            answer: false,
        }))
        .await;
    assert!(matches!(agent.said().await, Some(Frame::Resume(_))));
    assert_eq!(
        join_client(&site.server, &reveal(&ticket))
            .await
            .err()
            .unwrap()
            .status,
        401,
        "the client has shown that it has the next one"
    );
    agent.output(0, "again").await;
    assert_eq!(text_of(client.said().await), "again");

    let ticket = agent.resume.clone();
    drop(agent);
    client.peer(false).await;
    let mut agent = join_agent(&site.server, &site.credential, &ticket)
        .await
        .ok()
        .unwrap();
    agent.peer(true).await;
    client.peer(true).await;
    agent.say(Frame::End(End::new(EndCode::Completed, ""))).await;
    client.ended().await;
    site.ended_record(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_takes_the_place_of_a_socket_that_is_half_open() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let Running {
        mut client,
        mut agent,
        ..
    } = site.joined(&admin, exec()).await;

    let mut newer = join_client(&site.server, &reveal(&client.resume))
        .await
        .ok()
        .unwrap();
    client.closed().await;
    newer.peer(true).await;
    newer.input(0, "here").await;
    assert_eq!(text_of(agent.said().await), "here");

    let mut second = join_agent(&site.server, &site.credential, &agent.resume)
        .await
        .ok()
        .unwrap();
    agent.closed().await;
    second.peer(true).await;
    second.output(0, "there").await;
    assert_eq!(text_of(newer.said().await), "there");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_come_back_ends_it_and_who_comes_in_time_hears_of_the_end() {
    let mut site = Site::open_with(|config| config.stream_times.patience = Duration::from_millis(200)).await;
    let admin = site.server.admin();
    let Running {
        id,
        client,
        mut agent,
        ..
    } = site.joined(&admin, exec()).await;
    drop(client);
    told(&agent.ended().await, EndCode::PeerLost);
    assert!(
        site.ended_record(&id).await["end"]
            .as_str()
            .unwrap()
            .contains("did not come back")
    );

    // Where there is time to come back.
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let Running {
        client, mut agent, ..
    } = site.joined(&admin, exec()).await;
    let ticket = client.resume.clone();
    drop(client);
    agent.peer(false).await;
    let end = End::new(EndCode::Failed, "the kubelet broke it off; try again");
    agent.say(Frame::End(end.clone())).await;
    agent.closed().await;
    let mut late = join_client(&site.server, &reveal(&ticket)).await.ok().unwrap();
    assert_eq!(late.ended().await, end);
    eventually("its ticket is void", async || {
        join_client(&site.server, &reveal(&ticket)).await.is_err()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_of_a_log_ends_it_at_the_other_side() {
    let mut site = Site::open().await;
    let admin = site.server.admin();
    let Running {
        mut client, agent, ..
    } = site.joined(&admin, logs()).await;
    drop(agent);
    told(&client.ended().await, EndCode::PeerLost);

    let Running {
        client, mut agent, ..
    } = site.joined(&admin, logs()).await;
    drop(client);
    told(&agent.ended().await, EndCode::PeerLost);
    eventually("nothing is left", async || {
        site.server.platform.open_streams() == 0
    })
    .await;
}
