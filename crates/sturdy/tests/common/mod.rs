//! A folder with files and a home, and the real binary run in it.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod chance;
pub mod kernels;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A folder that is gone after the test.
pub struct Place {
    folder: tempfile::TempDir,
}

/// A process that waits for more lines.
pub struct Running {
    child: Child,
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).join("cluster.json")
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    pub fn write(&self, file: &str, content: &str) {
        std::fs::write(self.path().join(file), content).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sturdy"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// `sturdy run FILE --home home …`
    pub fn run(&self, file: &str, arguments: &[&str]) -> Output {
        self.command(&[&["run", file, "--home", "home"], arguments].concat()).output().unwrap()
    }

    /// The same with these lines on the standard input.
    pub fn pipe(&self, file: &str, arguments: &[&str], lines: &str) -> Output {
        let command = self.command(&[&["run", file, "--home", "home"], arguments].concat());
        feed(command, lines)
    }

    /// The same in a shell that limits the size of files.
    pub fn pipe_limited(&self, file: &str, file_kib: u32, lines: &str) -> Output {
        let program = env!("CARGO_BIN_EXE_sturdy");
        // Without the trap a file that grows too large ends the process with a signal instead of an error.
        let script = format!("trap '' XFSZ; ulimit -f {file_kib}; exec \"{program}\" run {file} --home home");
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(self.path());
        feed(command, lines)
    }

    /// A process that runs until it is ended.
    pub fn start(&self, file: &str) -> Running {
        let mut child = self
            .command(&["run", file, "--home", "home"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        BufReader::new(child.stderr.as_mut().unwrap()).lines().next().unwrap().unwrap();
        Running { child }
    }

    pub fn store(&self, arguments: &[&str]) -> Output {
        self.command(&[&["store"], arguments, &["--home", "home"]].concat()).output().unwrap()
    }

    pub fn is_sound(&self) {
        let check = self.store(&["check"]);
        assert!(check.status.success(), "{}", text(&check.stderr));
    }
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends its input and waits.
    /// Waits for an end that is not the input's: that stays open, so that it cannot come first.
    pub fn ended(mut self) -> Output {
        let _input = self.child.stdin.take();
        self.child.wait_with_output().unwrap()
    }

    pub fn end(mut self) -> Output {
        drop(self.child.stdin.take());
        self.child.wait_with_output().unwrap()
    }
}

fn feed(mut command: Command, lines: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    // From a thread: the process may answer before it has read everything, or end.
    let feeder = std::thread::spawn(move || {
        let _cut_off = input.write_all(lines.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}
