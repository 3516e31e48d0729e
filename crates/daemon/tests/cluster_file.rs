//! Cluster files: what is read, what is refused, and that nothing makes the reader fall over.

use proptest::prelude::*;
use std::fs;
use std::path::Path;
use sturdy_daemon::cluster_file::{ClusterFileError, load, parse};
use sturdy_types::RuntimeKind;

const VAT: &str = "export function buildRootObject() {}\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.js"), VAT).unwrap();
    fs::write(folder.path().join("b.js"), format!("import './c.js';\n{VAT}")).unwrap();
    fs::write(folder.path().join("c.js"), "export const c = 1;\n").unwrap();
    fs::write(folder.path().join("d.json"), "{\"moduleFormat\":\"iife\",\"code\":\"var __vatExports__ = {};\"}")
        .unwrap();
    folder
}

fn refused(text: &str) -> String {
    let folder = folder();
    parse(text, Path::new("cluster.json"), Some(folder.path())).unwrap_err().to_string()
}

#[test]
fn vats_keep_their_order_and_everything_that_is_said_about_them() {
    let folder = folder();
    let path = folder.path().join("cluster.json");
    let text = "\u{feff}{
        \"bootstrap\": \"z\", \"services\": [\"oracle\"], \"forceReset\": true, \"io\": {},
        \"vats\": {
            \"z\": {\"sourceSpec\": \"b.js\", \"parameters\": {\"n\": 1.5, \"text\": \"#x\", \"list\": [null, true]}},
            \"a\": {\"sourceSpec\": \"./a.js\", \"globals\": [\"Date\"], \"creationOptions\": {}},
            \"m\": {\"bundleSpec\": \"d.json\"}
        }
    }";
    fs::write(&path, text).unwrap();
    let file = load(&path).unwrap();
    let names: Vec<_> = file.config.vats.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["z", "a", "m"]);
    assert_eq!((file.config.bootstrap.as_str(), file.config.services.as_slice()), ("z", &["oracle".to_owned()][..]));
    let [z, a, m] = [0, 1, 2].map(|index| &file.config.vats[index].1);
    assert_eq!(z.parameters, "#{\"list\":[null,true],\"n\":1.5,\"text\":\"!#x\"}");
    assert_eq!((z.code.runtime, z.code.modules.len()), (RuntimeKind::JavaScript, 2));
    assert_eq!((a.parameters.as_str(), a.globals.as_slice()), ("#{}", &["Date".to_owned()][..]));
    assert_eq!(m.code.runtime, RuntimeKind::JavaScriptBundle);
    assert_eq!(file.sources.len(), 4, "each source once");
}

#[test]
fn a_file_url_names_a_file() {
    let folder = folder();
    fs::write(folder.path().join("with space.js"), VAT).unwrap();
    let url = format!("file://{}/with%20space.js", folder.path().display());
    let text = format!("{{\"bootstrap\":\"a\",\"vats\":{{\"a\":{{\"sourceSpec\":\"{url}\"}}}}}}");
    assert!(parse(&text, Path::new("x"), None).is_ok());
}

#[test]
fn a_vat_file_is_a_cluster_of_one() {
    let folder = folder();
    let file = load(&folder.path().join("a.js")).unwrap();
    assert_eq!((file.config.bootstrap.as_str(), file.config.vats.len()), ("a", 1));
}

#[test]
fn mistakes_are_told_by_field() {
    let vat = |inside: &str| format!("{{\"bootstrap\":\"a\",\"vats\":{{\"a\":{{{inside}}}}}}}");
    for (text, told) in [
        (vat("\"source\":\"a.js\""), "vat 'a' has the unknown field \"source\"; known are: sourceSpec, bundleSpec"),
        (vat("\"sourceSpec\":\"a.js\",\"bundleSpec\":\"b\""), "it has several"),
        (vat("\"sourceSpec\":7"), "\"sourceSpec\" of vat 'a' is a number; it is to be a string"),
        (vat("\"bundleName\":\"x\""), "nothing is registered by name"),
        (vat("\"sourceSpec\":\"http://x/a.js\""), "code is not fetched"),
        (vat("\"sourceSpec\":\"ftp://x/a.js\""), "begins with ftp://"),
        (vat("\"sourceSpec\":\"data:text/javascript,1\""), "data: URL"),
        (vat("\"sourceSpec\":\"file://elsewhere/a.js\""), "no file: URL of this machine"),
        (vat("\"sourceSpec\":\"a.js\",\"parameters\":[]"), "\"parameters\" of vat 'a' is a list"),
        (vat("\"sourceSpec\":\"a.js\",\"globals\":\"Date\""), "it is to be a list of names"),
        (vat("\"sourceSpec\":\"a.js\",\"network\":{\"allowedHosts\":[]}"), "network access for vats is not offered"),
        (vat("\"sourceSpec\":\"a.js\",\"platformConfig\":{\"fs\":{}}"), "file access is not offered"),
        ("{\"bootstrap\":\"a\",\"vats\":{\"\":{}}}".into(), "but \"vats\" has"),
        ("{\"vats\":{\"a\":{}}}".into(), "the file has no \"bootstrap\""),
        ("{\"bootstrap\":\"a\",\"vats\":[]}".into(), "\"vats\" is to be an object"),
        ("{\"bootstrap\":\"a\",\"vats\":{\"a\":1}}".into(), "vat 'a' is a number"),
    ] {
        let why = refused(&text);
        assert!(why.contains(told), "{text}: {why}");
        assert!(why.contains("cluster.json"), "{why}");
    }
}

#[test]
fn places_in_the_text_are_told() {
    let error = parse("{\n \"bootstrap\": trux\n}", Path::new("c.json"), None).unwrap_err();
    assert!(matches!(&error, ClusterFileError::NotJson { line: 2, .. }), "{error}");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse(&deep, Path::new("c.json"), None).unwrap_err().to_string().contains("recursion limit"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        let _refused_or_not = parse(&text, Path::new("c.json"), None);
    }

    #[test]
    fn no_json_makes_it_panic(
        name in "[a-z]{0,3}",
        field in prop_oneof!["sourceSpec", "bundleSpec", "parameters", "globals", "network", "[a-z]{1,4}"],
        value in prop_oneof!["null", "1e999", "-0", "\"\"", "\"..\"", "[\"x\"]", "\\{\\}", "\"file:///%zz\"", "\"%\""],
    ) {
        let text = format!("{{\"bootstrap\":\"{name}\",\"vats\":{{\"{name}\":{{\"{field}\":{value}}}}}}}");
        prop_assert!(parse(&text, Path::new("c.json"), None).is_err());
    }
}
