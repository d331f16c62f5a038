//! The command line, as the broker configs that clients can ask for.

use super::address::Advertised;
use super::launch::NODE_ID;
use crate::catalog::config::Settings;
use crate::cli::ServeOptions;

/// What `options` say.
pub fn settings(options: &ServeOptions, advertised: &Advertised) -> Settings {
    let Advertised { host, port } = advertised;
    let mut settings = Settings::new(options.durability.into());
    let mut set = |name, value: String, option| settings.set(name, value, options.is_told(option));
    set("listeners", format!("PLAINTEXT://{}", options.listen), "listen");
    set("advertised.listeners", format!("PLAINTEXT://{host}:{port}"), "advertise");
    set("log.dirs", options.data_dir.display().to_string(), "data_dir");
    set("num.partitions", options.default_partitions.to_string(), "default_partitions");
    set("auto.create.topics.enable", options.auto_create_topics.to_string(), "auto_create_topics");
    set("socket.request.max.bytes", options.max_request_bytes.to_string(), "max_request_bytes");
    settings.set("log.dir", options.data_dir.display().to_string(), false);
    settings.set("node.id", NODE_ID.to_string(), false);
    settings.set("broker.id", NODE_ID.to_string(), false);
    settings
}
