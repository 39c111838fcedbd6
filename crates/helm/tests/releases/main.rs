//! The Helm engine on a real API server, beside the real `helm`.
//!
//! One file per promise, one cluster for all: the one that `cargo xtask test` has started, or one of its own. They are played
//! in lanes beside each other.
//! `C7N_PROMISE=WORD` plays only the promises whose name holds that word.

mod by_hand;
mod confined;
mod conflicts;
mod counting;
mod ground;
mod hooks;
mod kills;
mod labels;
mod life;
mod limits;
mod recovery;
mod secrets;
mod shapes;
mod stopped;
mod stored;

use std::future::Future;
use std::time::Instant;

use anyhow::{Context, Result};
use c7n_testbed::cluster::{ClusterOptions, LocalCluster};

use ground::Ground;

#[tokio::test(flavor = "multi_thread")]
async fn releases_on_a_cluster() -> Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (cluster, ground) = match Ground::given().await? {
        Some(ground) => (None, ground),
        None => {
            let options = ClusterOptions::new(format!("helm-{}", std::process::id()));
            let cluster = LocalCluster::start(options).await?;
            let ground = Ground::on(cluster.handle()).await?;
            (Some(cluster), ground)
        }
    };
    let outcome = Box::pin(lanes(&ground)).await;
    if let Some(cluster) = cluster {
        cluster.stop().await?;
    }
    outcome
}

/// What waits most goes beside the rest. Each lane has an engine of its own, so that none takes the workers of another.
async fn lanes(ground: &Ground) -> Result<()> {
    let [first, second, third, fourth] =
        [("most", 2), ("limits", 2), ("kills", 2), ("hooks", 4)].map(|lane| ground.lane(lane.0, lane.1));
    let outcome = tokio::try_join!(
        most(&first),
        limits_and_recovery(&second),
        play("kills", kills::at_each_call_leave_nothing_behind(&third)),
        hooks_that_run(&fourth),
    );
    for lane in [&first, &second, &third, &fourth] {
        lane.engine.shut_down().await;
    }
    outcome.map(drop)
}

/// One after the other: two of these make the same kind in the cluster.
async fn most(ground: &Ground) -> Result<()> {
    play("life", life::from_install_to_uninstall(ground)).await?;
    play("life again", life::a_kept_history_goes_on(ground)).await?;
    play(
        "life first",
        life::a_first_install_that_failed_is_made_again(ground),
    )
    .await?;
    play("by hand", by_hand::the_program_works_on_our_releases(ground)).await?;
    play(
        "by hand adopted",
        by_hand::a_release_of_the_program_is_adopted(ground),
    )
    .await?;
    play("labels", labels::are_on_everything_and_on_no_selector(ground)).await?;
    play(
        "labels carried",
        labels::an_unrelated_upgrade_rolls_no_pod(ground),
    )
    .await?;
    play(
        "labels job",
        labels::a_job_of_an_adopted_release_stays_as_it_was(ground),
    )
    .await?;
    play("conflicts", conflicts::are_reported_and_not_stolen(ground)).await?;
    play(
        "conflicts foreign",
        conflicts::foreign_objects_are_left_alone(ground),
    )
    .await?;
    play("confined", confined::to_its_own_namespace(ground)).await?;
    play("confined kinds", confined::to_kinds_that_are_allowed(ground)).await?;
    play("confined records", confined::whatever_its_records_say(ground)).await?;
    play("secrets", secrets::never_show_in_an_error(ground)).await?;
    play("stored", stored::records_are_read_without_helm(ground)).await?;
    play("stopped", stopped::a_release_runs_at_no_moment(ground)).await?;
    play("shapes", shapes::charts_of_every_shape(ground)).await?;
    play("shapes many", shapes::many_objects_and_long_values(ground)).await
}

/// Their charts run wild, and workers are killed here.
async fn limits_and_recovery(ground: &Ground) -> Result<()> {
    play("limits loop", limits::a_chart_that_loops_is_ended_alone(ground)).await?;
    play("limits memory", limits::a_greedy_chart_is_ended(ground)).await?;
    play("limits archive", limits::bad_archives_are_refused(ground)).await?;
    play("limits cancel", limits::an_operation_is_cancelled_at_once(ground)).await?;
    play("recovery", recovery::a_killed_worker_leaves_nothing_stuck(ground)).await
}

async fn hooks_that_run(ground: &Ground) -> Result<()> {
    if !ground.real_node {
        eprintln!("NOT TRIED: hooks that really run (this machine has no real node)");
        return Ok(());
    }
    // They wait for pods nearly all of their time: four at once, as many as there are workers.
    tokio::try_join!(
        play("hooks failed rollback", hooks::that_fail_end_a_rollback(ground)),
        play(
            "hooks failed uninstall",
            hooks::that_fail_end_an_uninstallation(ground)
        ),
        async {
            play("hooks failed upgrade", hooks::that_fail_end_an_upgrade(ground)).await?;
            play("hooks failed", hooks::that_fail_say_why(ground)).await
        },
        async {
            play("hooks", hooks::run_and_are_reported(ground)).await?;
            play("hooks test", hooks::tests_run_on_demand(ground)).await?;
            play("life way back", life::a_failed_upgrade_is_rolled_back(ground)).await
        },
    )
    .map(drop)
}

async fn play(name: &str, promise: impl Future<Output = Result<()>>) -> Result<()> {
    if let Ok(word) = std::env::var("C7N_PROMISE")
        && !name.contains(&word)
    {
        return Ok(());
    }
    let begun = Instant::now();
    Box::pin(promise)
        .await
        .with_context(|| format!("promise: {name}"))?;
    eprintln!("{:>6.1} s  {name}", begun.elapsed().as_secs_f32());
    Ok(())
}
