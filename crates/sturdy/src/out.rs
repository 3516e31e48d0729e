//! Where text goes: results to the standard output, everything else to the standard error. While the prompt is being
//! edited, both go above it.

use rustyline::ExternalPrinter;
use std::io::{self, ErrorKind, Write as _};
use std::sync::{Mutex, PoisonError};
use sturdy_types::redact_urls;

/// Why a command ends early.
#[derive(Debug)]
pub enum End {
    /// For this reason, which is still to be told.
    Error(String),
    /// Something failed and has been told.
    Told,
    /// Nobody reads the results any more.
    ReaderGone,
}

impl End {
    /// Any error as its text.
    pub fn of(error: impl std::fmt::Display) -> Self {
        Self::Error(error.to_string())
    }
}

type Above = Box<dyn ExternalPrinter + Send>;

/// Prints above the prompt, as long as there is one.
static ABOVE: Mutex<Option<Above>> = Mutex::new(None);

/// From now on everything appears above the prompt.
pub fn print_above(printer: Above) {
    *ABOVE.lock().unwrap_or_else(PoisonError::into_inner) = Some(printer);
}

/// A result.
pub fn result(text: &str) -> Result<(), End> {
    if let Some(printer) = &mut *ABOVE.lock().unwrap_or_else(PoisonError::into_inner)
        && printer.print(format!("{text}\n")).is_ok()
    {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => End::ReaderGone,
        _ => End::Error(format!("the results cannot be written: {error}")),
    })
}

/// A result that is no URL that was asked for, so that it shows none.
pub fn told(text: &str) -> Result<(), End> {
    result(&redact_urls(text))
}

/// Something said about it, without the secret of any URL. If even the standard error is gone, it is not said.
pub fn note(text: &str) {
    let text = redact_urls(text);
    if let Some(printer) = &mut *ABOVE.lock().unwrap_or_else(PoisonError::into_inner)
        && printer.print(format!("{text}\n")).is_ok()
    {
        return;
    }
    let _unheard = writeln!(io::stderr().lock(), "{text}");
}
