//! A whole market at work: a node in this process, three provider processes, a tenant that has a
//! picture path-traced by them, tile by tile, and a bill that is checked like any other.

mod bill;
mod children;
mod picture;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::LeaseView;
use classes::job::{Exit as JobExit, FUEL_MAX, Limits, Spec};
use executors::wasm::specification::METERING_VERSION;
use node::local::LocalNetwork;
use types::{
    Address, AuditTerms, BasisPoints, CheckState, Constraint, Hash, Lease, LeaseId, List,
    Parameters, Readers, Text,
};

pub(crate) use bill::Bill;

use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::jobs::{self, Contents, Done, Jobs, Names, Step, Terms};
use crate::local::LocalNode;
use crate::network::{Network, Signer};
use crate::output::{Output, duration, plural, short, usd};
use crate::part::check_file;
use crate::signals::asked_to_end;
use children::Children;
use picture::{Grid, Picture};
use place::Place;

/// The program that traces a tile.
const PROGRAM: &[u8] = include_bytes!("../../../../examples/pathtracer.wasm");

/// The scene that is traced unless another is named.
const SCENE: &str = include_str!("../../../../examples/scenes/idlewild.scene");

/// The name under which the program sees the scene.
const SCENE_NAME: &str = "picture.scene";

/// The file that the program writes.
const TILE_NAME: &str = "tile.ppm";

/// Columns and rows of tiles.
const TILES: (u32, u32) = (6, 4);

/// The same where one of the providers cheats: more and smaller, so that it is found out early.
const CHEAT_TILES: (u32, u32) = (12, 8);

/// The part of the work that is audited, in hundredths of a percent.
const AUDIT_SHARE: u16 = 2_000;
const CHEAT_AUDIT_SHARE: u16 = 3_000;

/// How long the network keeps pay back: what a cheat did until it is found out, it is not paid for.
const RELEASE_WINDOW: types::Duration = types::Duration::from_seconds(6);

/// How long audits and disputes may take after the last tile.
const CHECK_WAIT: Duration = Duration::from_secs(180);

/// Times that tiles are traced again which a cheat had altered.
const REDONE_MAX: u32 = 4;

/// Providers, and jobs that each runs at a time.
const PROVIDERS: usize = 3;
const SLOTS: u16 = 2;

/// How long the providers have to make their offers.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const READY_EVERY: Duration = Duration::from_millis(40);

/// How long a lease may run before its tile is placed again; longer each time.
const LEASE: Duration = Duration::from_secs(10);

/// How long a provider may take to start.
const START_WAIT: Duration = Duration::from_secs(3);

/// How long an order waits for a free slot.
const ORDER_WAIT: Duration = Duration::from_secs(300);

/// Paths a pixel of the demo's own scene: few, so that the demo is short.
const SAMPLES: u32 = 8;

/// Paths a pixel of another scene that does not say how many.
const SAMPLES_MAX: u32 = 64;

/// Fuel that a path may take, and the least for a tile: auditors must have the time for all of it.
const PATH_FUEL: u64 = 100_000;
const TILE_FUEL: u64 = 1_000_000_000;

/// How long auditors have besides what the work takes.
const COMMIT_WINDOW: types::Duration = types::Duration::from_seconds(3);

/// What a demo is told.
#[derive(Debug)]
pub(crate) struct Options {
    /// The scene's text, unless it is the demo's own.
    pub(crate) scene: Option<String>,
    /// Paths a pixel, unless the scene, or the demo for its own, decides.
    pub(crate) samples: Option<u32>,
    /// Where the picture goes.
    pub(crate) picture: PathBuf,
    /// Whether one of the providers cheats.
    pub(crate) cheat: bool,
    /// Where everything is kept that is otherwise removed.
    pub(crate) keep: Option<PathBuf>,
}

/// What a demo leaves.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The bill.
    pub(crate) bill: Bill,
    /// Tiles that were traced again, since the work on them was wrong or unchecked.
    pub(crate) redone: usize,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// Runs the demo to its end, or until Ctrl-C; nothing is left running either way.
pub(crate) async fn run(output: Output, options: &Options) -> Outcome<Shown> {
    let began = Instant::now();
    let scene = options.scene.as_deref().unwrap_or(SCENE);
    let tiles = if options.cheat { CHEAT_TILES } else { TILES };
    let grid = Grid::of_scene(scene, tiles).or_exit(Exit::Usage)?;
    check_file(&options.picture)?;
    let place = Place::of(options.keep.as_deref())?;
    let release_window_ms = RELEASE_WINDOW;
    let commit_window_ms = COMMIT_WINDOW;
    let parameters = Parameters { release_window_ms, commit_window_ms, ..Parameters::local() };
    let local = LocalNetwork { parameters, ..LocalNetwork::default() };
    let node = LocalNode::start_anywhere(&place.path().join("node"), &local).await?;
    let end = tokio::select! {
        end = show(output, options, scene, grid, &place, &node, began) => end,
        () = asked_to_end() => Err(Failure::stopped()),
    };
    node.stop().await;
    end
}

async fn show(
    output: Output,
    options: &Options,
    scene: &str,
    grid: Grid,
    place: &Place,
    node: &LocalNode,
    began: Instant,
) -> Outcome<Shown> {
    let network = node.network().await?;
    let status = &network.status;
    output.say(format_args!("network    {} at {}", status.network, node.url()));
    output.say(format_args!("genesis    {}", status.genesis));
    let mut children = Children::start(PROVIDERS, SLOTS, node.url(), place.path(), options.cheat)?;
    let signer = network.signer(provider::keystore::generate()?);
    let granted = network.client.faucet(signer.address()).await;
    let granted = granted.because("the faucet gave nothing")?.funds.usd;
    let names = upload(&signer, place, scene).await?;
    let offering = wait_for_offers(&network, &mut children).await?;
    let ids: Vec<String> = children.ids().iter().map(ToString::to_string).collect();
    output.say(format_args!(
        "providers  {} processes ({}), {SLOTS} slots each, ready after {}",
        offering.len(),
        ids.join(", "),
        duration(began.elapsed())
    ));
    output.say(format_args!("tenant     {}", signer.address()));

    let samples = options.samples.or(options.scene.is_none().then_some(SAMPLES));
    let specs = specs(grid, &names, samples)?;
    let terms = terms(options.cheat)?;
    let share = terms.audit.probability;
    let jobs = Jobs::new(signer.clone(), terms).await?;
    let traced = trace_and_check(output, &jobs, &specs, &offering).await;
    jobs.close().await;
    let Traced { done, redone, paid_twice } = traced?;

    let picture = assemble(&jobs, &done, grid, place).await?;
    let unwritten = || format!("cannot write {}", options.picture.display());
    picture.write(&options.picture).because(unwritten())?;
    output.say(format_args!("picture    {}", options.picture.display()));
    let leases = jobs.placed();
    let mut bill = Bill::draw(&network, node, signer.address(), granted, &leases).await?;
    bill.expect_jobs(done.len().saturating_add(paid_twice));
    tell_audits(output, &bill, share, &offering);
    // The providers go before the node does, so that they have nothing to complain about.
    drop(children);
    Ok(Shown { bill, redone, elapsed: began.elapsed() })
}

/// Gives the node the program and the scene.
async fn upload(signer: &Signer, place: &Place, scene: &str) -> Outcome<Names> {
    let input = place.path().join("input");
    let write = || {
        std::fs::create_dir_all(&input)?;
        std::fs::write(input.join(SCENE_NAME), scene)
    };
    write().because(format_args!("cannot write to {}", input.display()))?;
    let contents = Contents::program(PROGRAM).input(&input)?;
    jobs::upload(signer, &contents, &|_| {}).await
}

/// Waits until every provider offers, and returns them in the order of their addresses.
async fn wait_for_offers(network: &Network, children: &mut Children) -> Outcome<Vec<Address>> {
    let until = Instant::now() + READY_TIMEOUT;
    loop {
        let page = network.client.offers(classes::job::ID, None, None).await?;
        let mut providers: Vec<Address> =
            page.items.iter().map(|view| view.offer.provider).collect();
        providers.sort_unstable();
        providers.dedup();
        if providers.len() >= PROVIDERS {
            return Ok(providers);
        }
        if let Some(log) = children.gone() {
            let text = format!("a provider ended before it offered anything: {log}");
            return Err(Failure::new(Exit::Failed, text));
        }
        if Instant::now() > until {
            return Err(Failure::new(Exit::NoProvider, "the providers did not offer in time")
                .hint("this machine may be too busy; try again"));
        }
        tokio::time::sleep(READY_EVERY).await;
    }
}

fn tell_audits(output: Output, bill: &Bill, share: BasisPoints, offering: &[Address]) {
    output.say(format_args!(
        "audits     {} of {} jobs were drawn ({} %), {} agreed; audits: not independent (one \
         validator)",
        bill.audits,
        bill.leases,
        share.get() / 100,
        plural(usize::try_from(bill.agreed).unwrap_or(usize::MAX), "auditor"),
    ));
    if !bill.slashed.is_zero() {
        let cheats: Vec<String> = bill.cheats.iter().map(|cheat| name(*cheat, offering)).collect();
        output.say(format_args!(
            "cheat      {} lost {} WILD of its stake; {} went back to the tenant",
            cheats.join(", "),
            bill.slashed,
            usd(bill.refunded)
        ));
    }
}

/// Returns what a provider of the demo is called; `offering` are all, in order.
fn name(provider: Address, offering: &[Address]) -> String {
    match offering.binary_search(&provider) {
        Ok(number) => format!("provider {}", number + 1),
        Err(_) => short(provider),
    }
}

fn terms(is_cheating: bool) -> Outcome<Terms> {
    let probability = if is_cheating { CHEAT_AUDIT_SHARE } else { AUDIT_SHARE };
    let probability = BasisPoints::new(probability)?;
    let audit = AuditTerms { probability, auditors: 1, readers: Readers::Auditors };
    Ok(Terms {
        constraint: Constraint::default(),
        max_price: None,
        audit,
        duration: LEASE,
        order_wait: ORDER_WAIT,
        start_wait: START_WAIT,
    })
}

/// Returns what one tile may use.
fn limits(grid: Grid, samples: u32) -> Limits {
    let ((width, height), (columns, rows)) = (grid.size, grid.tiles);
    let pixels = u64::from(width.div_ceil(columns)) * u64::from(height.div_ceil(rows));
    let fuel = pixels.saturating_mul(samples.into()).saturating_mul(PATH_FUEL);
    let fuel = fuel.clamp(TILE_FUEL, FUEL_MAX);
    Limits { fuel, memory_pages: 1_024, output_bytes: 16 << 20 }
}

/// Returns a job for each tile.
fn specs(grid: Grid, names: &Names, samples: Option<u32>) -> Outcome<Vec<Spec>> {
    let (columns, rows) = grid.tiles;
    let limits = limits(grid, samples.unwrap_or(SAMPLES_MAX));
    let spec = |(column, row): (u32, u32)| {
        let mut words = vec![format!("/in/{SCENE_NAME}")];
        let tile = ["--tile", &column.to_string(), &row.to_string()].map(str::to_owned);
        let tiles = ["--tiles", &columns.to_string(), &rows.to_string()].map(str::to_owned);
        words.extend(tile.into_iter().chain(tiles));
        if let Some(samples) = samples {
            words.extend(["--samples".to_owned(), samples.to_string()]);
        }
        let arguments = words.into_iter().map(Text::new).collect::<Result<_, _>>()?;
        Ok(Spec {
            metering: METERING_VERSION,
            program: names.program,
            input: names.input,
            stdin: None,
            arguments: List::new(arguments)?,
            environment: List::default(),
            seed: Hash::ZERO,
            limits,
        })
    };
    grid.places().into_iter().map(spec).collect()
}

/// Tiles that are traced and checked.
struct Traced {
    done: Vec<Done>,
    /// How many were traced again.
    redone: usize,
    /// How many of these a cheat had been paid for before it was found.
    paid_twice: usize,
}

/// Has all tiles traced and waits for their audits; those whose money came back are traced again.
async fn trace_and_check(
    output: Output,
    jobs: &Jobs,
    specs: &[Spec],
    offering: &[Address],
) -> Outcome<Traced> {
    let began = Instant::now();
    let all: Vec<usize> = (0..specs.len()).collect();
    let mut done = trace(output, jobs, specs, &all, offering).await?;
    output.say(format_args!(
        "jobs       {} tiles traced in {}",
        done.len(),
        duration(began.elapsed())
    ));
    let (mut redone, mut paid_twice) = (0, 0);
    for round in 0..=REDONE_MAX {
        let leases: Vec<LeaseId> = done.iter().map(|done| done.lease.id).collect();
        let views = jobs.checked(&leases, CHECK_WAIT).await?;
        let cheats: BTreeSet<Address> = views
            .iter()
            .filter(|view| view.lease.check == CheckState::Failed)
            .map(|view| view.lease.provider)
            .collect();
        // What a cheat was paid before it was found, and nobody checked, counts for nothing either.
        let is_void = |view: &&LeaseView| {
            let Lease { check, provider, .. } = &view.lease;
            check.is_refunded() || *check != CheckState::Passed && cheats.contains(provider)
        };
        let is_paid = |view: &&LeaseView| !view.lease.check.is_refunded();
        let void: BTreeSet<LeaseId> =
            views.iter().filter(is_void).map(|view| view.lease.id).collect();
        let is_again = |tile: &usize| void.contains(&done[*tile].lease.id);
        let tiles: Vec<usize> = (0..done.len()).filter(is_again).collect();
        if tiles.is_empty() {
            break;
        }
        if round == REDONE_MAX {
            let text = format!("{} are still to be redone", plural(tiles.len(), "tile"));
            return Err(Failure::new(Exit::Failed, text));
        }
        redone += tiles.len();
        paid_twice += views.iter().filter(|view| is_void(view) && is_paid(view)).count();
        let cheats: Vec<String> = cheats.iter().map(|cheat| name(*cheat, offering)).collect();
        let why = match cheats.is_empty() {
            true => "nobody could check it".to_owned(),
            false => format!("done by a cheat, {}", cheats.join(", ")),
        };
        output.say(format_args!("redone     {}: {why}", plural(tiles.len(), "tile")));
        let again = trace(output, jobs, specs, &tiles, offering).await?;
        for (tile, job) in tiles.into_iter().zip(again) {
            done[tile] = job;
        }
    }
    Ok(Traced { done, redone, paid_twice })
}

/// Has these tiles traced.
async fn trace(
    output: Output,
    jobs: &Jobs,
    specs: &[Spec],
    tiles: &[usize],
    offering: &[Address],
) -> Outcome<Vec<Done>> {
    let specs: Vec<Spec> = tiles.iter().map(|tile| specs[*tile].clone()).collect();
    let bar = output.bar(u64::try_from(specs.len()).unwrap_or(u64::MAX), "tiles");
    let name = |provider: Address| name(provider, offering);
    let finished = AtomicU64::new(0);
    let watch = |index: usize, step: Step| {
        let tile = tiles[index];
        match step {
            Step::Waiting { .. } | Step::Leased(_) => {}
            Step::Started(provider) => {
                bar.set_message(format!("tile {tile} at {}", name(provider)));
            }
            Step::Lost(provider, why) => bar.suspend(|| {
                let name = name(provider);
                output.say(format_args!("  tile {tile} is placed again: {why} ({name})"));
            }),
            Step::Done(provider) => {
                bar.inc(1);
                let count = finished.fetch_add(1, Ordering::Relaxed) + 1;
                if bar.is_hidden() {
                    let (total, name) = (tiles.len(), name(provider));
                    output.say(format_args!("  {count:>2}/{total} tile {tile:>2} by {name}"));
                }
            }
        }
    };
    let done = Mutex::new(BTreeMap::new());
    let deliver = async |tile: usize, job: Done| {
        done.lock().unwrap_or_else(PoisonError::into_inner).insert(tile, job);
        Ok(())
    };
    let end = jobs.run_many(&specs, &watch, deliver).await;
    bar.finish_and_clear();
    end?;
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(done.into_values().collect())
}

/// Fetches every tile and puts it in its place.
async fn assemble(jobs: &Jobs, done: &[Done], grid: Grid, place: &Place) -> Outcome<Picture> {
    let mut picture = Picture::new(grid);
    for (number, (tile, done)) in grid.places().into_iter().zip(done).enumerate() {
        let results = jobs.results(done).await?;
        if done.usage.exit != JobExit::Code(0) {
            let said = String::from_utf8_lossy(&results.stderr);
            let text = format!("tile {number} ended with {:?}: {}", done.usage.exit, said.trim());
            return Err(Failure::new(Exit::Failed, text).hint("check the scene"));
        }
        let directory = place.path().join("tiles").join(number.to_string());
        jobs.save(done, &results, &directory).await?;
        let file = directory.join(TILE_NAME);
        let bytes = std::fs::read(&file);
        let bytes = bytes.because(format_args!("tile {number} is not in its results"))?;
        picture.place(tile, &bytes).because(format_args!("tile {number} does not fit"))?;
    }
    Ok(picture)
}
