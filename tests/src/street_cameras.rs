//! Cameras of a [`Street`](crate::street::Street): which spaces they see, how simulator and box are told, and pictures in
//! which vehicles come and go when they truly do.
//!
//! One `camera-simulator` serves all cameras of a box.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use parking::{CameraId, IdError, SpaceId, Timestamp, VehicleClass};
use rand::Rng;
use rand::distr::Alphanumeric;

use crate::box_page::write_password;
use crate::camera_simulator::CameraSimulator;
use crate::clock::SimulatedClock;
use crate::process::free_address;
use crate::truth::Truth;

/// Characters of the page's password.
const PASSWORD_CHARS: usize = 12;

/// A camera and what it sees.
#[derive(Debug, Clone)]
pub struct StreetCamera {
    /// Its name, in box and simulator.
    pub id: CameraId,
    /// Its name on screens.
    pub title: String,
    /// The spaces in its picture.
    pub spaces: Vec<SpaceId>,
    /// How its streams are coded.
    pub coding: Coding,
}

/// How the streams of a camera are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding {
    /// Frames a second.
    pub fps: u32,
    /// Frames from keyframe to keyframe.
    pub gop: u32,
    /// Rate of the sub stream, kilobits a second. It has 640x360 pixels.
    pub sub_kbit: u32,
}

impl Coding {
    /// Little work for the simulator. A keyframe a second: also on a fast clock one is near to each arrival and departure.
    pub const CHEAP: Self = Self {
        fps: 12,
        gop: 12,
        sub_kbit: 400,
    };
    /// What `gateway cameras probe` asks for: a small sub stream with a keyframe every 2 s.
    pub const TYPICAL: Self = Self {
        fps: 15,
        gop: 30,
        sub_kbit: 500,
    };
}

/// Where a box with cameras finds what belongs to them.
#[derive(Debug, Clone)]
pub struct CameraFiles {
    /// Where the cameras are.
    pub cameras: SocketAddr,
    /// Where the box's page is to be.
    pub page: SocketAddr,
    /// The hash of its password.
    pub password_file: PathBuf,
    /// The city's key for commands.
    pub command_vkey: PathBuf,
    /// Servers that live views may go to, `HOST:PORT`.
    pub servers: Vec<String>,
}

/// `number` cameras in a row, each of which sees its part of the spaces.
pub fn along(spaces: &[SpaceId], number: usize) -> Result<Vec<StreetCamera>, IdError> {
    let part = spaces.len().div_ceil(number.max(1)).max(1);
    let camera = |(index, spaces): (usize, &[SpaceId])| {
        Ok(StreetCamera {
            id: CameraId::new(format!("kamera-{}", index + 1))?,
            title: format!("Jalan Simulasi {}–{}", index * part + 1, index * part + spaces.len()),
            spaces: spaces.to_vec(),
            coding: Coding::CHEAP,
        })
    };
    spaces.chunks(part).enumerate().map(camera).collect()
}

/// The part of `box.toml` that is about cameras.
pub fn write_box(text: &mut String, cameras: &[StreetCamera], files: &CameraFiles) -> std::fmt::Result {
    // Test machines have small disks; a box leaves two GiB free.
    writeln!(text, "[video]\nfree_mib_min = 256\n")?;
    writeln!(text, "[page]\nlisten = \"{}\"", files.page)?;
    writeln!(text, "password_file = \"{}\"\n", files.password_file.display())?;
    writeln!(text, "[far_view]\ncommand_vkey = \"{}\"", files.command_vkey.display())?;
    writeln!(text, "servers = {}\n", quoted(&files.servers))?;
    for StreetCamera { id, title, spaces, .. } in cameras {
        writeln!(
            text,
            "[[cameras]]\nid = \"{id}\"\nname = \"{title}\"\nhost = \"{}\"",
            files.cameras
        )?;
        writeln!(
            text,
            "main = \"/{id}/main\"\nsub = \"/{id}/sub\"\nspaces = {}\n",
            quoted(spaces)
        )?;
    }
    Ok(())
}

/// The simulator's file. Sizes and rates are such that a few cameras need little of a core.
fn simulator_toml(cameras: &[StreetCamera]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for StreetCamera { id, spaces, coding, .. } in cameras {
        let Coding { fps, gop, sub_kbit } = coding;
        writeln!(text, "[[camera]]\nname = \"{id}\"\nspaces = {}", quoted(spaces))?;
        for (stream, width, height, kbit) in [("main", 960, 540, 900), ("sub", 640, 360, *sub_kbit)] {
            writeln!(
                text,
                "[camera.{stream}]\ncodec = \"h264\"\nwidth = {width}\nheight = {height}"
            )?;
            writeln!(
                text,
                "fps = {fps}\ngop = {gop}\nbitrate_kbit = {kbit}\nsource = \"drawn\""
            )?;
        }
    }
    Ok(text)
}

fn quoted<T: ToString>(values: &[T]) -> String {
    let quoted: Vec<String> = values
        .iter()
        .map(|value| format!("\"{}\"", value.to_string()))
        .collect();
    format!("[{}]", quoted.join(", "))
}

/// Makes up a password for the box's page and writes its hash, as a technician would.
pub fn make_password(file: &Path) -> anyhow::Result<String> {
    let random = rand::rng().sample_iter(Alphanumeric).take(PASSWORD_CHARS);
    let password: String = random.map(char::from).collect();
    write_password(file, &password)?;
    Ok(password)
}

/// Cameras of one box, its page and what they need.
#[derive(Debug)]
pub struct RoadsideCameras {
    /// The cameras' simulator.
    pub simulator: CameraSimulator,
    /// Where the box's page is.
    pub page: SocketAddr,
    /// Its password.
    pub password: String,
}

impl RoadsideCameras {
    /// Starts the simulator and makes the files that the box needs. `servers`: where live views may go.
    pub async fn start(
        folder: &Path,
        cameras: &[StreetCamera],
        command_vkey: &Path,
        servers: Vec<String>,
    ) -> anyhow::Result<(Self, CameraFiles)> {
        let simulator = CameraSimulator::start(folder, &simulator_toml(cameras)?).await?;
        let password_file = folder.join("page.password");
        let password = make_password(&password_file)?;
        let page = free_address()?;
        let files = CameraFiles {
            cameras: simulator.address,
            page,
            password_file,
            command_vkey: command_vkey.to_owned(),
            servers,
        };
        let cameras = Self {
            simulator,
            page,
            password,
        };
        Ok((cameras, files))
    }
}

/// Lets vehicles come and go in the pictures when they truly do.
pub async fn play(
    simulator: &CameraSimulator,
    cameras: &[StreetCamera],
    truth: &Truth,
    clock: SimulatedClock,
) -> anyhow::Result<()> {
    for (at, camera, space, class) in changes(cameras, truth) {
        clock.reach(at).await;
        simulator.show(camera, space, class).await?;
    }
    Ok(())
}

type Change<'a> = (Timestamp, &'a CameraId, &'a SpaceId, Option<VehicleClass>);

fn changes<'a>(cameras: &'a [StreetCamera], truth: &'a Truth) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for session in &truth.sessions {
        for camera in cameras.iter().filter(|camera| camera.spaces.contains(&session.space)) {
            changes.push((session.start, &camera.id, &session.space, Some(session.class)));
            changes.push((session.end, &camera.id, &session.space, None));
        }
    }
    changes.sort_by_key(|(at, ..)| *at);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::city::{Plan, devices, simulate};
    use crate::street::Street;

    #[test]
    fn each_space_is_seen_by_one_camera() {
        let street = Street::new("sim-01", 1, 10, 2).unwrap().with_cameras(4).unwrap();
        let seen: Vec<&SpaceId> = street.cameras.iter().flat_map(|camera| &camera.spaces).collect();
        let spaces: Vec<&SpaceId> = street.site.spaces.iter().map(|space| &space.id).collect();
        assert_eq!((street.cameras.len(), seen), (4, spaces));
    }

    #[test]
    fn whoever_comes_into_a_picture_leaves_it_later() {
        let street = Street::new("sim-01", 1, 10, 2).unwrap().with_cameras(4).unwrap();
        let start = "2026-01-05T00:00:00+07:00".parse().unwrap();
        let day = simulate(&street, &Plan::day(7, start), &mut devices(&street));
        let changes = changes(&street.cameras, &day.truth);
        assert_eq!(changes.len(), 2 * day.truth.sessions.len());
        let mut standing = std::collections::BTreeSet::new();
        for (_, _, space, class) in changes {
            assert!(if class.is_some() {
                standing.insert(space)
            } else {
                standing.remove(space)
            });
        }
        assert!(standing.is_empty());
    }
}
