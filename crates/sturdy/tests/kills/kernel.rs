//! Two processes, each with a bank, joined by URLs that lead through proxies.

use crate::proxy::Proxy;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A process that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where kernels listen. It is not where the proxies are, so that kernels do not learn from each other how to go round them.
pub const HOST: &str = "127.0.0.2";

/// One kernel and the process that runs it, if one does.
pub struct Kernel {
    name: &'static str,
    home: PathBuf,
    port: u16,
    peer: String,
    process: Option<Process>,
}

struct Process {
    child: Child,
    answers: Receiver<String>,
    told: Arc<Mutex<String>>,
    /// Lines that were said and not answered.
    unanswered: usize,
    /// Whether a line was refused, which its exit status then says.
    refused: bool,
}

impl Process {
    /// What it has said beside its answers, repetitions left out.
    fn said(&self) -> String {
        let told = self.told.lock().unwrap();
        let mut lines: Vec<&str> = told.lines().collect();
        lines.dedup();
        lines.truncate(60);
        lines.join("\n")
    }
}

impl Kernel {
    fn new(name: &'static str, folder: &Path) -> Self {
        // Free now, and each start of the kernel takes the same one again.
        let port = TcpListener::bind((HOST, 0)).unwrap().local_addr().unwrap().port();
        Self { name, home: folder.join(name), port, peer: String::new(), process: None }
    }

    pub fn peer(&self) -> &str {
        &self.peer
    }

    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "{} runs", self.name);
        let bank = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kills/bank.js");
        let listen = format!("/ip4/{HOST}/tcp/{}", self.port);
        let mut child = Command::new(env!("CARGO_BIN_EXE_sturdy"))
            .args(["run", bank.to_str().unwrap(), "--json", "--listen", &listen, "--home"])
            .arg(&self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (hear, answers) = channel();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || out.map_while(Result::ok).try_for_each(|line| hear.send(line)));
        let (err, told) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::<Mutex<String>>::default());
        let keep = Arc::clone(&told);
        thread::spawn(move || {
            for line in err.map_while(Result::ok) {
                keep.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        self.process = Some(Process { child, answers, told, unanswered: 0, refused: false });
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// A line, without waiting for its answer.
    pub fn say(&mut self, line: &str) {
        let process = self.process();
        process.unanswered += 1;
        process.child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// A line that was left with `&` will be answered next.
    pub fn expect_another(&mut self) {
        self.process().unanswered += 1;
    }

    fn next(&mut self) -> Value {
        let name = self.name;
        let process = self.process();
        let Ok(line) = process.answers.recv_timeout(PATIENCE) else {
            panic!("{name} has ended or hangs");
        };
        process.unanswered -= 1;
        serde_json::from_str(&line).unwrap()
    }

    fn hear(&mut self) -> Value {
        let answer = self.next();
        assert_eq!(answer["ok"], true, "{}: {answer}", self.name);
        answer["value"].clone()
    }

    /// Why the next line was not done.
    pub fn refusal(&mut self) -> String {
        let answer = self.next();
        assert_eq!(answer["ok"], false, "{}: {answer}", self.name);
        self.process().refused = true;
        answer["message"].as_str().unwrap().to_owned()
    }

    /// The answer to the next line; tells that it was one.
    pub fn hear_one(&mut self) -> usize {
        self.hear();
        1
    }

    /// The answers to everything that was said; tells how many there were.
    pub fn hear_all(&mut self) -> usize {
        let unanswered = self.process().unanswered;
        for _ in 0..unanswered {
            self.hear();
        }
        unanswered
    }

    pub fn ask(&mut self, line: &str) -> Value {
        assert_eq!(self.process().unanswered, 0, "{line}: nothing else is to be answered first");
        self.say(line);
        self.hear()
    }

    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.child.kill().unwrap(); // SIGKILL
        process.child.wait().unwrap();
    }

    /// It takes nothing in any more; what is said to it waits in sockets.
    pub fn freeze(&mut self) {
        self.signal("-STOP");
    }

    pub fn thaw(&mut self) {
        self.signal("-CONT");
    }

    fn signal(&mut self, signal: &str) {
        let id = self.process().child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// What it knew is gone; who it is lies beside the store.
    pub fn lose_store(&mut self) {
        assert!(self.process.is_none(), "{} runs", self.name);
        std::fs::remove_dir_all(self.home.join("store")).unwrap();
    }

    /// Ends its input, and looks at what it leaves.
    pub fn end(&mut self) {
        let mut process = self.process.take().expect("it runs");
        drop(process.child.stdin.take());
        let ended = process.child.wait().unwrap();
        assert_eq!(ended.code(), Some(i32::from(process.refused)), "{ended}: {}", process.told.lock().unwrap());
        let mut check = Command::new(env!("CARGO_BIN_EXE_sturdy"));
        let check = check.args(["store", "check", "--home"]).arg(&self.home).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    }

    fn url(&mut self) -> String {
        self.ask(":url issue bank").as_str().unwrap().to_owned()
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ended_already = process.child.kill();
            let _reaped = process.child.wait();
        }
    }
}

/// Two kernels that know each other.
pub struct Two {
    pub a: Kernel,
    pub b: Kernel,
    /// The way from `b` to `a`.
    pub to_a: Proxy,
    /// The way from `a` to `b`.
    pub to_b: Proxy,
    /// How often they were joined.
    joined: u32,
    /// Payments up to the last settlement.
    pub paid: u64,
    _folder: tempfile::TempDir,
}

impl Two {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (Kernel::new("a", folder.path()), Kernel::new("b", folder.path()));
        let (to_a, to_b) = (Proxy::to(a.port), Proxy::to(b.port));
        let mut two = Self { a, b, to_a, to_b, joined: 0, paid: 0, _folder: folder };
        two.a.restart();
        two.b.restart();
        two.join();
        two
    }

    /// Each gets the other's URL.
    pub fn join(&mut self) {
        self.joined += 1;
        let name = format!("other{}", self.joined);
        introduce(&mut self.a, &self.to_a, &mut self.b, &name);
        introduce(&mut self.b, &self.to_b, &mut self.a, &name);
    }

    /// Order is kept, so what is answered last has found everything before it. Then the books of both must agree.
    pub fn settle(&mut self) {
        for kernel in [&mut self.a, &mut self.b] {
            assert_eq!(kernel.ask("bank.pay(1, 0)"), 1);
        }
        let (a, b) = (self.a.ask("bank.books()"), self.b.ask("bank.books()"));
        let number = |books: &Value, what: &str| books[what].as_u64().unwrap();
        assert_eq!(number(&a, "balance") + number(&b, "balance"), 2_000_000, "money is made or lost: {a} {b}");
        assert_eq!((&a["sent"], &b["sent"]), (&b["received"], &a["received"]), "lost or repeated: {a} {b}");
        assert_eq!((number(&a, "disorder"), number(&b, "disorder")), (0, 0), "out of order: {a} {b}");
        self.paid = number(&a, "sent") + number(&b, "sent");
    }

    /// Money moves both ways again after one side has lost its store and they have met anew. Of what was counted before,
    /// only one side knows.
    pub fn resume(&mut self) {
        self.join();
        let balances = |two: &mut Self| {
            [&mut two.a, &mut two.b].map(|kernel| kernel.ask("bank.books()")["balance"].as_u64().unwrap())
        };
        let before = balances(self);
        assert_eq!(self.a.ask("bank.pay(7, 2)"), 7);
        assert_eq!(self.b.ask("bank.pay(3, 5)"), 3);
        assert_eq!(balances(self), [before[0] + 1, before[1] - 1]);
    }

    /// Everything is acknowledged soon, nothing waits any more, and the stores are sound.
    pub fn end(&mut self) {
        for kernel in [&mut self.a, &mut self.b] {
            let until = Instant::now() + PATIENCE;
            while kernel.ask(":peers")[0]["pendingMessages"] != 0 {
                assert!(Instant::now() < until, "messages of {} wait for no reason", kernel.name);
            }
        }
        for kernel in [&mut self.a, &mut self.b] {
            kernel.end();
        }
    }
}

impl Drop for Two {
    /// Tells what is known when a test fails.
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        for kernel in [&mut self.a, &mut self.b] {
            if let Some(process) = &mut kernel.process {
                let _ended_already = (process.child.kill(), process.child.wait());
                println!("{} said:\n{}", kernel.name, process.said());
            }
            let mut peers = Command::new(env!("CARGO_BIN_EXE_sturdy"));
            let peers = peers.args(["peers", "--home"]).arg(&kernel.home).output().unwrap();
            println!("{} knows:\n{}", kernel.name, String::from_utf8_lossy(&peers.stdout));
        }
    }
}

/// One gets the other's URL, which leads it through the proxy.
fn introduce(giver: &mut Kernel, way: &Proxy, taker: &mut Kernel, name: &str) {
    let url = giver.url();
    let (secret, _direct) = url.split_once(',').unwrap();
    secret.split_once('@').unwrap().1.clone_into(&mut giver.peer);
    let detour = format!("{secret},/ip4/127.0.0.1/tcp/{}/p2p/{}", way.port(), giver.peer);
    taker.ask(&format!(":url redeem {detour} as {name}"));
    taker.ask(&format!("bank.meet({name})"));
}
