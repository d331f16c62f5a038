//! The control groups of this process, versions 1 and 2 (cgroups(7)).
//!
//! A limit of any group above counts too, so all of them are asked. In a container the path that
//! /proc names may lie outside what is mounted: then the mounted top is the container's own group.

use std::path::{Path, PathBuf};

use crate::root::Root;

/// All values of `file` from the process's own group of the version-2 hierarchy up to its top.
pub(super) fn version_2(root: &Root, file: &str) -> Vec<String> {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .iter()
        .flat_map(|mount| values(root, mount, &own_path(root, ""), file))
        .collect()
}

/// The same of version 1's `controller`.
pub(super) fn version_1(root: &Root, controller: &str, file: &str) -> Vec<String> {
    let mount = format!("/sys/fs/cgroup/{controller}");
    values(root, &mount, &own_path(root, controller), file)
}

/// The group's path that /proc/self/cgroup has for `controller`; "" is version 2.
fn own_path(root: &Root, controller: &str) -> PathBuf {
    let text = root.text("/proc/self/cgroup").unwrap_or_default();
    let path = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        controllers.split(',').any(|name| name == controller).then_some(path)
    });
    PathBuf::from(path.unwrap_or("/"))
}

fn values(root: &Root, mount: &str, group: &Path, file: &str) -> Vec<String> {
    let groups = group.ancestors().map(|path| path.to_string_lossy().into_owned());
    groups
        .filter_map(|path| root.text(&format!("{mount}/{}/{file}", path.trim_matches('/'))).ok())
        .collect()
}
