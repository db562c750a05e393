//! GStreamer's plugins, loaded one by one when first needed.
//!
//! GStreamer's own way is a registry of all plugins of the machine: more than 4 MB in each worker, for a stream that needs
//! none of them. So the parent switches the registry off (`GST_REGISTRY_DISABLE`), and what a mode
//! needs is loaded here. The muxer is part of this program, and appsrc and appsink of a library that it links.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gateway::cameras::plugins::NEEDED;
pub use gateway::cameras::plugins::Plugin;
use gstreamer as gst;

/// Prints the version, and the file of each missing plugin on a line (the mode `plugins`).
pub fn tell_missing() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", env!("CARGO_PKG_VERSION"))?;
    for plugin in NEEDED {
        if find(plugin).is_none() {
            writeln!(out, "{}", plugin.file())?;
        }
    }
    Ok(())
}

fn find(plugin: Plugin) -> Option<PathBuf> {
    let file = plugin.file();
    folders()
        .iter()
        .map(|folder| folder.join(&file))
        .find(|path| path.exists())
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
