//! io_uring: whether this process may have a ring, and what that can do.

use std::io;

use io_uring::{IoUring, Probe, opcode};

use super::field;
use crate::root::{Fact, Root};

/// The state of io_uring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingFacts {
    /// errno of setting up a tiny ring; `None` if it worked.
    pub errno: Option<i32>,
    /// Operations that a broker needs and this kernel does not have.
    pub missing: Fact<Vec<&'static str>>,
    /// sysctl `kernel.io_uring_disabled`: 0 all may, 1 only CAP_SYS_ADMIN or a group, 2 nobody.
    /// Unknown before Linux 6.6, which does not have it.
    pub disabled: Fact<u8>,
    /// A seccomp filter is active, as in containers.
    pub seccomp: Fact<bool>,
}

/// What the disk ring submits, and what the executor submits or insists on at its start. Ftruncate
/// (Linux 6.9) is not among them: without it a thread does it.
const NEEDED: &[(&str, u8)] = &[
    ("read", opcode::Read::CODE),
    ("write", opcode::Write::CODE),
    ("fsync", opcode::Fsync::CODE),
    ("fallocate", opcode::Fallocate::CODE),
    ("poll", opcode::PollAdd::CODE),
    ("poll removal", opcode::PollRemove::CODE),
    ("cancellation", opcode::AsyncCancel::CODE),
    ("timeout", opcode::Timeout::CODE),
    ("timeout removal", opcode::TimeoutRemove::CODE),
    ("linked timeout", opcode::LinkTimeout::CODE),
    ("readv", opcode::Readv::CODE),
    ("writev", opcode::Writev::CODE),
    ("fixed read", opcode::ReadFixed::CODE),
    ("fixed write", opcode::WriteFixed::CODE),
    ("accept", opcode::Accept::CODE),
    ("connect", opcode::Connect::CODE),
    ("send", opcode::Send::CODE),
    ("recv", opcode::Recv::CODE),
    ("sendmsg", opcode::SendMsg::CODE),
    ("recvmsg", opcode::RecvMsg::CODE),
    ("openat", opcode::OpenAt::CODE),
    ("close", opcode::Close::CODE),
    ("statx", opcode::Statx::CODE),
];

pub(crate) fn gather(root: &Root, status: &Fact<String>) -> RingFacts {
    let (errno, missing) = match IoUring::new(2) {
        Err(cause) => (Some(cause.raw_os_error().unwrap_or(0)), Ok(Vec::new())),
        Ok(ring) => (
            None,
            missing_in(&ring).map_err(|cause| crate::root::Unknown(format!("probe: {cause}"))),
        ),
    };
    RingFacts {
        errno,
        missing,
        disabled: root.number("/proc/sys/kernel/io_uring_disabled"),
        seccomp: field(status, "Seccomp:").map(|mode| mode != "0"),
    }
}

fn missing_in(ring: &IoUring) -> io::Result<Vec<&'static str>> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    let lacks = |(_, code): &&(&'static str, u8)| !probe.is_supported(*code);
    Ok(NEEDED.iter().filter(lacks).map(|(name, _)| *name).collect())
}
