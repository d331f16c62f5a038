#!/usr/bin/env python3
"""Says what a profile's time went to, by kinds of work.

usage: perf record -F 999 -g -p $(pidof corelane) -- sleep 5; perf script | bench/compare/shares.py

A sample counts for the first kind that has a frame in its stack; the kinds are tried in the order below.
"""

import collections
import re
import sys

KINDS = [
    ("page faults", r"asm_exc_page_fault"),
    ("kernel: interrupts (disk done, wake-ups of other cores)", r"asm_sysvec|asm_common_interrupt"),
    ("kernel: recv, the copy", r"_copy_to_iter"),
    ("kernel: recv, the rest", r"sock_recvmsg|__sys_recv"),
    ("kernel: send", r"sock_sendmsg|tcp_sendmsg|__sys_send"),
    ("kernel: splice and sendfile", r"splice"),
    ("kernel: fdatasync", r"fsync|fdatasync"),
    ("kernel: disk, direct writes and reads", r"iomap_dio|ext4_file_(write|read)_iter|blk_mq|io_write|io_read"),
    ("kernel: arming polls and waking from them", r"io_poll|io_arm_|tcp_poll"),
    ("kernel: sleeping and waking", r"\bschedule\b|__schedule|io_cqring_wait|epoll_wait|futex"),
    ("kernel: the rest of io_uring_enter", r"io_uring_enter|io_submit_sqes|tctx_task_work|io_uring"),
    ("kernel: other", r"do_syscall_64|entry_SYSCALL|ret_from_fork"),
    ("memcpy", r"memmove|memcpy"),
    ("memset", r"memset"),
    ("CRC-32C", r"crc_fast|crc32"),
    ("allocator", r"\b_int_free|\bmalloc|\bcfree|_int_malloc|realloc|calloc|unlink_chunk|malloc_consolidate"),
    ("clock", r"clock_gettime"),
    ("executor (glommio)", r"glommio"),
    ("storage", r"corelane_storage"),
    ("net: codec, frames", r"corelane_net"),
    ("broker: API, partition, shard", r"corelane::"),
]


def stacks(lines):
    """The frames of each sample, innermost first."""
    frames = []
    for line in lines:
        if line.startswith((" ", "\t")):
            # address symbol+offset (object)
            match = re.match(r"\s+[0-9a-f]+ (.*) \([^()]*\)$", line.rstrip())
            if match:
                frames.append(match.group(1))
        elif frames:
            yield frames
            frames = []
    if frames:
        yield frames


def kind_of(frames):
    # Leaves such as memcpy are told from who has called them: what is at the top decides.
    leaf = [kind for kind, pattern in KINDS[12:17] if re.search(pattern, frames[0])]
    if leaf:
        return leaf[0]
    for kind, pattern in KINDS:
        if any(re.search(pattern, frame) for frame in frames):
            return kind
    return "unknown"


def main():
    counts = collections.Counter(kind_of(frames) for frames in stacks(sys.stdin))
    total = sum(counts.values())
    if total == 0:
        sys.exit("no samples: perf record -g, perf script | shares.py")
    for kind, count in counts.most_common():
        print(f"{100 * count / total:5.1f} %  {kind}")


main()
