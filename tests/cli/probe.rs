//! `rosterd probe`: what it prints and writes, and how it ends.

use crate::{company::Tenant, stage::Stage};
use rosterd::sandbox::{Api, Fault, Faults, ScimQuirks};

fn stage(quirks: ScimQuirks) -> (Stage, String) {
    let tenants =
        vec![Tenant::new("dir", Api::Scim).scim(quirks, ""), Tenant::new("dog", Api::Datadog)];
    let stage = Stage::new(1, tenants);
    let id = stage.people[0].id(Api::Scim).to_owned();
    (stage, id)
}

#[test]
fn the_switches_are_printed_as_lines_of_the_configuration_or_written_to_a_file() {
    let (stage, id) = stage(ScimQuirks { no_value_paths: true, ..ScimQuirks::default() });
    let ended = stage.run(&["probe", "dir", "--user", &id]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(
        ended.stdout.ends_with("[tenants.dir.scim]\nvalue_paths = false\n"),
        "{}",
        ended.stdout
    );
    let own =
        "# the server says that it has urn:example:schemas:acme:2.0:User:skills (string, a list)\n";
    assert!(ended.stdout.contains(own), "{}", ended.stdout);
    assert!(ended.stdout.contains("# the server says of itself: patch = true\n"));
    assert!(!ended.stdout.contains("name (string)"), "{}", ended.stdout);

    let file = stage.path("dir.toml");
    let ended = stage.run(&["probe", "dir", "--user", &id, "--write", file.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    assert!(stage.read("dir.toml").ends_with("value_paths = false\n"));
}

#[test]
fn what_cannot_be_probed_is_told_and_nothing_is_sent() {
    let (stage, id) = stage(ScimQuirks::default());
    for (tenant, told) in [("dog", "is the same everywhere"), ("nobody", "there is no tenant")] {
        let ended = stage.run(&["probe", tenant, "--user", &id]);
        assert_eq!(ended.code, 64, "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
    assert_eq!(stage.requests(), 0);
}

#[test]
fn a_probe_that_is_refused_says_what_to_put_back_by_hand() {
    let (stage, id) = stage(ScimQuirks::default());
    stage.sandbox.set_faults("dir", Faults::always(Fault::Forbidden).only_patches());
    let ended = stage.run(&["probe", "dir", "--user", &id]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("title; put it back by hand"), "{}", ended.stderr);
}
