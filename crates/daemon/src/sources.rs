//! Stand-in.
use std::path::Path;
use sturdy_types::{CodeSpec, ModuleSource, RuntimeKind, SourceHash};
pub(crate) fn load_vat_sources(entry: &Path) -> Result<(CodeSpec, Vec<ModuleSource>), String> {
    let text = std::fs::read_to_string(entry).map_err(|e| format!("{}: {e}", entry.display()))?;
    let hash = SourceHash(*blake3::hash(text.as_bytes()).as_bytes());
    let name = entry.file_name().unwrap().to_string_lossy().into_owned();
    Ok((
        CodeSpec { runtime: RuntimeKind::JavaScript, entry: name.clone(), modules: vec![(name, hash)] },
        vec![ModuleSource { hash, text }],
    ))
}
