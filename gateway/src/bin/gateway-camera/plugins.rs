//! GStreamer's plugins, loaded one by one when first needed.
//!
//! GStreamer's own way is a registry of all plugins of the machine, some 1,500 elements: 4 MB in each worker, for a
//! stream that needs none of them. So the parent switches the registry off (`GST_REGISTRY_DISABLE`), and what a mode
//! needs is loaded here. The muxer is part of this program, and appsrc and appsink of a library that it links.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gstreamer as gst;

/// A plugin, and the Debian package that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// Parsers of H.264 and H.265.
    Parsers,
    /// Decoding times for streams with B-frames.
    Timestamper,
    /// Small elements that others are made of.
    Core,
    /// RTSP client.
    Rtsp,
    /// RTSP client that sends.
    RtspRecord,
    /// RTP payloads.
    Rtp,
    /// RTP sessions.
    RtpManager,
    /// UDP.
    Udp,
    /// MP4 demuxer.
    Mp4,
    /// Hardware decoders (Video4Linux).
    Video4Linux,
    /// Decoder of H.264.
    OpenH264,
    /// Decoder of H.265.
    De265,
    /// Decoders of H.264 and H.265 that take whatever there is.
    Libav,
    /// Conversion of pixel formats.
    Convert,
}

impl Plugin {
    /// Name of the file without `libgst` and `.so`; Debian package.
    fn whereabouts(self) -> (&'static str, &'static str) {
        match self {
            Self::Parsers => ("videoparsersbad", "gstreamer1.0-plugins-bad"),
            Self::Timestamper => ("codectimestamper", "gstreamer1.0-plugins-bad"),
            Self::Core => ("coreelements", "libgstreamer1.0-0"),
            Self::Rtsp => ("rtsp", "gstreamer1.0-plugins-good"),
            Self::RtspRecord => ("rtspclientsink", "gstreamer1.0-rtsp"),
            Self::Rtp => ("rtp", "gstreamer1.0-plugins-good"),
            Self::RtpManager => ("rtpmanager", "gstreamer1.0-plugins-good"),
            Self::Udp => ("udp", "gstreamer1.0-plugins-good"),
            Self::Mp4 => ("isomp4", "gstreamer1.0-plugins-good"),
            Self::Video4Linux => ("video4linux2", "gstreamer1.0-plugins-good"),
            Self::OpenH264 => ("openh264", "gstreamer1.0-plugins-bad"),
            Self::De265 => ("de265", "gstreamer1.0-plugins-bad"),
            Self::Libav => ("libav", "gstreamer1.0-libav"),
            Self::Convert => ("videoconvertscale", "gstreamer1.0-plugins-base"),
        }
    }
}

/// Loads what has not been loaded yet.
pub fn load(plugins: &[Plugin]) -> anyhow::Result<()> {
    static LOADED: Mutex<Vec<Plugin>> = Mutex::new(Vec::new());
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    for plugin in plugins {
        if loaded.contains(plugin) {
            continue;
        }
        let (name, package) = plugin.whereabouts();
        let file = format!("libgst{name}.so");
        let folders = folders();
        let Some(path) = folders
            .iter()
            .map(|folder| folder.join(&file))
            .find(|path| path.exists())
        else {
            let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
            anyhow::bail!(
                "GStreamer's plugin {file} is not in {}\n  hint: apt install {package}",
                folders.join(", ")
            );
        };
        gst::Plugin::load_file(&path)
            .map_err(|error| anyhow::anyhow!("GStreamer cannot load {}: {error}", path.display()))?;
        loaded.push(*plugin);
    }
    Ok(())
}

/// Where plugins are: where GStreamer's variables say, else beside the library that this program has loaded.
fn folders() -> Vec<PathBuf> {
    let listed = |name: &str| std::env::var_os(name).map(|value| std::env::split_paths(&value).collect::<Vec<_>>());
    let mut folders = listed("GST_PLUGIN_PATH").unwrap_or_default();
    let of_system = listed("GST_PLUGIN_SYSTEM_PATH").or_else(|| {
        std::fs::read_to_string("/proc/self/maps")
            .ok()
            .and_then(|maps| beside_library(&maps))
    });
    folders.extend(of_system.unwrap_or_default());
    folders
}

/// From the kernel's list of what is mapped (proc(5)).
fn beside_library(maps: &str) -> Option<Vec<PathBuf>> {
    let library = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])))
        .find(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("libgstreamer-1.0.so"))
        })?;
    Some(vec![library.parent()?.join("gstreamer-1.0")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_lie_beside_the_library() {
        let maps = "7f0-7f1 r--p 00000000 fe:00 12 /usr/lib/aarch64-linux-gnu/libglib-2.0.so.0.7400.6\n\
                    7f2-7f3 r--p 00000000 fe:00 13                     /usr/lib/aarch64-linux-gnu/libgstreamer-1.0.so.0.2200.0\n";
        let expected = PathBuf::from("/usr/lib/aarch64-linux-gnu/gstreamer-1.0");
        assert_eq!(beside_library(maps), Some(vec![expected]));
        assert_eq!(beside_library("7f0-7f1 rw-p 00000000 00:00 0 [heap]\n"), None);
    }
}
