//! What differs between the stored code of a running cluster and its files.

use sturdy_daemon::cluster_file::ClusterFile;
use sturdy_daemon::{Status, SubclusterInfo, VatInfo};
use sturdy_types::{CodeSpec, VatConfig, VatId};

/// A vat whose files have changed.
#[derive(Debug, PartialEq)]
pub struct ChangedVat {
    /// The vat.
    pub vat: VatId,
    /// Its name.
    pub name: String,
    /// What has changed, for people.
    pub what: String,
    /// What it would be reloaded with.
    pub config: VatConfig,
}

/// All that differs.
#[derive(Debug, Default, PartialEq)]
pub struct Differences {
    /// Vats that can be reloaded.
    pub changed: Vec<ChangedVat>,
    /// What no reload can change.
    pub fixed: Vec<String>,
}

/// Compares a running cluster with its file.
pub fn differences(info: &SubclusterInfo, status: &Status, file: &ClusterFile) -> Differences {
    let mut found = Differences::default();
    if info.config.bootstrap != file.config.bootstrap {
        found.fixed.push(format!("the bootstrap vat is '{}'", info.config.bootstrap));
    }
    if info.config.services != file.config.services {
        found.fixed.push(format!("its services are [{}]", info.config.services.join(", ")));
    }
    for (name, config) in &file.config.vats {
        let Some(vat) = running(info, status, name) else {
            let was_launched = info.config.vats.iter().any(|(launched, _)| launched == name);
            let ended = if was_launched { "is terminated" } else { "is not there" };
            found.fixed.push(format!("the vat '{name}' {ended}"));
            continue;
        };
        let what = changes(&vat.config, config);
        if !what.is_empty() {
            let (what, config) = (what.join(", "), config.clone());
            found.changed.push(ChangedVat { vat: vat.id, name: name.clone(), what, config });
        }
    }
    for (name, _) in &info.vats {
        if !file.config.vats.iter().any(|(known, _)| known == name) {
            found.fixed.push(format!("the vat '{name}' is running"));
        }
    }
    found
}

fn running<'s>(info: &SubclusterInfo, status: &'s Status, name: &str) -> Option<&'s VatInfo> {
    let (_, id) = info.vats.iter().find(|(known, _)| known == name)?;
    status.vats.iter().find(|vat| vat.id == *id)
}

fn changes(stored: &VatConfig, file: &VatConfig) -> Vec<String> {
    let mut changes = module_changes(&stored.code, &file.code);
    if stored.code.runtime != file.code.runtime {
        changes.push("the kind of code changed".into());
    }
    if stored.code.entry != file.code.entry {
        changes.push(format!("begins with {} instead of {}", file.code.entry, stored.code.entry));
    }
    if stored.parameters != file.parameters {
        changes.push("its parameters changed".into());
    }
    if stored.globals != file.globals {
        changes.push("its globals changed".into());
    }
    changes
}

fn module_changes(stored: &CodeSpec, file: &CodeSpec) -> Vec<String> {
    let mut changes = Vec::new();
    for (path, hash) in &file.modules {
        match stored.modules.iter().find(|(known, _)| known == path) {
            None => changes.push(format!("{path} is new")),
            Some((_, known)) if known != hash => changes.push(format!("{path} changed")),
            Some(_) => {}
        }
    }
    let gone = |path: &String| !file.modules.iter().any(|(known, _)| known == path);
    changes.extend(stored.modules.iter().filter(|(path, _)| gone(path)).map(|(path, _)| format!("{path} is gone")));
    changes
}
