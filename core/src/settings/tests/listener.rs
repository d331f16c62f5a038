//! Listeners, and the limits on them.

use super::*;

/// The listeners as `NAME bind -> advertised`.
fn listeners(pairs: &[(&str, &str)]) -> Vec<String> {
    let found = Configuration::new(&of_flags(pairs)).unwrap_or_else(|error| panic!("{error}"));
    let words = |one: &Listener| {
        format!("{} {} -> {}", one.name, one.bind, one.advertise.at(one.bind.port))
    };
    found.listeners.iter().map(words).collect()
}

#[test]
fn listeners_have_names_and_what_clients_are_told() {
    let of = |listen, advertise| {
        listeners(&[("listeners", listen), ("advertised.listeners", advertise)])
    };
    assert_eq!(
        listeners(&[("listeners", "127.0.0.1:1,[::1]:2,internal://localhost:3")]),
        [
            "PLAINTEXT 127.0.0.1:1 -> 127.0.0.1:1",
            "LISTENER_2 [::1]:2 -> [::1]:2",
            "INTERNAL localhost:3 -> localhost:3"
        ]
    );
    assert_eq!(of("0.0.0.0:1", "kafka"), ["PLAINTEXT 0.0.0.0:1 -> kafka:1"]);
    assert_eq!(of("IN://0.0.0.0:1", "kafka:9"), ["IN 0.0.0.0:1 -> kafka:9"], "it is the only one");
    assert_eq!(of("[::]:1", "[fd00::1]:9"), ["PLAINTEXT [::]:1 -> [fd00::1]:9"]);
    assert_eq!(of("PLAINTEXT://:1", "fd00::1"), ["PLAINTEXT :1 -> [fd00::1]:1"]);
    assert_eq!(
        of("0.0.0.0:1,OUT://0.0.0.0:2", "in.example.org:7,OUT://out.example.org"),
        ["PLAINTEXT 0.0.0.0:1 -> in.example.org:7", "OUT 0.0.0.0:2 -> out.example.org:2"]
    );
}

#[test]
fn listeners_that_can_not_be_are_refused_each_in_its_words() {
    let of = |listen, advertise| {
        flag_problems(&[("listeners", listen), ("advertised.listeners", advertise)])
    };
    let alone = |listen| flag_problems(&[("listeners", listen)]);
    for (found, expected) in [
        (alone("127.0.0.1"), "expected an address and a port"),
        (alone("127.0.0.1:99999"), "expected an address and a port"),
        (alone("no.such.host.invalid:1"), "a name that it can resolve"),
        (alone("a b://127.0.0.1:1"), "expected a name of at most 64 letters"),
        (alone("0.0.0.0:1"), "is every address, but clients need one to connect to: give the name"),
        (alone(":1"), "is every address"),
        (alone("[::]:1"), "is every address"),
        (alone("A://127.0.0.1:1,a://127.0.0.1:2"), "names A twice"),
        (alone("A-B://127.0.0.1:1,a_b://127.0.0.1:2"), "twice"),
        (alone("127.0.0.1:1,127.0.0.1:1"), "are both on 127.0.0.1:1"),
        (of("A://0.0.0.0:1,B://127.0.0.1:1", "A://h"), "are both on 127.0.0.1:1"),
        (alone("SSL://127.0.0.1:1"), "this protocol is not there yet; use PLAINTEXT://127.0.0.1:1"),
        (of("127.0.0.1:1", "0.0.0.0:1"), "no client can connect to that: give the name"),
        (of("127.0.0.1:1", "[::]"), "no client can connect to that"),
        (of("127.0.0.1:1", "host:0"), "expected a host name or address, and perhaps a port"),
        (of("127.0.0.1:1", "http://host:1/x"), "expected a host name or address"),
        (of("127.0.0.1:1", "OTHER://host"), "names OTHER, but there is no such listener"),
        (of("127.0.0.1:1", "host,PLAINTEXT://host"), "names PLAINTEXT"),
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    let http =
        |listen| flag_problems(&[("listeners", listen), ("corelane.http.listen", "127.0.0.1:7")]);
    assert!(http("127.0.0.1:7").contains("is where the listener PLAINTEXT is (127.0.0.1:7)"));
    assert_eq!(http("127.0.0.1:8"), "");
    assert!(alone("127.0.0.1:9644").contains("give one another port"), "the default is no excuse");
    let map = |text| flag_problems(&[("listener.security.protocol.map", text)]);
    assert!(map("PLAINTEXT:SSL").contains("the protocol SSL is not there yet, only PLAINTEXT"));
    assert!(map("PLAINTEXT").contains("expected NAME:PLAINTEXT"));
    assert_eq!(map("PLAINTEXT:plaintext,CONTROLLER:PLAINTEXT"), "");
    let named =
        [("listeners", "SSL://127.0.0.1:1"), ("listener.security.protocol.map", "SSL:PLAINTEXT")];
    assert_eq!(flag_problems(&named), "", "a name is only a name");
}

#[test]
fn limits_are_read() {
    let gathered = of_flags(&[
        ("listeners", "127.0.0.1:1,MY-NET://127.0.0.1:2"),
        ("max.connections", "10"),
        ("listener.name.my_net.max.connections", "5"),
        ("max.connections.per.ip", "0"),
        ("max.connections.per.ip.overrides", "127.0.0.1:3,[::1]:4"),
    ]);
    let limits = Configuration::new(&gathered).unwrap().connection_limits;
    assert_eq!((limits.broker, limits.per_ip), (10, 0));
    assert_eq!(limits.listeners, [usize::MAX, 5]);
    let overrides: Vec<_> =
        limits.per_ip_overrides.iter().map(|(ip, n)| (ip.to_string(), *n)).collect();
    assert_eq!(overrides, [("127.0.0.1".to_owned(), 3), ("::1".to_owned(), 4)]);
}
