//! A process of a road, as its parent has it: this program again, told by its environment to be a kernel.
//!
//! What always holds: who drops it, kills it.

use crate::orders::{Order, Told};
use std::fs::{File, read_to_string};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use sturdy_sim::patterns::Trouble;

/// Says to a process of this program that it is a kernel, and where its home is.
pub const HOME: &str = "STURDY_PATTERN_HOME";
/// Where it listens.
pub const LISTEN: &str = "STURDY_PATTERN_LISTEN";

/// Far longer than anything here takes on a busy machine.
pub const HANG: Duration = Duration::from_mins(2);

pub struct Process {
    child: Child,
    lines: Receiver<String>,
    /// What it has said that was no answer.
    said: PathBuf,
}

impl Process {
    /// `test` is the test of this program that serves as a kernel.
    pub fn start(test: &str, home: &Path, listen: &str) -> Self {
        let said = home.join("said.txt");
        let note = File::options().create(true).append(true).open(&said).expect("a file");
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", test])
            .env(HOME, home)
            .env(LISTEN, listen)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(note.try_clone().expect("the file again"))
            .spawn()
            .expect("a process");
        let (hear, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        thread::spawn(move || {
            let mut note = note;
            for line in out.map_while(Result::ok) {
                // The harness of the test says something, too; it is of use when the test fails.
                if line.starts_with(['{', '"']) {
                    let _nobody_listens = hear.send(line);
                } else {
                    let _lost = writeln!(note, "{line}");
                }
            }
        });
        Self { child, lines, said }
    }

    /// An error means that it has ended, which is heard instead of the answer.
    pub fn say(&mut self, order: &Order) {
        let line = serde_json::to_string(order).expect("it can be written");
        let input = self.child.stdin.as_mut().expect("it is piped");
        let _ended = input.write_all(format!("{line}\n").as_bytes());
    }

    /// The next answer; nothing once it has ended.
    pub fn hear(&mut self) -> Result<Option<Told>, Trouble> {
        match self.lines.recv_timeout(HANG) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(Told::Stopped(why)) => Err(self.broken(&format!("the kernel has stopped: {why}"))),
                Ok(told) => Ok(Some(told)),
                Err(error) => Err(self.broken(&format!("`{line}` is no answer: {error}"))),
            },
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(self.broken("it never answers")),
        }
    }

    /// The answer of a process that nobody kills meanwhile.
    pub fn ask(&mut self, order: &Order) -> Result<Told, Trouble> {
        self.say(order);
        self.answer()
    }

    /// The answer to what was said last to a process that nobody kills meanwhile.
    pub fn answer(&mut self) -> Result<Told, Trouble> {
        match self.hear()? {
            Some(told) => Ok(told),
            None => Err(self.broken("it has ended by itself")),
        }
    }

    /// SIGKILL. What it has answered before can still be heard.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Tells it to end, and waits.
    pub fn end(mut self) -> Result<(), Trouble> {
        self.say(&Order::End);
        match self.hear()? {
            None if self.child.wait().is_ok_and(|status| status.success()) => Ok(()),
            told => Err(self.broken(&format!("it does not end well: {told:?}"))),
        }
    }

    fn broken(&self, what: &str) -> Trouble {
        let said = read_to_string(&self.said).unwrap_or_default();
        Trouble::Broken(format!("process {}: {what}\nit has said:\n{said}", self.child.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
