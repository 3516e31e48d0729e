//! The vat-side layer's modules, embedded, compiled once per thread that runs heaps.

use crate::raw::Bytecode;
use rquickjs::module::Declared;
use rquickjs::{Ctx, Error, Module};
use std::cell::RefCell;
use std::collections::HashMap;

/// The module name under which the host itself imports the layer.
pub(crate) const ENTRY_BASE: &str = "(host)";

macro_rules! layer_modules {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../js/", $file)))),*]
    };
}

const FILES: &[(&str, &str)] = layer_modules![
    "boot.js",
    "collections.js",
    "collectionsInfo.js",
    "console.js",
    "data.js",
    "endow.js",
    "errors.js",
    "eventual.js",
    "exo.js",
    "garbage.js",
    "guards.js",
    "harden.js",
    "ids.js",
    "keys.js",
    "layer.js",
    "liveslots.js",
    "lockdown.js",
    "marshal.js",
    "modules.js",
    "passStyle.js",
    "patterns.js",
    "patternsCore.js",
    "patternsGuards.js",
    "patternsKeys.js",
    "patternsMatch.js",
    "patternsSets.js",
    "vom.js",
    "vomKinds.js",
    "vomRecords.js",
    "vomRefs.js",
    "vomWeak.js",
    "watch.js"
];

thread_local! {
    static COMPILED: RefCell<HashMap<&'static str, Bytecode>> = RefCell::default();
}

/// Loads one module of the layer by its full name.
pub(crate) fn load<'js>(ctx: &Ctx<'js>, name: &str) -> rquickjs::Result<Module<'js, Declared>> {
    let file = name.trim_start_matches("sturdy:");
    let Some(&(file, source)) = FILES.iter().find(|(known, _)| *known == file) else {
        return Err(Error::new_loading(name));
    };
    let cached = COMPILED.with_borrow(|compiled| compiled.get(file).map(|bytecode| bytecode.load(ctx)));
    if let Some(module) = cached {
        return module;
    }
    // Compiling comes back here for the imports, so the table is not borrowed meanwhile.
    let module = Module::declare(ctx.clone(), name, source)?;
    let bytecode = Bytecode::of(&module)?;
    COMPILED.with_borrow_mut(|compiled| compiled.insert(file, bytecode));
    Ok(module)
}

#[cfg(test)]
mod tests {
    use super::FILES;

    #[test]
    fn every_file_of_the_layer_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/js");
        let entries = std::fs::read_dir(folder).expect("the folder is there");
        let mut files: Vec<String> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        files.retain(|file| file.rsplit_once('.').is_some_and(|(_, extension)| extension == "js"));
        files.sort();
        assert_eq!(files, FILES.iter().map(|(file, _)| (*file).to_owned()).collect::<Vec<_>>());
    }
}
