//! `corelane cluster`, and completions.

use super::run::{broker, run};

#[test]
fn a_cluster_is_shown() {
    let broker = broker();
    let b = broker.bootstrap();
    run(&b, "topic create cmd-cluster --partitions 3").succeeds();
    let json = run(&b, "cluster info --apis --json").succeeds().json();
    assert_eq!(json["brokers"][0]["port"], broker.address().port());
    assert_eq!(json["controller"], json["brokers"][0]["id"]);
    assert_eq!(json["partitions"]["offline"], 0);
    assert!(json["partitions"]["total"].as_u64() >= Some(3), "{json}");
    let apis = json["apis"].as_array().expect("a list");
    assert!(apis.iter().any(|api| api["name"] == "Produce"), "{json}");
    let text = run(&b, "cluster info").succeeds();
    let broker_line = format!("\t127.0.0.1:{}\t", broker.address().port());
    assert!(text.text().contains(&broker_line), "{text:?}");
    assert!(!text.text().contains('\x1b'), "colours are for terminals");
}

#[test]
fn completions_and_help_are_there_without_a_broker() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run("127.0.0.1:1", &format!("completions {shell}")).succeeds();
        assert!(script.text().contains("read-committed"), "{shell}");
    }
    run("127.0.0.1:1", "completions tcsh").says(2, &["tcsh"]);
    for command in ["topic create", "topic delete", "produce", "consume", "cluster info"] {
        let help = run("127.0.0.1:1", &format!("{command} --help")).succeeds();
        for word in ["Examples:", "Exit codes:", "CORELANE_BOOTSTRAP", "[default: "] {
            assert!(help.text().contains(word), "{command}: {word}");
        }
    }
}
