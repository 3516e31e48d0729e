//! Cluster files and the sources they name: read or refused with a place, and nothing else happens.

use std::cell::OnceCell;
use std::path::Path;
use sturdy_daemon::cluster_file::{ClusterFile, ClusterFileError, load, parse};
use sturdy_smallcaps::{Value, decode};
use sturdy_types::CapData;
use tempfile::TempDir;

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Works in a folder with two small vats.
fn in_folder<T>(work: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with(|cell| {
        let folder = cell.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder for a test can be made");
            let bundle = "{\"moduleFormat\":\"iife\",\"code\":\"var __vatExports__ = {};\"}";
            let files = [("a.js", "export const buildRootObject = () => {};\n"), ("b.json", bundle), ("c.js", "")];
            for (name, text) in files {
                std::fs::write(folder.path().join(name), text).expect("a file can be written");
            }
            folder
        });
        work(folder.path())
    })
}

/// The text of a cluster file. Paths that lead out of the folder are not tried: what lies there is the machine's.
pub(crate) fn clusters(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    in_folder(|folder| {
        let inside = !text.contains("..") && !text.contains('\\') && !text.contains("\"/") && !text.contains("file:");
        check(text, &parse(text, Path::new("cluster.json"), inside.then_some(folder)));
    });
}

/// A module in TypeScript, whose types are stripped: what is left is a module in JavaScript.
pub(crate) fn sources(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    in_folder(|folder| {
        let path = folder.join("vat.ts");
        std::fs::write(&path, text).expect("a file can be written");
        let loaded = load(&path);
        check(text, &loaded);
        let Ok(file) = loaded else { return };
        let hash = |name: &str| file.config.vats[0].1.code.modules.iter().find(|module| module.0 == name);
        let source = file.sources.iter().find(|source| hash("vat.ts").is_some_and(|module| module.1 == source.hash));
        let stripped = &source.expect("the source of the vat is there").text;
        std::fs::write(folder.join("plain.js"), stripped).expect("a file can be written");
        // The parser takes `await` for a name in TypeScript: the engine tells that mistake, when the vat starts.
        if let Err(error) = load(&folder.join("plain.js"))
            && !text.contains("await")
        {
            panic!("{text:?} is stripped to {stripped:?}: {error}");
        }
        assert_eq!(text.matches('\n').count(), stripped.matches('\n').count(), "lines have moved: {stripped:?}");
    });
}

fn check(text: &str, loaded: &Result<ClusterFile, ClusterFileError>) {
    match loaded {
        Ok(file) => {
            let config = &file.config;
            assert!(config.vats.iter().any(|(name, _)| *name == config.bootstrap), "the bootstrap vat is not there");
            for (name, vat) in &config.vats {
                let parameters = decode(&CapData::<()>::plain(vat.parameters.clone()));
                assert!(matches!(parameters, Ok(Value::Record(_))), "the parameters of {name}: {parameters:?}");
                let known = |module: &(String, _)| file.sources.iter().any(|source| source.hash == module.1);
                assert!(vat.code.modules.iter().all(known), "a source of {name} is missing");
            }
        }
        Err(ClusterFileError::NotJson { line, column, .. }) => {
            let lines = text.split('\n').count();
            // A text that ends too early is wrong one line after a last line break.
            assert!((1..=lines + 1).contains(line) && *column >= 1, "{line}:{column} of {lines} lines");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
