//! Memory goes back to the kernel: a box with a gigabyte shares it with cameras that come and go.
//!
//! glibc's allocator keeps what was freed, for each thread separately, and the more of it the larger the pieces were that
//! a program once asked for (mallopt(3)); video is all large pieces. Two arenas, and pieces of [`LARGE_BYTES`] or more
//! given back as soon as they are freed, cost some page faults a second. `./run bench cameras` prints the memory.

/// Pieces from this size on are asked of the kernel one by one, and go back to it.
const LARGE_BYTES: i32 = 64 * 1_024;
/// Arenas: one for each of the threads that do most.
const ARENAS_MAX: i32 = 2;

/// Settings for a child by its environment, with one arena: workers need no speed there.
pub const CHILD: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ("MALLOC_TRIM_THRESHOLD_", "65536"),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_gets_the_same_size() {
        assert!(CHILD[1..].iter().all(|(_, value)| *value == LARGE_BYTES.to_string()));
    }
}
