//! The disk and the filesystem under a directory, as the kernel calls them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What lies under a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Disk {
    /// Type of the filesystem, as `ext4`.
    pub filesystem: String,
    /// What it is mounted from, as `/dev/nvme0n1p1`.
    pub device: String,
    /// The disk's model, where it has one.
    pub model: String,
    /// True for a disk that turns.
    pub is_rotational: bool,
}

impl Disk {
    /// Under `dir`, if the kernel tells.
    pub fn under(dir: &Path) -> Option<Disk> {
        let dir = dir.canonicalize().ok()?;
        let dev = fs::metadata(&dir).ok()?.dev();
        let (major, minor) = (libc::major(dev), libc::minor(dev));
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let (filesystem, device) = mounted(&mounts, &dir.to_string_lossy())?;
        let block = Path::new("/sys/dev/block").join(format!("{major}:{minor}"));
        let block = block.canonicalize().ok();
        // Of a partition, the disk is the directory above.
        let disk = block.as_deref().map(|block| match block.join("partition").exists() {
            true => block.parent().unwrap_or(block).to_owned(),
            false => block.to_owned(),
        });
        let read = |name: &str| {
            let text = disk.as_ref().and_then(|disk| fs::read_to_string(disk.join(name)).ok());
            text.unwrap_or_default().trim().to_owned()
        };
        Some(Disk {
            filesystem,
            device,
            model: read("device/model"),
            is_rotational: read("queue/rotational") == "1",
        })
    }
}

/// Type and source of the innermost mount that `dir` lies in, of lines `id parent major:minor root
/// mount-point options ... - type source options`.
fn mounted(mounts: &str, dir: &str) -> Option<(String, String)> {
    let mount = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?.replace("\\040", " ");
        let mut after = after.split(' ');
        let is_inside = point == "/"
            || dir
                .strip_prefix(&point)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        is_inside.then_some((point.len(), after.next()?.to_owned(), after.next()?.to_owned()))
    };
    // Of two mounts on the same point the later one is seen.
    let innermost = mounts.lines().filter_map(mount).max_by_key(|(depth, ..)| *depth);
    innermost.map(|(_, filesystem, device)| (filesystem, device))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Disk, mounted};

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
            30 22 0:26 / /da rw - tmpfs tmpfs rw\n\
            31 22 0:27 / /data rw - xfs /dev/vdb rw\n\
            32 31 0:28 / /data/a\\040b rw - btrfs /dev/vdc rw\nnonsense\n";
        let found = |dir| mounted(mounts, dir).map(|(filesystem, _)| filesystem);
        assert_eq!(found("/data/x").as_deref(), Some("xfs"));
        assert_eq!(found("/data").as_deref(), Some("xfs"));
        assert_eq!(found("/data/a b/c").as_deref(), Some("btrfs"));
        assert_eq!(found("/dat").as_deref(), Some("ext4"));
        assert_eq!(mounted("", "/"), None);
        let here = Disk::under(Path::new(".")).unwrap();
        assert!(!here.filesystem.is_empty(), "{here:?}");
        assert_eq!(Disk::under(Path::new("/absent/of/course")), None);
    }
}
