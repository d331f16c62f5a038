//! Tests of the runtime against the real kernel, on the filesystem of the target directory.
