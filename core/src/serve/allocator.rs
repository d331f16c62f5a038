//! How the C library's allocator treats large memory.

/// From here on memory comes from the kernel, and goes back there when it is free: longer than the frames
/// that the shards keep for the next. Left to itself the allocator keeps ever larger pieces once some
/// were freed, up to 32 MiB, and a burst of large requests stays in memory for good.
#[cfg(target_env = "gnu")]
const MAPPED_BYTES_MIN: libc::c_int = 4 << 20;

/// To be called before there is anything large.
pub fn give_large_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes no pointers, and no memory is touched by it.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    }
}
