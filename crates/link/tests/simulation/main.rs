//! Seeded play of the dialogue: cuts that both sides, one or none notice, delays, doubled frames, late words of dead
//! connections, connections and agents that overlap, crashes of either side, a database that is slow and fails. Whatever
//! happens, in the end the platform's database tells what the cluster holds.
//!
//! `C7N_SEEDS=5000` plays more seeds, `C7N_SEED=17` plays one again.
//!
//! Even seeds have the digests and agents that lose their memory. Odd seeds have neither: there the acknowledgements alone must
//! carry everything, and after every step whatever the database lacks must still be in the agent's outbox.

mod agent;
mod dice;
mod ledger;
mod line;
mod platform;
mod words;
mod world;

#[test]
fn the_platform_ends_up_with_what_the_cluster_holds() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("C7N_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("C7N_SEEDS").unwrap_or(400),
    };
    for seed in seeds {
        let played = std::panic::catch_unwind(|| world::World::new(seed).play());
        assert!(
            played.is_ok(),
            "seed {seed} failed; play it again with C7N_SEED={seed}"
        );
    }
}
