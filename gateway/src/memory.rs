//! Memory goes back to the kernel: a box with a gigabyte shares it with cameras that come and go.
//!
//! glibc's allocator keeps what was freed, for each thread separately, and the more of it the larger the pieces were that
//! a program once asked for (mallopt(3)); video is all large pieces. Two arenas, and pieces of [`LARGE_BYTES`] or more
//! given back as soon as they are freed, cost some page faults a second. `./run bench cameras` prints the memory.

/// Pieces from this size on are asked of the kernel one by one, and go back to it.
const LARGE_BYTES: i32 = 64 * 1_024;
/// Arenas: one for each of the threads that do most.
const ARENAS_MAX: i32 = 2;

/// The same for a worker, by its environment; with one arena, for it needs no speed there.
const WORKER: &str = "glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=65536:glibc.malloc.trim_threshold=65536";
/// For the one that decodes. A decoder wants 30 MB of zeros for one picture of 1080p, and in pages of 4 KiB the kernel
/// takes longer to give them than the decoder to decode. Out of one heap, which grows by pages of 2 MiB where the kernel
/// has them, a picture takes less than half the time; then the heap is [given back](give_back).
const DECODER: &str = "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:\
                       glibc.malloc.trim_threshold=2097152";

/// Settings for a worker, as its environment.
pub fn of_worker(decodes: bool) -> (&'static str, &'static str) {
    ("GLIBC_TUNABLES", if decodes { DECODER } else { WORKER })
}

/// Settings for this process; before threads are started. Does nothing with another C library.
pub fn set_up() {
    #[cfg(target_env = "gnu")]
    {
        #[allow(unsafe_code)] // `mallopt` has no safe wrapper; it sets numbers of the allocator and reads no memory.
        // SAFETY: called with constants, before other threads exist.
        let done = unsafe {
            [
                libc::mallopt(libc::M_ARENA_MAX, ARENAS_MAX),
                libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES),
                libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE_BYTES),
            ]
        };
        if done.contains(&0) {
            tracing::debug!(?done, "the allocator keeps its own settings");
        }
    }
}

/// Gives what is free back now. Does nothing with another C library.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        #[allow(unsafe_code)] // `malloc_trim` has no safe wrapper; it touches free memory only.
        // SAFETY: safe to call at any time and from any thread (malloc_trim(3)).
        let _any_given = unsafe { libc::malloc_trim(0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_gives_pieces_of_the_same_size_back() {
        let size = format!("mmap_threshold={LARGE_BYTES}:");
        assert!(of_worker(false).1.contains(&size));
        assert!(!of_worker(true).1.contains(' '));
    }
}
