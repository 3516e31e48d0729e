//! The prompt on a terminal: a line editor with history and completion, on a thread of its own because it blocks.

use crate::out;
use crate::session::echo;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::sync::mpsc;

/// Ends what the line editor asks of the terminal: to mark what is pasted.
const PASTE_IS_TYPED: &[u8] = b"\x1b[?2004l\n";
/// Lines of history kept.
const HISTORY_LINES: usize = 1_000;
/// What can be typed that begins with a colon, as far as it is completed.
pub const COMMANDS: &[&str] = &[
    ":calls",
    ":help",
    ":names",
    ":peers",
    ":peers close ",
    ":peers forget ",
    ":peers give-up ",
    ":peers patience ",
    ":peers reconnect ",
    ":quit",
    ":reap",
    ":restart",
    ":revoke",
    ":stats",
    ":status",
    ":terminate",
    ":url issue ",
    ":url list",
    ":url redeem ",
    ":url revoke ",
    ":vats",
];

/// What can be completed.
pub type Words = Arc<Mutex<Vec<String>>>;

/// Where lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Somebody types them, one after the other.
    Terminal,
    /// A pipe or a file has them ready.
    Pipe,
}

/// Lines from wherever they come.
pub struct Lines {
    typed: mpsc::Receiver<Result<String, String>>,
    /// One permit per line that is wanted: the prompt appears only when the answer before is printed.
    wanted: Option<std::sync::mpsc::Sender<()>>,
    /// Whether a permit was given for which no line has come yet.
    is_wanted: bool,
    /// Where they come from.
    pub source: Source,
    /// Whether there was at least one.
    pub were_any: bool,
    /// Words to complete, on a terminal.
    pub words: Words,
    /// Puts the terminal back when nobody waits for lines any more.
    _before: Option<Before>,
}

/// How the terminal was. A line that is being edited when the process ends would leave it unfit for a shell.
struct Before(Termios);

impl Before {
    fn of_terminal() -> Option<Self> {
        tcgetattr(std::io::stdin()).ok().map(Self)
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        if tcgetattr(std::io::stdin()).is_ok_and(|now| now.local_modes != self.0.local_modes) {
            // A terminal that refuses is gone.
            let _gone = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
            let _gone = std::io::stdout().write_all(PASTE_IS_TYPED).and_then(|()| std::io::stdout().flush());
        }
    }
}

impl Lines {
    /// Lines that are ready, or that a test sends.
    pub fn from_channel(typed: mpsc::Receiver<Result<String, String>>, source: Source) -> Self {
        Self { typed, wanted: None, is_wanted: false, were_any: false, source, words: Words::default(), _before: None }
    }

    /// The next line; `None` at the end. Whoever stops waiting may begin again.
    pub async fn next(&mut self) -> Option<Result<String, String>> {
        if let Some(wanted) = &self.wanted
            && !self.is_wanted
        {
            wanted.send(()).ok()?;
            self.is_wanted = true;
        }
        let line = self.typed.recv().await;
        self.is_wanted = false;
        self.were_any |= line.is_some();
        line
    }
}

/// Lines typed at a prompt. History is kept in `home`.
pub fn from_terminal(home: &Path) -> Result<Lines, String> {
    let (words, before) = (Words::default(), Before::of_terminal());
    let config = Config::builder()
        .max_history_size(HISTORY_LINES)
        .and_then(|config| config.history_ignore_dups(true))
        .map_err(|error| error.to_string())?
        .build();
    let mut editor: Editor<Names, FileHistory> = Editor::with_config(config).map_err(|error| error.to_string())?;
    editor.set_helper(Some(Names { words: Arc::clone(&words) }));
    if let Ok(printer) = editor.create_external_printer() {
        out::print_above(Box::new(printer));
    }
    let history = home.join("history");
    let _none_yet = editor.load_history(&history);
    let (sender, typed) = mpsc::channel(1);
    let (wanted, wishes) = std::sync::mpsc::channel();
    thread::Builder::new()
        .name("sturdy-prompt".into())
        .spawn(move || edit(editor, &history, &wishes, &sender))
        .map_err(|error| error.to_string())?;
    Ok(Lines { wanted: Some(wanted), words, _before: before, ..Lines::from_channel(typed, Source::Terminal) })
}

fn edit(
    mut editor: Editor<Names, FileHistory>,
    history: &PathBuf,
    wishes: &std::sync::mpsc::Receiver<()>,
    sender: &mpsc::Sender<Result<String, String>>,
) {
    let mut interrupted = false;
    while wishes.recv().is_ok() {
        let line = loop {
            match editor.readline("sturdy> ") {
                // Once clears the line, twice ends.
                Err(ReadlineError::Interrupted) if !interrupted => {
                    interrupted = true;
                    out::note("(once more to end)");
                }
                Err(ReadlineError::Interrupted | ReadlineError::Eof) => return,
                Err(error) => break Err(format!("the terminal failed: {error}")),
                Ok(line) => {
                    interrupted = false;
                    break Ok(line);
                }
            }
        };
        // A URL is a secret: a line with one is not kept.
        if let Ok(line) = &line
            && !line.trim().is_empty()
            && matches!(echo(line), Cow::Borrowed(_))
        {
            // A history that cannot be written is no reason to stop.
            let _lost = editor.add_history_entry(line).and_then(|_| editor.save_history(history));
        }
        if sender.blocking_send(line).is_err() {
            return;
        }
    }
}

/// Lines from a pipe or file, at most `line_bytes` long each.
pub fn from_pipe(line_bytes: u64) -> Result<Lines, String> {
    use std::io::{BufRead, Read};
    let (sender, typed) = mpsc::channel(64);
    let read = move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let taken = input.by_ref().take(line_bytes + 1).read_until(b'\n', &mut line);
            let line = match taken {
                Ok(0) => return,
                Ok(_) if line.len() as u64 > line_bytes => Err(format!("the line has more than {line_bytes} bytes")),
                Ok(_) => String::from_utf8(line).map_err(|_| "the line is not UTF-8 text".to_owned()),
                Err(error) => Err(format!("the standard input cannot be read: {error}")),
            };
            let last = line.is_err();
            if sender.blocking_send(line).is_err() || last {
                return;
            }
        }
    };
    thread::Builder::new().name("sturdy-input".into()).spawn(read).map_err(|error| error.to_string())?;
    Ok(Lines::from_channel(typed, Source::Pipe))
}

struct Names {
    words: Words,
}

// Of what a line editor can do, only completion is wanted.
impl Helper for Names {}
impl Highlighter for Names {}
impl Validator for Names {}
impl Hinter for Names {
    type Hint = String;
}

impl Completer for Names {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _ctx: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(completions(line.get(..pos).unwrap_or_default(), &words))
    }
}

/// What may come in the place of the end of what was typed, and where that begins.
fn completions(before: &str, words: &[String]) -> (usize, Vec<String>) {
    if before.starts_with(':') {
        // A command is several words.
        let commands = COMMANDS.iter().filter(|command| command.starts_with(before));
        let commands: Vec<String> = commands.map(|&command| command.to_owned()).collect();
        if !commands.is_empty() {
            return (0, commands);
        }
    }
    let word_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | ':');
    let start =
        before.rfind(|c| !word_part(c)).map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = &before[start..];
    (start, words.iter().filter(|known| known.starts_with(word)).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_commands_are_completed() {
        let words = ["mint".to_owned(), "minter".to_owned(), "$1".to_owned()];
        for (before, start, expected) in [
            ("mi", 0, &["mint", "minter"][..]),
            ("mint.pay($", 9, &["$1"]),
            (":url i", 0, &[":url issue "]),
            (":url issue mi", 11, &["mint", "minter"]),
            (":peers g", 0, &[":peers give-up "]),
            (":sta", 0, &[":stats", ":status"]),
            ("nobody", 0, &[]),
        ] {
            let (at, found) = completions(before, &words);
            assert_eq!((at, found), (start, expected.iter().map(ToString::to_string).collect()), "{before}");
        }
    }
}
