//! Cameras, the page and views from the city, in plain words.

use std::fmt::{self, Write as _};

use super::{Summary, bytes, count};
use crate::config::{Camera, Page};

impl Summary<'_> {
    pub(super) fn write_cameras(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config;
        if !config.cameras.is_empty() {
            let video = &config.video;
            write!(
                f,
                "cameras  {}, recordings in {}",
                config.cameras.len(),
                video.ring_dir.display()
            )?;
            if let Some(disk) = self.disk {
                write!(f, " ({disk})")?;
            }
            writeln!(
                f,
                ", evidence up to {} or {} days, {} stay free",
                bytes(video.evidence_bytes_max),
                video.evidence_age_max.as_secs() / 86_400,
                bytes(video.free_bytes_min)
            )?;
            config
                .cameras
                .iter()
                .try_for_each(|camera| writeln!(f, "  {}", line(camera)))?;
        }
        if let Some(Page { listen, .. }) = &config.page {
            writeln!(f, "page     http://{listen}, plain HTTP")?;
        }
        if let Some(far_view) = &config.far_view {
            let servers: Vec<&str> = far_view
                .servers
                .iter()
                .chain(&far_view.media_servers)
                .map(String::as_str)
                .collect();
            writeln!(
                f,
                "far view to {}, up to {} kbit/s and {} min a command",
                if servers.is_empty() {
                    "no server".to_owned()
                } else {
                    servers.join(", ")
                },
                far_view.kbit_max,
                far_view.duration_max.as_secs() / 60
            )?;
        }
        Ok(())
    }
}

fn line(camera: &Camera) -> String {
    let there = |is_there: bool, name: &'static str| is_there.then_some(name);
    let streams = [there(camera.sub.is_some(), "sub"), there(camera.main.is_some(), "main")];
    let recorded = [there(camera.record.sub, "sub"), there(camera.record.main, "main")];
    let names = |of: [Option<&'static str>; 2]| of.into_iter().flatten().collect::<Vec<_>>().join(" and ");
    let mut line = format!(
        "{} ({}): {} of {}",
        camera.id,
        camera.title,
        names(streams),
        camera.host
    );
    let recorded = names(recorded);
    if recorded.is_empty() {
        line.push_str(", not recorded");
    } else {
        let hours = camera.ring.age_max.as_secs() / 3_600;
        let size = bytes(camera.ring.bytes_max);
        write!(line, ", {recorded} recorded up to {size} or {hours} h").unwrap_or_default();
    }
    let spaces = count(camera.spaces.len(), "space");
    write!(line, "; sees {spaces}, {}", count(camera.masks.len(), "mask")).unwrap_or_default();
    line
}
