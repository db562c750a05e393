//! A system call that no kept crate wraps: whether the kernel holds its clock for synchronised.

/// Whether an NTP or PTP daemon disciplines the kernel's clock now (`STA_UNSYNC` not set; see `adjtimex(2)`).
#[allow(unsafe_code)] // `adjtimex` has no safe wrapper; it reads into the zeroed struct and changes nothing with modes = 0.
pub fn is_synchronised() -> bool {
    // SAFETY: `timex` is plain old data for which all-zero is valid, and `modes` = 0 makes the call a pure query.
    let (state, status) = unsafe {
        let mut query: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&raw mut query);
        (state, query.status)
    };
    state >= 0 && state != libc::TIME_ERROR && status & libc::STA_UNSYNC == 0
}
