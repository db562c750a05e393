//! The disk of a box fills up with something else: the journal lives on its reserve, and nothing is lost.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use parking::Timestamp;
use tests::city::{Plan, devices, simulate};
use tests::clock::SimulatedClock;
use tests::judge;
use tests::street::Street;
use tests::world::{Database, RoadsideBox, World};

/// Size of the file system under the box's data; the journal's reserve is 4 MiB of it.
const DISK_MIB: u32 = 16;

/// Mounts a small file system on the folder that is the first argument, and becomes the program that is the second.
fn mount_and_run() -> String {
    format!("mount -t tmpfs -o size={DISK_MIB}m tmpfs \"$1\" && shift && exec \"$@\"")
}

/// The options of `unshare` by which a process here may mount something for itself; `None` if it may not at all, as in
/// some containers.
fn may_mount() -> anyhow::Result<Option<&'static [&'static str]>> {
    let folder = tempfile::tempdir()?;
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    for way in ways {
        let tried = Command::new("unshare")
            .args(way)
            .args(["--", "sh", "-c", &mount_and_run(), "sh"])
            .arg(folder.path())
            .arg("true")
            .output()?;
        if tried.status.success() {
            return Ok(Some(way));
        }
    }
    Ok(None)
}

/// Puts the box's data on a small file system of its own, which only the gateway's process sees and which ends with it.
fn on_a_small_disk(roadside: &mut RoadsideBox, way: &[&str]) -> anyhow::Result<()> {
    std::fs::create_dir_all(&roadside.data)?;
    let data = roadside.data.clone();
    let spec = roadside.gateway.spec_mut();
    let mut args: Vec<OsString> = way.iter().map(Into::into).collect();
    args.extend(["--", "sh", "-c", &mount_and_run(), "sh"].map(Into::into));
    args.push(data.into());
    args.push(std::mem::replace(&mut spec.program, "unshare".into()).into());
    args.append(&mut spec.args);
    spec.args = args;
    Ok(())
}

/// Number of the journal's newest segment.
fn newest_segment(folder: &Path) -> anyhow::Result<u64> {
    let mut newest = None;
    for entry in std::fs::read_dir(folder.join("journal"))? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(".segment")?.parse().ok());
        newest = newest.max(number);
    }
    newest.context("the journal has no segment")
}

/// Writes a file until the disk is full; returns its size in bytes.
fn fill(folder: &Path) -> anyhow::Result<u64> {
    let mut file = File::create(folder.join("filler")).with_context(|| folder.display().to_string())?;
    let mut bytes = 0;
    for piece in [1 << 20, 4_096, 1] {
        loop {
            match file.write(&vec![0; piece]) {
                Ok(0) => break,
                Ok(written) => bytes += written as u64,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_no_session() -> anyhow::Result<()> {
    let Some(way) = may_mount()? else {
        println!("NOT TESTED: nothing can be mounted here, so there is no disk that could be filled");
        return Ok(());
    };
    let street = Street::new("sim-01", 1, 40, 2)?;
    let start: Timestamp = "2026-01-05T00:00:00+07:00".parse()?;
    let plan = Plan::day(judge::seed()?, start);
    let day = simulate(&street, &plan, &mut devices(&street));
    let clock = SimulatedClock::starting_in(std::time::Duration::from_secs(5), start, 2_880);
    let mut world = World::prepare(vec![street], clock, Database::Sqlite, 1).await?;
    on_a_small_disk(&mut world.boxes[0], way)?;
    world.start_boxes().await?;
    let publishing = world.play(0, day.uplinks.clone());

    world.clock.reach(plan.start.plus_seconds(7 * 3_600)).await;
    let gateway = world.boxes[0].gateway.pid().context("no gateway runs")?;
    let inside = PathBuf::from(format!(
        "/proc/{}/root{}",
        gateway.as_raw_nonzero(),
        world.boxes[0].data.display()
    ));
    let before = newest_segment(&inside)?;
    let filled = fill(&inside)?;
    println!("{filled} bytes of {DISK_MIB} MiB were free");
    assert!(filled > 0, "the disk was full already");

    publishing.await??;
    world.clock.reach(plan.end()).await;
    let told = world.boxes[0].gateway.log_of_this_run()?;
    judge::sessions(&world, 0, &day.truth)
        .await
        .with_context(|| format!("the box said: {}", &told[told.len().saturating_sub(4_000)..]))?;
    judge::zone_days(&world, 0, &day.truth).await?;
    let after = newest_segment(&inside)?;
    println!("segment {before} was the newest then, {after} is now");
    assert!(
        after > before,
        "the journal needed no new segment, so the reserve was not tried"
    );
    assert_eq!(world.boxes[0].gateway.exit_status()?, None, "the gateway ended");
    println!("{}", world.kominfo(&["verify"])?);
    Ok(())
}
