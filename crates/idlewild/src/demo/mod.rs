//! A whole market at work: a node in this process, three provider processes, a tenant that has a
//! picture path-traced by them, tile by tile, and a bill that is checked like any other.

mod bill;
mod children;
mod picture;
mod place;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use classes::job::{Exit as JobExit, Limits, Spec};
use executors::wasm::specification::METERING_VERSION;
use types::{Address, AuditTerms, Constraint, Hash, List, Readers, Text};

pub(crate) use bill::Bill;

use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::jobs::{self, Contents, Done, Jobs, Names, Step, Terms};
use crate::local::LocalNode;
use crate::network::{Network, Signer};
use crate::output::{Output, duration, short};
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

/// What one tile may use.
const LIMITS: Limits =
    Limits { fuel: 200_000_000_000, memory_pages: 1_024, output_bytes: 16 << 20 };

/// What a demo is told.
#[derive(Debug)]
pub(crate) struct Options {
    /// The scene's text, unless it is the demo's own.
    pub(crate) scene: Option<String>,
    /// Paths a pixel, unless the scene, or the demo for its own, decides.
    pub(crate) samples: Option<u32>,
    /// Where the picture goes.
    pub(crate) picture: PathBuf,
    /// Where everything is kept that is otherwise removed.
    pub(crate) keep: Option<PathBuf>,
}

/// What a demo leaves.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The bill.
    pub(crate) bill: Bill,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// Runs the demo to its end, or until Ctrl-C; nothing is left running either way.
pub(crate) async fn run(output: Output, options: &Options) -> Outcome<Shown> {
    let began = Instant::now();
    let scene = options.scene.as_deref().unwrap_or(SCENE);
    let grid = Grid::of_scene(scene, TILES).or_exit(Exit::Usage)?;
    check_file(&options.picture)?;
    let place = Place::of(options.keep.as_deref())?;
    let node = LocalNode::start_anywhere(&place.path().join("node")).await?;
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
    let mut children = Children::start(PROVIDERS, SLOTS, node.url(), place.path())?;
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
    let jobs = Jobs::new(signer.clone(), terms()).await?;
    let traced = Instant::now();
    let done = trace(output, &jobs, &specs, &offering).await;
    jobs.close().await;
    let done = done?;
    output.say(format_args!(
        "jobs       {} tiles traced in {}",
        done.len(),
        duration(traced.elapsed())
    ));

    let picture = assemble(&jobs, &done, grid, place).await?;
    let unwritten = || format!("cannot write {}", options.picture.display());
    picture.write(&options.picture).because(unwritten())?;
    output.say(format_args!("picture    {}", options.picture.display()));
    let leases = jobs.placed();
    let mut bill = Bill::draw(&network, node, signer.address(), granted, &leases).await?;
    bill.expect_jobs(done.len());
    // The providers go before the node does, so that they have nothing to complain about.
    drop(children);
    Ok(Shown { bill, elapsed: began.elapsed() })
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

fn terms() -> Terms {
    let audit = AuditTerms { readers: Readers::Auditors, ..AuditTerms::NONE };
    Terms {
        constraint: Constraint::default(),
        max_price: None,
        audit,
        duration: LEASE,
        order_wait: ORDER_WAIT,
        start_wait: START_WAIT,
    }
}

/// Returns a job for each tile.
fn specs(grid: Grid, names: &Names, samples: Option<u32>) -> Outcome<Vec<Spec>> {
    let (columns, rows) = grid.tiles;
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
            limits: LIMITS,
        })
    };
    grid.places().into_iter().map(spec).collect()
}

/// Has all tiles traced.
async fn trace(
    output: Output,
    jobs: &Jobs,
    specs: &[Spec],
    offering: &[Address],
) -> Outcome<Vec<Done>> {
    let bar = output.bar(u64::try_from(specs.len()).unwrap_or(u64::MAX), "tiles");
    let name = |provider: Address| match offering.binary_search(&provider) {
        Ok(number) => format!("provider {}", number + 1),
        Err(_) => short(provider),
    };
    let finished = AtomicU64::new(0);
    let watch = |tile: usize, step: Step| match step {
        Step::Waiting { .. } | Step::Leased(_) => {}
        Step::Started(provider) => bar.set_message(format!("tile {tile} at {}", name(provider))),
        Step::Lost(provider, why) => bar.suspend(|| {
            output.say(format_args!("  tile {tile} is placed again: {why} ({})", name(provider)));
        }),
        Step::Done(provider) => {
            bar.inc(1);
            let count = finished.fetch_add(1, Ordering::Relaxed) + 1;
            if bar.is_hidden() {
                let (total, name) = (specs.len(), name(provider));
                output.say(format_args!("  {count:>2}/{total} tile {tile:>2} by {name}"));
            }
        }
    };
    let done = Mutex::new(BTreeMap::new());
    let deliver = async |tile: usize, job: Done| {
        done.lock().unwrap_or_else(PoisonError::into_inner).insert(tile, job);
        Ok(())
    };
    let end = jobs.run_many(specs, &watch, deliver).await;
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
