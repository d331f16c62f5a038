//! What is mounted where (proc_pid_mountinfo(5)).

use std::path::{Path, PathBuf};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Device number, major and minor; major 0 of a file system without a device of its own.
    pub device: (u32, u32),
    pub point: PathBuf,
    pub filesystem: String,
    /// As it was given to mount(8), "/dev/sda1" or "server:/export".
    pub source: String,
}

/// The mount that `path` (absolute, without links) lies on: the deepest one, of those the last.
pub(super) fn mount_of(mountinfo: &str, path: &Path) -> Option<Mount> {
    let mounts = mountinfo.lines().filter_map(parse);
    mounts
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count())
}

fn parse(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let front: Vec<&str> = front.split(' ').collect();
    let mut back = back.split(' ');
    let (filesystem, source) = (back.next()?, back.next()?);
    let (major, minor) = front.get(2)?.split_once(':')?;
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        point: PathBuf::from(unescape(front.get(4)?)),
        filesystem: filesystem.to_owned(),
        source: unescape(source),
    })
}

/// Spaces, tabs, newlines and backslashes are written as octal numbers.
fn unescape(text: &str) -> String {
    let mut out = text.to_owned();
    for (code, plain) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        out = out.replace(code, plain);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n\
         25 27 0:23 / /dev/shm rw - tmpfs tmpfs rw,size=1k\n\
         40 27 8:17 / /mnt/my\\040disk ro,noatime shared:7 - xfs /dev/sdb1 rw\n\
         41 27 0:50 / /srv rw - nfs4 server:/export rw,vers=4.2\n\
         not a mount\n";

    #[test]
    fn the_deepest_mount_counts() {
        let of = |path: &str| {
            let mount = mount_of(MOUNTS, Path::new(path)).unwrap();
            (mount.filesystem, mount.device)
        };
        assert_eq!(of("/var/lib"), ("ext4".to_owned(), (254, 0)));
        assert_eq!(of("/dev/shm/x"), ("tmpfs".to_owned(), (0, 23)));
        assert_eq!(of("/dev/shmx"), ("ext4".to_owned(), (254, 0)));
        assert_eq!(of("/mnt/my disk/d"), ("xfs".to_owned(), (8, 17)));
        assert_eq!(of("/srv"), ("nfs4".to_owned(), (0, 50)));
        assert_eq!(mount_of("", Path::new("/")), None);
    }
}
