//! Real processes that talk to each other over real sockets of this host: started, asked line by line, killed. A wait
//! that takes far too long fails the test; no time is asserted.

use super::Place;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Far longer than anything here takes on a busy machine.
pub const HANG: Duration = Duration::from_mins(2);

/// Listens anywhere on this host.
pub const TCP: &str = "/ip4/127.0.0.1/tcp/0";

/// A vat that keeps references, calls them, remembers what it was told, and issues and redeems URLs.
const PARTY: &str = r"
import { E } from '@endo/far';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

const makePromiseKit = () => {
  let resolve;
  const promise = new Promise(r => { resolve = r; });
  return { promise, resolve };
};

export function buildRootObject(vatPowers, parameters, baggage) {
  if (parameters.refuse !== undefined) {
    throw Error(parameters.refuse);
  }
  if (!baggage.has('entries')) {
    baggage.init('entries', harden([]));
  }
  const waiting = new Map();
  const keep = (name, reference) => {
    if (baggage.has(`kept ${name}`)) {
      baggage.set(`kept ${name}`, reference);
    } else {
      baggage.init(`kept ${name}`, reference);
    }
  };
  const kept = name => baggage.get(`kept ${name}`);
  const call = (name, method, args) => E(kept(name))[method](...args);
  let begun;
  let later;
  return makeDefaultExo('Party', {
    bootstrap(_vats, services) {
      baggage.init('services', services);
    },
    name: () => parameters.name,
    add(entry) {
      baggage.set('entries', harden([...baggage.get('entries'), entry]));
      waiting.get(entry)?.resolve(entry);
      return baggage.get('entries').length;
    },
    entries: () => baggage.get('entries'),
    // Answers once the entry is there.
    when(entry) {
      if (baggage.get('entries').includes(entry)) {
        return entry;
      }
      waiting.set(entry, makePromiseKit());
      return waiting.get(entry).promise;
    },
    keep(name, reference) {
      keep(name, reference);
    },
    drop(name) {
      baggage.delete(`kept ${name}`);
    },
    call,
    // Does not wait for the answer.
    tell(name, method, args) {
      E.sendOnly(kept(name))[method](...args);
    },
    // The caller's name, asked back.
    greet: async who => `hello ${await E(who).name()}`,
    // A promise that is settled later, by this side.
    later() {
      later = makePromiseKit();
      return later.promise;
    },
    settle(value) {
      later.resolve(value);
    },
    async begin(name) {
      begun = E(kept(name)).later();
      await E(kept(name)).name(); // the call before it was heard
    },
    finish: () => begun,
    // A promise as an argument, settled after it was sent.
    async offer(name) {
      const offered = makePromiseKit();
      const told = E(kept(name)).double(offered.promise);
      offered.resolve(21);
      return told;
    },
    double: async number => 2 * (await number),
    // An object that nobody but the caller has.
    gift: () => makeDefaultExo('Gift', { unwrap: () => 'a gift' }),
    async take(from, name) {
      keep(name, await E(kept(from)).gift());
    },
    // Given away, and not kept.
    give: to => E(kept(to)).keep('gift', makeDefaultExo('Gift', { unwrap: () => 'a gift' })),
    introduce: (to, name, what) => E(kept(to)).keep(name, kept(what)),
    // Texts where an operator may see them.
    log(text) {
      console.log(text);
      console.debug(text);
      console.error(new Error(text));
    },
    fail(text) {
      throw Error(text);
    },
    end(text) {
      vatPowers.exitVatWithFailure(Error(text));
    },
    issue: reference => E(baggage.get('services').ocapURLIssuerService).issue(reference),
    // Does not wait for it.
    tryToRedeem(url) {
      E(baggage.get('services').ocapURLRedemptionService).redeem(url).catch(reason => console.log(`${reason}`));
    },
    async redeem(url, name) {
      keep(name, await E(baggage.get('services').ocapURLRedemptionService).redeem(url));
    },
  });
}
";

/// A folder with a cluster of one party that may issue and redeem URLs.
pub fn party(name: &str) -> Place {
    party_with(&format!(r#"{{"name": "{name}"}}"#))
}

/// The same with these parameters.
pub fn party_with(parameters: &str) -> Place {
    let place = Place::new();
    place.write("party.js", PARTY);
    let cluster = format!(
        r#"{{"bootstrap": "party", "services": ["ocapURLIssuerService", "ocapURLRedemptionService"],
            "vats": {{"party": {{"sourceSpec": "party.js", "parameters": {parameters}}}}}}}"#
    );
    place.write("cluster.json", &cluster);
    place
}

/// One running process.
pub struct Kernel {
    child: Child,
    results: Receiver<String>,
    notes: Receiver<String>,
    /// Every line that it has answered, as far as it was heard.
    pub heard: Vec<String>,
    /// Everything that it has noted.
    noted: Vec<String>,
}

impl Kernel {
    /// `sturdy run cluster.json --json` with these arguments.
    pub fn start(place: &Place, arguments: &[&str]) -> Self {
        let all = [&["run", "cluster.json", "--home", "home", "--json"], arguments].concat();
        let mut kernel = Self::of(place.command(&all));
        kernel.note("this kernel is ");
        kernel
    }

    /// `sturdy relay` at this address; returns where it is reached, too.
    pub fn relay(place: &Place, listen: &str) -> (Self, String) {
        let mut relay = Self::of(place.command(&["relay", "--listen", listen, "--key", "relay-key", "--json"]));
        loop {
            let event: Value = serde_json::from_str(&relay.line()).unwrap();
            if event["event"] == "listening" {
                return (relay, event["address"].as_str().unwrap().to_owned());
            }
        }
    }

    /// The process that this command begins.
    pub fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (results, notes) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, results, notes, heard: Vec::new(), noted: Vec::new() }
    }

    /// Says a line again and again until its value is so.
    pub fn ask_until(&mut self, line: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + HANG;
        loop {
            let value = self.ask(line);
            if is_so(&value) {
                return value;
            }
            assert!(Instant::now() < until, "{line} stays {value}: {}", self.told());
        }
    }

    /// Where it listens, without its peer id.
    pub fn address(&mut self) -> String {
        let line = self.note("listening on ");
        line.trim_start_matches("listening on ").split("/p2p/").next().unwrap().to_owned()
    }

    /// Says a line, without waiting for the answer.
    pub fn say(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next answer.
    pub fn hear(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// The value of a line that is to succeed.
    pub fn ask(&mut self, line: &str) -> Value {
        self.say(line);
        let answer = self.hear();
        assert_eq!(answer["ok"], true, "{line}: {answer}\n{}", self.told());
        answer["value"].clone()
    }

    /// The text that is this line's value.
    pub fn ask_text(&mut self, line: &str) -> String {
        self.ask(line).as_str().unwrap_or_default().to_owned()
    }

    /// The message of a line that is to fail.
    pub fn refuse(&mut self, line: &str) -> String {
        self.say(line);
        self.refusal()
    }

    /// The message of the next answer, which is to be a failure.
    pub fn refusal(&mut self) -> String {
        let answer = self.hear();
        assert_eq!(answer["ok"], false, "{answer}");
        answer["message"].as_str().unwrap().to_owned()
    }

    /// Waits until it has noted this, and returns the line.
    pub fn note(&mut self, part: &str) -> String {
        loop {
            if let Some(line) = self.noted.iter().find(|line| line.contains(part)) {
                return line.clone();
            }
            match self.notes.recv_timeout(HANG) {
                Ok(line) => self.noted.push(line),
                Err(why) => panic!("waited in vain for `{part}` ({why}): {}", self.told()),
            }
        }
    }

    /// Everything that it has noted so far.
    pub fn told(&mut self) -> String {
        self.noted.extend(self.notes.try_iter());
        self.noted.join("\n")
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends its input and waits; returns everything that it has noted.
    pub fn end(mut self) -> String {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
        self.noted.extend(self.notes.iter());
        self.noted.join("\n")
    }

    /// The next line of its output.
    pub fn line(&mut self) -> String {
        match self.results.recv_timeout(HANG) {
            Ok(line) => {
                self.heard.push(line.clone());
                line
            }
            Err(why) => panic!("no answer ({why}): {}", self.told()),
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.told());
        }
        // A test that has failed leaves nothing behind.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The lines of an output as they come.
pub fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
