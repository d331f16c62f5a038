//! The kernel and io_uring.

use std::io;

use super::{Check, Finding};
use crate::facts::Facts;

/// The oldest Linux that a broker starts on. Older ones have io_uring too, but without what the
/// rings are set up with (6.0, 6.1), and with faults in it that were mended later.
pub const KERNEL_MIN: (u32, u32) = (6, 1);

pub(super) fn kernel(facts: &Facts) -> Finding {
    let check = Check("kernel");
    let (major, minor) = match &facts.kernel {
        Ok(kernel) => *kernel,
        Err(reason) => return check.unknown(reason),
    };
    let value = format!("Linux {major}.{minor}");
    if (major, minor) >= KERNEL_MIN {
        return check.fine(value);
    }
    let (least_major, least_minor) = KERNEL_MIN;
    check.prevents(
        &value,
        format!("{value} is too old: Corelane needs Linux {least_major}.{least_minor} or later"),
        "install a newer kernel and boot it, for example: apt-get install linux-image-amd64",
    )
}

pub(super) fn io_uring(facts: &Facts) -> Finding {
    let check = Check("io-uring");
    let rings = &facts.rings;
    let Some(errno) = rings.errno else {
        return match &rings.missing {
            Err(reason) => check.unknown(reason),
            Ok(missing) if missing.is_empty() => check.fine("has all that is needed"),
            Ok(missing) => check.prevents(
                format!("lacks {}", missing.join(", ")),
                format!("this kernel's io_uring lacks: {}", missing.join(", ")),
                "install a newer kernel and boot it, for example: apt-get install linux-image-amd64",
            ),
        };
    };
    let value = io::Error::from_raw_os_error(errno).to_string();
    let (what, remedy) =
        refusal(errno, rings.disabled.as_ref().ok().copied(), rings.seccomp == Ok(true));
    check.prevents(value, what, remedy)
}

/// Why there is no ring, and what to do.
fn refusal(errno: i32, disabled: Option<u8>, seccomp: bool) -> (String, &'static str) {
    if matches!(disabled, Some(1 | 2)) && errno == libc::EPERM {
        return (
            "io_uring is switched off on this machine (sysctl kernel.io_uring_disabled)".into(),
            "sysctl -w kernel.io_uring_disabled=0   (and in /etc/sysctl.d/ to keep it)",
        );
    }
    if matches!(errno, libc::EPERM | libc::ENOSYS | libc::EACCES) && seccomp {
        return (
            "io_uring is forbidden to this process by a seccomp filter, as containers have it"
                .into(),
            "docker run --security-opt seccomp=unconfined ... (or a profile that allows \
             io_uring_setup, io_uring_enter and io_uring_register)",
        );
    }
    match errno {
        libc::EPERM | libc::EACCES => (
            "io_uring is forbidden to this process (by SELinux, AppArmor or another policy)".into(),
            "ausearch -m avc -ts recent   (and allow io_uring to this program)",
        ),
        libc::ENOSYS => (
            "this kernel was built without io_uring".into(),
            "boot a kernel with CONFIG_IO_URING=y",
        ),
        libc::ENOMEM => (
            "no memory may be locked for io_uring".into(),
            "ulimit -l unlimited   (systemd: LimitMEMLOCK=infinity; docker: --ulimit memlock=-1)",
        ),
        libc::EMFILE | libc::ENFILE => (
            "no file descriptor is left for io_uring".into(),
            "ulimit -n 1048576   (systemd: LimitNOFILE=1048576; docker: --ulimit nofile=1048576)",
        ),
        errno => (
            format!("io_uring can't be set up: {}", io::Error::from_raw_os_error(errno)),
            "dmesg | tail",
        ),
    }
}
