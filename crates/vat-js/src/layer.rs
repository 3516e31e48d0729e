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

const FILES: &[(&str, &str)] = layer_modules!["boot.js", "lockdown.js", "harden.js"];

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
