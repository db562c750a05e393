//! Live view from the city: a viewer at the portal, a real box, a real (simulated) camera, and what goes wrong between them.

use std::ffi::OsStr;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;
use live::command::{Order, Profile, Ready};
use live::link::HELD;
use live::message::Message;
use parking::{CameraId, Timestamp};
use rustix::process::{Signal, kill_process};
use tests::cameras::keep_secret;
use tests::city::{Plan, devices, simulate};
use tests::clock::{SimulatedClock, unix_ms};
use tests::commander::{send, signed};
use tests::link::Quality;
use tests::process::{self, Daemon, Spec, system_program, workspace_program};
use tests::street::Street;
use tests::viewer::{Viewer, show_page};
use tests::world::{Database, World};
use tokio::task::AbortHandle;

/// Nothing here takes longer unless it is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// For so long it is looked whether video waits.
const HELD_FOR: Duration = Duration::from_secs(4);
/// What was sent before the pause has come after this.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// A box waits for a receipt for so long until it holds video back.
const RECEIPT_WAIT: Duration = Duration::from_secs(5);

/// A street of ten spaces with one camera, on a clock of that rate.
fn scene(rate: u32) -> anyhow::Result<(Street, CameraId, SimulatedClock)> {
    let street = Street::new("sim-01", 1, 10, 1)?.with_cameras(1)?;
    let camera = street.cameras.first().context("no camera")?.id.clone();
    let clock = SimulatedClock::starting_in(Duration::ZERO, Timestamp::from_millis(unix_ms()), rate);
    Ok((street, camera, clock))
}

/// A box and a city with that street.
async fn world(rate: u32) -> anyhow::Result<(World, CameraId)> {
    let (street, camera, clock) = scene(rate)?;
    let world = World::start(vec![street], clock, Database::Sqlite, 1).await?;
    Ok((world, camera))
}

/// The same with a link between box and city that counts connections, and is good enough not to matter.
async fn counted_world(rate: u32) -> anyhow::Result<(World, CameraId)> {
    let (street, camera, clock) = scene(rate)?;
    let quality = Quality {
        kbit: 100_000,
        delay: Duration::from_millis(5),
    };
    Ok((World::start_afar(vec![street], clock, quality).await?, camera))
}

/// Connections that the box has ever made for live view.
fn dialled(world: &World) -> anyhow::Result<u64> {
    Ok(world.city.live_traffic().context("nothing is counted")?.dialled)
}

/// Says that a page shows the box until the box holds a connection: the city must have been told of the box before.
async fn await_waiting(world: &mut World) -> anyhow::Result<()> {
    let (portal, id) = (world.city.addresses[0], world.boxes[0].id.clone());
    let begin = Instant::now();
    loop {
        show_page(portal, &id).await?;
        let gateway = &mut world.boxes[0].gateway;
        let line = gateway.wait_for_line("a connection to the city waits", Duration::from_secs(1));
        match line.await {
            Err(error) if begin.elapsed() > PATIENCE => return Err(error),
            Err(_) => {}
            Ok(_) => return Ok(()),
        }
    }
}

/// Opens a view, once the city has been told of the camera.
async fn watch(world: &World, camera: &CameraId) -> anyhow::Result<Viewer> {
    let begin = Instant::now();
    loop {
        match Viewer::open(world.city.addresses[0], &world.boxes[0].id, camera).await {
            Ok(viewer) => return Ok(viewer),
            Err(error) if begin.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Waits for a chunk; returns what came before it, by kind.
async fn chunk(viewer: &mut Viewer) -> anyhow::Result<Vec<String>> {
    let mut before = Vec::new();
    loop {
        let kind = match viewer.next(PATIENCE).await?.context("the view was closed")? {
            Message::Stream(info) => format!("stream {} {}x{}", info.camera, info.width, info.height),
            Message::Init(_) => "init".to_owned(),
            Message::Chunk(chunk) => {
                before.push(if chunk.keyframe() { "keyframe" } else { "continues" }.to_owned());
                return Ok(before);
            }
            Message::State(_) => continue,
            other => anyhow::bail!("{other:?} instead of a picture, after {before:?}"),
        };
        before.push(kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opens_the_portal_sees_the_camera_and_the_box_stops_when_the_last_viewer_leaves() -> anyhow::Result<()>
{
    let (mut world, camera) = world(1).await?;
    let mut viewer = watch(&world, &camera).await?;
    let expected = [
        format!("stream {camera} 640x360"),
        "init".to_owned(),
        "keyframe".to_owned(),
    ];
    assert_eq!(chunk(&mut viewer).await?, expected);
    let mut second = watch(&world, &camera).await?;
    assert_eq!(
        chunk(&mut second).await?,
        expected,
        "the second one begins with a keyframe as well"
    );
    drop(viewer);
    chunk(&mut second).await?;
    drop(second);
    let log = &mut world.boxes[0].gateway;
    log.wait_for_line("the city watched", PATIENCE).await?;
    let log = log.log_of_this_run()?;
    assert_eq!(
        log.matches("the city watches").count(),
        1,
        "both saw one stream:\n{log}"
    );
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_box_does_not_list_gets_nothing() -> anyhow::Result<()> {
    let (mut world, camera) = world(1).await?;
    let roadside = &mut world.boxes[0];
    let listed = format!("servers = [\"{}\"]", world.city.live[0]);
    let config = fs::read_to_string(&roadside.config)?;
    assert!(config.contains(&listed));
    fs::write(
        &roadside.config,
        config.replace(&listed, "servers = [\"portal.example.id:8443\"]"),
    )?;
    roadside.gateway.terminate(PATIENCE).await?;
    roadside.gateway.restart().await?;

    let mut viewer = watch(&world, &camera).await?;
    let refused = "its server is not in far_view.servers";
    world.boxes[0].gateway.wait_for_line(refused, PATIENCE).await?;
    assert_eq!(refusal(&mut viewer).await?, "server_not_listed");
    while let Ok(Some(message)) = viewer.next(Duration::from_secs(2)).await {
        let is_media = matches!(message, Message::Stream(_) | Message::Init(_) | Message::Chunk(_));
        assert!(!is_media, "{message:?}");
    }
    world.stop().await
}

/// Waits until the viewer is told why the box sends nothing. No picture may come before.
async fn refusal(viewer: &mut Viewer) -> anyhow::Result<String> {
    loop {
        match viewer.next(PATIENCE).await?.context("the view was closed")? {
            Message::State(told) if told.state == "link_refused" => {
                return told.message.context("it is not told why");
            }
            Message::State(_) => {}
            other => anyhow::bail!("{other:?} instead of a refusal"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_is_told_why_the_box_refuses_or_ends_a_stream() -> anyhow::Result<()> {
    let (mut world, camera) = world(1).await?;
    let mut viewer = watch(&world, &camera).await?;
    chunk(&mut viewer).await?;
    let gateway = &mut world.boxes[0].gateway;
    gateway.terminate(PATIENCE).await?;
    let told = tokio::time::timeout(PATIENCE, async {
        loop {
            match viewer.next(PATIENCE).await?.context("the view was closed")? {
                Message::State(told) if told.state.starts_with("link_") => return anyhow::Ok(told),
                _ => {}
            }
        }
    });
    let told = told.await??;
    assert_eq!(
        (told.state.as_str(), told.message.as_deref()),
        ("link_refused", Some("box_stopping"))
    );
    drop(viewer);

    let config = fs::read_to_string(&world.boxes[0].config)?;
    let without = config.replace(&format!("main = \"/{camera}/main\"\n"), "");
    assert_ne!(config, without);
    fs::write(&world.boxes[0].config, without)?;
    world.boxes[0].gateway.restart().await?;
    let (portal, id) = (world.city.addresses[0], world.boxes[0].id.clone());
    let mut viewer = Viewer::open_profile(portal, &id, &camera, Profile::Main).await?;
    assert_eq!(refusal(&mut viewer).await?, "no_stream");
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_portal_shows_the_camera_again_when_it_is_back() -> anyhow::Result<()> {
    let (mut world, camera) = world(1).await?;
    let mut viewer = watch(&world, &camera).await?;
    chunk(&mut viewer).await?;
    world.city.kominfo[0].kill()?;
    let closed = async { while let Ok(Some(_)) = viewer.next(PATIENCE).await {} };
    tokio::time::timeout(PATIENCE, closed)
        .await
        .context("the view outlives the portal")?;
    world.city.kominfo[0].restart().await?;
    let mut viewer = watch(&world, &camera).await?;
    assert_eq!(chunk(&mut viewer).await?.last().map(String::as_str), Some("keyframe"));
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn video_waits_while_records_wait_for_the_city() -> anyhow::Result<()> {
    let (mut world, camera) = world(240).await?;
    let (playing, mut viewer) = busy(&world, &camera).await?;

    let broker = world.city.broker.daemon.pid().context("no broker")?;
    kill_process(broker, Signal::STOP)?;
    let waits = held(&mut viewer).await;
    kill_process(broker, Signal::CONT)?;
    waits?;
    // On the same connection, and from a keyframe.
    assert_eq!(chunk(&mut viewer).await?.last().map(String::as_str), Some("keyframe"));
    playing.abort();
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_to_a_listed_media_server_that_the_system_believes_and_to_no_other() -> anyhow::Result<()> {
    let (mut world, camera) = world(1).await?;
    let cameras = world.boxes[0].cameras.as_ref().context("no cameras")?;
    let simulator = cameras.simulator.clone();
    let url = format!("rtsps://{}/{camera}/record", simulator.media_server()?);
    let frames = async || {
        let stats = simulator.tell(&serde_json::json!({ "cmd": "stats" })).await?;
        let received = &stats["cameras"][camera.as_str()]["streams"]["record"];
        anyhow::Ok(received["frames"].as_u64().unwrap_or(0))
    };

    let refused = "its server is not in far_view.media_servers";
    answer(&mut world, &camera, &url, refused).await?;

    let config = fs::read_to_string(&world.boxes[0].config)?;
    let listed = format!("[far_view]\nmedia_servers = [\"{}\"]\n", simulator.media_server()?);
    fs::write(&world.boxes[0].config, config.replace("[far_view]\n", &listed))?;
    let gateway = &mut world.boxes[0].gateway;
    gateway.terminate(PATIENCE).await?;
    gateway.restart().await?;
    let ended = "the stream to the media server ended";
    // The log does not name the certificate as the reason; that the same stream arrives once it is believed, does.
    answer(&mut world, &camera, &url, ended).await?;
    assert_eq!(
        frames().await?,
        0,
        "a server whose certificate nobody believes got pictures"
    );

    believe(&mut world, simulator.certificate()?).await?;
    answer(&mut world, &camera, &url, ended).await?;
    assert_eq!(
        frames().await?,
        0,
        "a server that asks for a login got pictures without"
    );

    let (user, password) = simulator.media_login()?;
    let login = format!(
        "\"{}\" = {{ user = \"{user}\", password = \"{password}\" }}\n",
        simulator.media_server()?
    );
    let secrets = world.folder().join("media.secret");
    keep_secret(&secrets, &login)?;
    let config = fs::read_to_string(&world.boxes[0].config)?;
    let named = format!("[video]\nsecrets_file = \"{}\"\n", secrets.display());
    fs::write(&world.boxes[0].config, config.replace("[video]\n", &named))?;
    let gateway = &mut world.boxes[0].gateway;
    gateway.terminate(PATIENCE).await?;
    gateway.restart().await?;
    let mut operator = answer(&mut world, &camera, &url, "is published to a media server").await?;
    let begin = Instant::now();
    while frames().await? < 24 {
        let log = world.boxes[0].gateway.log_of_this_run()?;
        anyhow::ensure!(begin.elapsed() < PATIENCE, "no pictures at the media server:\n{log}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    operator.terminate(PATIENCE).await?;
    world.boxes[0].gateway.wait_for_line(ended, PATIENCE).await?;
    world.stop().await
}

/// Commands the box, as an operator does, until its log has a line with `text`: it does not tell when it has begun to
/// listen. The command runs on.
async fn answer(world: &mut World, camera: &CameraId, url: &str, text: &str) -> anyhow::Result<Daemon> {
    let begin = Instant::now();
    loop {
        let mut operator = publish(world, camera, url).await?;
        let line = world.boxes[0].gateway.wait_for_line(text, Duration::from_secs(5)).await;
        match line {
            Ok(_) => return Ok(operator),
            Err(error) if begin.elapsed() > PATIENCE => return Err(error),
            Err(_) => operator.terminate(PATIENCE).await?,
        }
    }
}

/// `kominfo publish`, in front of an operator.
async fn publish(world: &World, camera: &CameraId, url: &str) -> anyhow::Result<Daemon> {
    let city = &world.city;
    let file = |name: &str| city.pki.join(name).display().to_string();
    let broker = format!("mqtts://localhost:{}", city.broker.address.port());
    let ready = process::Ready::Line("is asked to send".to_owned());
    let log = world.folder().join("publish.log");
    let spec = Spec::new("publish", workspace_program("kominfo")?, log, ready)
        .args(["publish", "--database", city.database.as_str(), "--mqtt", &broker])
        .args(["--ca", &file("ca.crt"), "--cert", &file("kominfo-client.crt")])
        .args([
            "--key",
            &file("kominfo-client.key"),
            "--command-key",
            &file("command.key"),
        ])
        .args([
            "--box",
            world.boxes[0].id.as_str(),
            "--camera",
            camera.as_str(),
            "--to",
            url,
        ]);
    Daemon::start(spec).await
}

/// Starts the box again on a system that believes one certificate alone: with a mount of its own over the system's list.
async fn believe(world: &mut World, certificate: &str) -> anyhow::Result<()> {
    let list = world.folder().join("believed.pem");
    fs::write(&list, certificate)?;
    let gateway = &mut world.boxes[0].gateway;
    gateway.terminate(PATIENCE).await?;
    let spec = gateway.spec_mut();
    let program = std::mem::replace(&mut spec.program, system_program("unshare")?);
    let script = "mount --bind \"$0\" /etc/ssl/certs/ca-certificates.crt && exec \"$@\"";
    let before: [&OsStr; 6] = [
        "--map-root-user".as_ref(),
        "--mount".as_ref(),
        "sh".as_ref(),
        "-c".as_ref(),
        script.as_ref(),
        list.as_ref(),
    ];
    let args = std::mem::take(&mut spec.args);
    spec.args = before
        .into_iter()
        .map(OsStr::to_owned)
        .chain([program.into()])
        .chain(args)
        .collect();
    gateway.restart().await
}

/// A day begins on the box's street, and somebody watches its camera.
async fn busy(world: &World, camera: &CameraId) -> anyhow::Result<(AbortHandle, Viewer)> {
    let street = world.boxes[0].street.clone();
    let plan = Plan::day(1, world.clock.now());
    let day = simulate(&street, &plan, &mut devices(&street));
    let playing = world.play(0, day.uplinks).abort_handle();
    let mut viewer = watch(world, camera).await?;
    chunk(&mut viewer).await?;
    Ok((playing, viewer))
}

/// Waits until the viewer is told that records come first; then, but for what is on its way, no media comes.
async fn held(viewer: &mut Viewer) -> anyhow::Result<()> {
    let is_held = |message: &Message| matches!(message, Message::State(state) if state.state == HELD);
    let begin = Instant::now();
    while !is_held(&viewer.next(PATIENCE).await?.context("the view was closed")?) {
        anyhow::ensure!(begin.elapsed() < PATIENCE, "video goes on while records wait");
    }
    let told = Instant::now();
    while let Some(left) = HELD_FOR.checked_sub(told.elapsed()) {
        match tokio::time::timeout(left, viewer.next(PATIENCE)).await {
            Ok(Ok(Some(Message::Chunk(_)))) => {
                anyhow::ensure!(
                    told.elapsed() < ON_ITS_WAY,
                    "video goes on after viewers were told that it waits"
                );
            }
            Ok(Ok(Some(_))) | Err(_) => {}
            Ok(Ok(None)) => anyhow::bail!("the view was closed"),
            Ok(Err(error)) => return Err(error),
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_pages_make_the_box_hold_one_connection_and_a_click_uses_it() -> anyhow::Result<()> {
    let (mut world, camera) = counted_world(1).await?;
    await_waiting(&mut world).await?;
    let (portal, id) = (world.city.addresses[0], world.boxes[0].id.clone());
    let pages = (0..50).map(|_| show_page(portal, &id));
    futures::future::try_join_all(pages).await?;
    let mut viewer = watch(&world, &camera).await?;
    let expected = [
        format!("stream {camera} 640x360"),
        "init".to_owned(),
        "keyframe".to_owned(),
    ];
    assert_eq!(chunk(&mut viewer).await?, expected);
    assert_eq!(dialled(&world)?, 1, "the stream came on the connection that waited");
    drop(viewer);
    let gateway = &mut world.boxes[0].gateway;
    gateway.wait_for_line("the city watched", PATIENCE).await?;
    let log = gateway.log_of_this_run()?;
    assert_eq!(
        log.matches("a stream begins on the connection that waited").count(),
        1,
        "{log}"
    );
    // The connection closed with its stream; a page that is still open has another one made.
    let begin = Instant::now();
    while dialled(&world)? < 2 {
        anyhow::ensure!(begin.elapsed() < PATIENCE, "no second connection");
        show_page(portal, &id).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_no_page_prolongs_is_closed_at_the_end_of_its_time() -> anyhow::Result<()> {
    let (mut world, camera) = counted_world(1).await?;
    await_waiting(&mut world).await?;
    let over = "the connection that waited is over";
    let minute = Duration::from_secs(60);
    world.boxes[0].gateway.wait_for_line(over, minute + PATIENCE).await?;
    let of_city = "a connection that waited is over";
    let line = world.city.kominfo[0].wait_for_line(of_city, PATIENCE).await?;
    assert!(!line.contains("end="), "the box ended it, not the city: {line}");
    assert_eq!(dialled(&world)?, 1);
    let mut viewer = watch(&world, &camera).await?;
    assert_eq!(chunk(&mut viewer).await?.last().map(String::as_str), Some("keyframe"));
    assert_eq!(dialled(&world)?, 2, "without one that waits, the box dials");
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_that_is_forged_old_repeated_or_for_elsewhere_makes_no_connection() -> anyhow::Result<()> {
    let (mut world, camera) = counted_world(1).await?;
    // Then the box listens to commands.
    chunk(&mut watch(&world, &camera).await?).await?;
    let before = dialled(&world)?;
    let id = world.boxes[0].id.clone();
    let ready = |server: &str| {
        let server = server.to_owned();
        let ttl = Duration::from_secs(60);
        Order::Ready(Ready { ttl, server })
    };
    let own = ready(&world.city.live[0]);
    let mut forged = signed(&world.city, &id, own.clone(), unix_ms())?;
    let place = forged.iter().position(|byte| *byte == b'6').context("no digit")?;
    forged[place] = b'7';
    let elsewhere = signed(&world.city, &id, ready("portal.example.id:8443"), unix_ms() + 1)?;
    let old = signed(&world.city, &id, own.clone(), unix_ms() - 120_000)?;
    for (payload, refusal) in [
        (&forged, "a command of the city is refused"),
        (&elsewhere, "its server is not in far_view.servers"),
        (&old, "command was issued before one that was taken already"),
    ] {
        send(&world.city, &id, payload)?;
        world.boxes[0].gateway.wait_for_line(refusal, PATIENCE).await?;
    }
    assert_eq!(dialled(&world)?, before);
    // A good one is taken once. The city has not issued it, so it does not take the connection.
    let good = signed(&world.city, &id, own, unix_ms() + 1_000)?;
    send(&world.city, &id, &good)?;
    let gateway = &mut world.boxes[0].gateway;
    let refused = gateway.wait_for_line("no connection waits", PATIENCE).await?;
    assert!(refused.contains("403"), "{refused}");
    let stale = "command was issued before";
    let known = gateway.log_of_this_run()?.matches(stale).count();
    send(&world.city, &id, &good)?;
    let begin = Instant::now();
    while world.boxes[0].gateway.log_of_this_run()?.matches(stale).count() == known {
        anyhow::ensure!(begin.elapsed() < PATIENCE, "a repeated command is not refused");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(dialled(&world)?, before + 1);
    world.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_whose_records_wait_dials_for_no_connection() -> anyhow::Result<()> {
    let (mut world, camera) = counted_world(240).await?;
    let (playing, _viewer) = busy(&world, &camera).await?;
    // It cosigns nothing any more, while the broker goes on bringing commands.
    let city = world.city.kominfo[0].pid().context("no kominfo")?;
    kill_process(city, Signal::STOP)?;
    tokio::time::sleep(RECEIPT_WAIT + Duration::from_secs(5)).await;
    let before = dialled(&world)?;
    let order = Order::Ready(Ready {
        ttl: Duration::from_secs(10),
        server: world.city.live[0].clone(),
    });
    let id = world.boxes[0].id.clone();
    let command = signed(&world.city, &id, order, unix_ms())?;
    let sent = send(&world.city, &id, &command);
    let told = "no connection waits: records come first";
    let told = world.boxes[0].gateway.wait_for_line(told, PATIENCE).await;
    let after = dialled(&world)?;
    kill_process(city, Signal::CONT)?;
    sent?;
    told?;
    assert_eq!(before, after, "the box dialled while records waited");
    playing.abort();
    world.stop().await
}
