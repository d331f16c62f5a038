//! ApiVersions: which versions there are, and what one that is not gets.

use corelane_net::messages::{Api, ApiVersionsRequest};

use crate::harness::wire;
use crate::stage::Stage;

pub fn play(stage: &mut Stage<'_>) {
    let named = |name: &str, version: &str| ApiVersionsRequest {
        client_software_name: name.into(),
        client_software_version: version.into(),
        ..ApiVersionsRequest::default()
    };
    stage.ask_at(&[0, 1, 2, 3, 4], "a good client", named("differential", "1.0"));
    for (step, name, version) in [
        ("no name", "", "1.0"),
        ("a name with a blank", "two words", "1.0"),
        ("a version with a slash", "client", "1/0"),
    ] {
        stage.ask(&format!("v3: {step}"), 3, named(name, version));
    }
    // KIP-511: any version that the broker does not know is answered as version 0.
    // From version 3 on the header ends in tagged fields: none here, then a name, a version, no tagged fields.
    let body = [&[0, 2][..], b"c", &[2], b"1", &[0]].concat();
    for version in [5, 6, 99, i16::MAX, -1] {
        let body = body.clone();
        let raw = wire::Request { api_key: Api::ApiVersions.key(), version, body };
        stage.ask_raw(&format!("version {version}"), &raw, Api::ApiVersions, 0);
    }
    for (api_key, version) in [(3, 99), (3, -1), (0, 2), (1, 3), (2, 0), (19, 1), (999, 0), (4, 0)]
    {
        let raw = wire::Request { api_key, version, body: vec![0; 32] };
        stage.ask_raw(&format!("API {api_key} version {version}"), &raw, Api::ApiVersions, 0);
    }
}
