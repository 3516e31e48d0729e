//! Which modules code may import, and where their text comes from.
//!
//! What always holds: the layer's modules (`sturdy:…`) are visible only to each other; a vat's module sees its own folder
//! through relative specifiers and the built-in modules by name, and nothing else. Everything that a vat can ever import is
//! known when it starts; once it has started, the door is closed, also for `import()`.

use crate::layer;
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Ctx, Error, Exception, Function, Module, Object, Persistent};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

const LAYER: &str = "sturdy:";
const BUILTIN: &str = "builtin:";

/// What a heap may import at the moment.
#[derive(Default)]
pub(crate) struct Importable {
    /// The vat's own modules, path to text.
    pub(crate) sources: BTreeMap<String, String>,
    /// Names of built-in modules.
    pub(crate) builtins: Vec<String>,
    /// Gives the namespace of a built-in module by name.
    pub(crate) builtin: Option<Persistent<Function<'static>>>,
    /// The vat has started.
    pub(crate) closed: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Modules(pub(crate) Rc<RefCell<Importable>>);

impl Resolver for Modules {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<String> {
        if base.starts_with(LAYER) || base == layer::ENTRY_BASE {
            return Ok(format!("{LAYER}{}", name.trim_start_matches("./").trim_start_matches(LAYER)));
        }
        self.resolve_for_vat(base, name).map_err(|why| Exception::throw_reference(ctx, &why))
    }
}

impl Modules {
    fn resolve_for_vat(&self, base: &str, name: &str) -> Result<String, String> {
        let importable = self.0.borrow();
        if importable.closed {
            return Err(format!("{base}: import({name:?}): modules can be imported only while the vat starts"));
        }
        if !name.starts_with("./") && !name.starts_with("../") {
            if importable.builtins.iter().any(|known| known == name) {
                return Ok(format!("{BUILTIN}{name}"));
            }
            let known = importable.builtins.join(", ");
            return Err(format!(
                "{base}: there is no module {name:?}; built-in modules are: {known}; other files are imported by \
                 relative paths like \"./file.js\""
            ));
        }
        let path =
            join(base, name).ok_or_else(|| format!("{base}: import of {name:?} leads out of the vat's folder"))?;
        if importable.sources.contains_key(&path) {
            return Ok(path);
        }
        let paths = importable.sources.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        Err(format!("{base}: there is no module {name:?} ({path}); the vat's modules are: {paths}"))
    }
}

/// The path of a relative specifier, or `None` if it leaves the folder.
pub(crate) fn join(base: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

impl Loader for Modules {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<Module<'js, Declared>> {
        if name.starts_with(LAYER) {
            return layer::load(ctx, name);
        }
        if let Some(builtin) = name.strip_prefix(BUILTIN) {
            return self.load_builtin(ctx, name, builtin);
        }
        let importable = self.0.borrow();
        let source = importable.sources.get(name).cloned();
        drop(importable); // declaring the module comes back here for its imports
        match source {
            Some(source) => declare(ctx, name, &source),
            None => Err(Error::new_loading(name)),
        }
    }
}

/// Whether a module is JSON. Imports name files exactly, so case matters.
pub(crate) fn is_json(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extension == "json")
}

/// Compiles a vat's module.
pub(crate) fn declare<'js>(ctx: &Ctx<'js>, path: &str, source: &str) -> rquickjs::Result<Module<'js, Declared>> {
    if source.contains('\0') {
        return Err(Exception::throw_syntax(ctx, &format!("{path} contains a NUL character: it is not a text file")));
    }
    if is_json(path) {
        let literal = sturdy_types::json_string(source).replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
        return Module::declare(ctx.clone(), path, format!("export default JSON.parse({literal});"));
    }
    Module::declare(ctx.clone(), path, source)
}

impl Modules {
    /// A module that hands on the properties of a namespace object, which reaches it through `import.meta`.
    fn load_builtin<'js>(&self, ctx: &Ctx<'js>, name: &str, builtin: &str) -> rquickjs::Result<Module<'js, Declared>> {
        let maker = self.0.borrow().builtin.clone().ok_or_else(|| Error::new_loading(name))?;
        let namespace: Object<'js> = maker.restore(ctx)?.call((builtin,))?;
        let names = namespace.keys::<String>().collect::<rquickjs::Result<Vec<_>>>()?;
        let mut text = String::from("const { ns } = import.meta; delete import.meta.ns;");
        for (nth, export) in names.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = match export.as_str() {
                "default" => write!(text, "export default ns.default;"),
                export => write!(text, "const _{nth} = ns.{export}; export {{ _{nth} as {export} }};"),
            };
        }
        let module = Module::declare(ctx.clone(), name, text)?;
        module.meta()?.set("ns", namespace)?;
        Ok(module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn relative_paths_stay_inside() {
        for (base, relative, path) in [
            ("vat.js", "./a.js", Some("a.js")),
            ("lib/vat.js", "./a.js", Some("lib/a.js")),
            ("lib/vat.js", "../a.js", Some("a.js")),
            ("lib/vat.js", "../../a.js", None),
            ("vat.js", "../a.js", None),
            ("a/b/c.js", ".././/x/../y.js", Some("a/y.js")),
        ] {
            assert_eq!(join(base, relative).as_deref(), path, "{base} {relative}");
        }
    }

    proptest! {
        #[test]
        fn no_specifier_leaves_the_folder(base in "[a-c/.]{0,12}", relative in "[a-c/.]{0,16}") {
            if let Some(path) = join(&base, &relative) {
                prop_assert!(path.split('/').filter(|part| !part.is_empty()).all(|part| part != "..") || base.contains(".."));
            }
        }
    }
}
