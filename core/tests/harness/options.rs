//! The command line of a broker under test.

/// `corelane serve` without its address and directory.
#[derive(Clone, Debug)]
pub struct Options {
    pub shards: usize,
    pub durability: &'static str,
    pub default_partitions: u32,
    pub auto_create_topics: bool,
    pub max_request_bytes: u64,
    pub cache_bytes: u64,
    /// What else stands on its command line.
    pub more: Vec<String>,
    /// Where metrics are served; `None` leaves it to the broker.
    pub http_listen: Option<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            shards: 2,
            durability: "default",
            default_partitions: 4,
            auto_create_topics: true,
            max_request_bytes: 16 << 20,
            cache_bytes: 64 << 20,
            more: Vec::new(),
            // Brokers that run side by side would fight for one port.
            http_listen: Some("none"),
        }
    }
}

impl Options {
    /// The arguments, `serve` first.
    pub fn arguments(&self, listen: &str, data_dir: &str) -> Vec<String> {
        let pairs = [
            ("--listen", listen.to_string()),
            ("--data-dir", data_dir.to_string()),
            ("--shards", self.shards.to_string()),
            ("--durability", self.durability.to_string()),
            ("--default-partitions", self.default_partitions.to_string()),
            ("--auto-create-topics", self.auto_create_topics.to_string()),
            ("--max-request-bytes", self.max_request_bytes.to_string()),
            ("--cache-bytes", self.cache_bytes.to_string()),
        ];
        let http = self.http_listen.map(str::to_string);
        std::iter::once("serve".to_string())
            .chain(pairs.into_iter().flat_map(|(name, value)| [name.to_string(), value]))
            .chain(http.into_iter().flat_map(|place| ["--http-listen".to_string(), place]))
            .chain(self.more.iter().cloned())
            .collect()
    }
}
