//! `sturdy identity`: who a kernel is, as words to keep on paper. Also the identities that other commands need.
//!
//! What always holds: a secret is shown by `backup` only; it is read from the standard input or a file, never from the
//! arguments, which other users of the machine can see; an identity is overwritten only if somebody says so, and then the
//! conversations that it had end first.

use crate::args::{IdentityAction, IdentityArgs, IdentityRestoreArgs};
use crate::out::{self, End};
use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;
use sturdy_daemon::{
    IdentityError, LookError, RestError, RestingKernel, identity_file, last_peer, load_identity, make_private_dir,
    new_identity,
};
use sturdy_identity::{Identity, LoadError, create, load, replace};
use sturdy_types::json_string;
use zeroize::Zeroizing;

/// More than any words or seed take.
const MAX_SECRET_BYTES: u64 = 4_096;

/// Runs the command.
pub fn identity(args: &IdentityArgs) -> Result<(), End> {
    let home = &args.place.home;
    let file = identity_file(home);
    match &args.action {
        IdentityAction::Show => tell_peer(&load_for(home)?, args.place.json),
        IdentityAction::Backup => backup(&load_for(home)?, args.place.json),
        IdentityAction::Restore(how) => restore(home, how, args.place.json),
        // A folder that was mistyped is not taken for a kernel that has become somebody else.
        IdentityAction::Renew { .. } if !has_kernel(home) => Err(End::Error(format!(
            "there is neither an identity nor a store in {}; name the directory given to `sturdy run` with --home",
            home.display()
        ))),
        IdentityAction::Renew { yes: false } => Err(End::Error(
            "the kernel becomes somebody else: its conversations end, and the URLs that it has issued lead nowhere; if that \
             is meant, say --yes"
                .to_owned(),
        )),
        IdentityAction::Renew { yes: true } => {
            let identity = new_identity().map_err(End::of)?;
            become_another(home, &file, &identity)?;
            tell_peer(&identity, args.place.json)
        }
    }
}

fn has_kernel(home: &Path) -> bool {
    home.join("store").exists() || fs::symlink_metadata(identity_file(home)).is_ok()
}

fn tell_peer(identity: &Identity, json: bool) -> Result<(), End> {
    let peer = identity.peer_id().to_string();
    out::result(&if json { format!("{{\"peer\":{}}}", json_string(&peer)) } else { peer })
}

/// Makes a new identity in the place of the old one, and tells its peer id.
pub fn renew(file: &Path) -> Result<String, End> {
    let identity = new_identity().map_err(End::of)?;
    replace(file, &identity).map_err(|error| End::Error(with_source(&error)))?;
    Ok(identity.peer_id().to_string())
}

fn load_for(home: &Path) -> Result<Identity, End> {
    load_identity(home).map_err(|error| match error {
        IdentityError::Load(LoadError::Missing(file)) => End::Error(format!(
            "there is no identity file {}; the first `sturdy run … --listen` makes one, and `sturdy identity restore` \
             makes one from words",
            file.display()
        )),
        error => End::Error(with_source(&error)),
    })
}

fn backup(identity: &Identity, json: bool) -> Result<(), End> {
    let peer = identity.peer_id().to_string();
    let (what, secret) = match identity.reveal_mnemonic() {
        Some(words) => ("words", words),
        None => ("seed", identity.reveal_seed_hex()),
    };
    if json {
        return out::result(&format!("{{\"peer\":{},\"{what}\":{}}}", json_string(&peer), json_string(&secret)));
    }
    out::note(&format!("Whoever has these {what} is {peer}. Keep them where nobody else sees them."));
    out::result(&secret)
}

fn restore(home: &Path, how: &IdentityRestoreArgs, json: bool) -> Result<(), End> {
    let identity = read_identity(&secret(how)?)?;
    let file = identity_file(home);
    make_folder(&file)?;
    let before = load(&file);
    let peer = identity.peer_id().to_string();
    let same = matches!(&before, Ok(before) if before.peer_id() == identity.peer_id());
    match before {
        // The file is lost, and the store knows of whom it was.
        Err(LoadError::Missing(_)) if last_peer(home).is_some_and(|last| last != peer) => {
            if !how.force {
                return Err(End::Error(format!(
                    "the kernel of this store was {}, and these are not its words; if it is to become {peer}, say --force: \
                     its conversations as the other one end, and the URLs that it has issued lead nowhere",
                    last_peer(home).unwrap_or_default()
                )));
            }
            become_another(home, &file, &identity)?;
        }
        Err(LoadError::Missing(_)) => create(&file, &identity).map_err(|error| End::Error(with_source(&error)))?,
        Ok(_) if same => {}
        Ok(before) if !how.force => {
            return Err(End::Error(format!(
                "{} is the identity of {}, and is not overwritten; if this kernel is to become {peer}, say --force: its \
                 conversations as the other one end, and the URLs that it has issued lead nowhere",
                file.display(),
                before.peer_id()
            )));
        }
        Err(error) if !how.force => {
            let error = with_source(&error);
            return Err(End::Error(format!("{error}\n  to replace it with the identity of {peer}, say --force")));
        }
        Ok(_) => become_another(home, &file, &identity)?,
        // What it was cannot be read; most likely it is the one that is brought back.
        Err(_) => replace(&file, &identity).map_err(|error| End::Error(with_source(&error)))?,
    }
    if json {
        return out::result(&format!("{{\"peer\":{}}}", json_string(&peer)));
    }
    out::result(&format!("this kernel is {}{peer}", if same { "already " } else { "" }))
}

/// First the conversations end, then the kernel is somebody else: if this is cut off in between, nothing is mixed up.
fn become_another(home: &Path, file: &Path, identity: &Identity) -> Result<(), End> {
    let kernel = match RestingKernel::open(home) {
        Ok(mut kernel) => {
            kernel.renew().map_err(End::of)?;
            Some(kernel)
        }
        Err(RestError::Look(LookError::Nothing(_))) => None,
        Err(error) => return Err(End::of(error)),
    };
    let replaced = replace(file, identity).map_err(|error| End::Error(with_source(&error)));
    drop(kernel); // until here nobody else could begin
    replaced
}

/// What was typed, or stands in the file.
fn secret(how: &IdentityRestoreArgs) -> Result<Zeroizing<String>, End> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_SECRET_BYTES).expect("4 KiB fit")));
    let read = if let Some(file) = &how.file {
        fs::File::open(file)
            .and_then(|opened| opened.take(MAX_SECRET_BYTES).read_to_end(&mut bytes))
            .map_err(|error| End::Error(format!("{}: {error}", file.display())))
    } else {
        if io::stdin().is_terminal() {
            out::note("Type the words, or the 64 hex digits of the seed, then Enter and Ctrl-D:");
        }
        io::stdin()
            .lock()
            .take(MAX_SECRET_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| End::Error(format!("the standard input cannot be read: {error}")))
    };
    read?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.trim().to_owned())),
        Err(_) => Err(End::Error("what was given is not text, so it is no words and no seed".to_owned())),
    }
}

/// Words, or a seed if it is one word of hex digits.
fn read_identity(text: &str) -> Result<Identity, End> {
    let one_word = text.split_whitespace().count() == 1;
    if one_word && text.len() == 64 {
        return Identity::from_seed_hex(text).map_err(End::of);
    }
    Identity::from_mnemonic(text).map_err(End::of)
}

/// The folder that an identity file is to lie in.
pub fn make_folder(file: &Path) -> Result<(), End> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_private_dir(folder).map_err(|error| End::Error(format!("{}: {error}", folder.display())))
}

/// An error and what the system says about it.
pub fn with_source(error: &(dyn std::error::Error + 'static)) -> String {
    match error.source() {
        Some(source) if !error.to_string().contains(&source.to_string()) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}
