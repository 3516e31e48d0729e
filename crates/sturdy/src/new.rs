//! `sturdy new`: a folder with a working example to begin from.

use crate::args::NewArgs;
use crate::out::{self, End};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};

/// Characters of a vat's name.
const NAME_CHARS: usize = 64;

/// Runs the command.
pub fn new(args: &NewArgs) -> Result<(), End> {
    let folder = &args.name;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= NAME_CHARS
        && !matches!(name, "root" | "undefined" | "null" | "true" | "false" | "NaN" | "Infinity");
    if !good {
        return Err(End::Error(format!(
            "'{}' cannot be a vat's name: use a letter and then letters, digits and _ (at most {NAME_CHARS}), as in \
             `sturdy new counter`",
            folder.display()
        )));
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let made = parent.map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::create_dir(folder));
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            End::Error(format!("{} exists already; nothing was changed: choose another name", folder.display()))
        }
        _ => End::Error(format!("{} cannot be made: {error}", folder.display())),
    })?;
    let files = [("cluster.json".to_owned(), cluster(name)), (format!("{name}.js"), vat(name))];
    for (file, text) in files {
        let path = folder.join(file);
        File::create_new(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| End::Error(format!("{} cannot be written: {error}", path.display())))?;
    }
    let folder = folder.display();
    out::note(&format!(
        "{folder} is ready: {folder}/{name}.js is the vat, {folder}/cluster.json says how to run it. Now type\n\n    \
         sturdy run {folder}/cluster.json --home {folder}/.sturdy\n\nand at the prompt `{name}.greet('world')`."
    ));
    Ok(())
}

fn cluster(name: &str) -> String {
    format!(
        "{{\n  \"bootstrap\": \"{name}\",\n  \"vats\": {{\n    \"{name}\": {{\n      \"sourceSpec\": \"{name}.js\",\n      \
         \"parameters\": {{ \"greeting\": \"Hello\" }}\n    }}\n  }}\n}}\n"
    )
}

fn vat(name: &str) -> String {
    let mut chars = name.chars();
    let iface: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    TEMPLATE.replace("@NAME@", name).replace("@IFACE@", &iface)
}

const TEMPLATE: &str = r"// The vat `@NAME@`: an object that greets, and remembers how often it did.
//
// A vat is a module that exports `buildRootObject`. It is called each time the vat starts: at the launch, and again
// whenever the process was started anew. Variables are lost then; what lies in `baggage` is not. All that a call changes
// is saved before its answer is given, or, if the process dies first, none of it.

import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject(_vatPowers, parameters, baggage) {
  // The first start finds the baggage empty.
  if (!baggage.has('greeted')) {
    baggage.init('greeted', 0);
  }

  // The root object: its methods are what others can call.
  return makeDefaultExo('@IFACE@', {
    // Called once, when the cluster is launched. `vats` holds the root objects of its vats by name.
    bootstrap(_vats, _services) {
      console.log('@NAME@ is ready');
    },

    greet(whom) {
      if (typeof whom !== 'string') {
        throw TypeError('greet whom? Give a name, in quotes');
      }
      const times = baggage.get('greeted') + 1;
      baggage.set('greeted', times);
      return `${parameters.greeting}, ${whom}! (greeting number ${times})`;
    },

    // How often `greet` was answered, since the launch and through all restarts.
    count() {
      return baggage.get('greeted');
    },
  });
}
";
