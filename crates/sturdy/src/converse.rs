//! Line after line, from the terminal or a pipe, until there are no more.
//!
//! What always holds: a line is read when the one before is answered; a call is answered by its result, or, once it was
//! left, by the name under which its result is told later, so that no call keeps others from being heard for ever. A line
//! that ends with `&` leaves its call at once; at the terminal Ctrl-C leaves the one that is waited for.

use crate::colon::{self, Next};
use crate::out::{self, End};
use crate::prompt::{Lines, Source};
use crate::session::{Begun, Done, Session};
use crate::waiting::{LeftCalls, Waiting};
use std::cell::Cell;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a call waits at the terminal before it is told that it can be left, in milliseconds.
const LEAVE_HINT_MS: u64 = 2_000;

/// A line, and what it says besides how it is to be waited for.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'a> {
    /// As it stands.
    pub line: &'a str,
    /// The call or the command.
    pub code: &'a str,
    /// What is to be done about the result of a call.
    manner: Manner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Wait,
    Leave,
}

impl<'a> Typed<'a> {
    /// A call whose result is waited for, whatever it ends with.
    pub const fn waited_for(line: &'a str) -> Self {
        Self { line, code: line, manner: Manner::Wait }
    }

    fn read(line: &'a str) -> Self {
        match line.strip_suffix('&') {
            Some(code) => Self { line, code: code.trim_end(), manner: Manner::Leave },
            None => Self::waited_for(line),
        }
    }
}

/// How the call that is waited for is left.
#[derive(Default)]
pub struct Leaving {
    can_be: Cell<bool>,
    asked: Notify,
}

impl Leaving {
    /// Leaves it. False if none is waited for that can be left.
    pub fn leave(&self) -> bool {
        self.asked.notify_waiters(); // it is no news to calls that come later
        self.can_be.get()
    }
}

/// Takes line after line. Whether all did what they asked.
pub async fn converse(session: &mut Session, lines: &mut Lines, leaving: &Leaving) -> Result<Done, End> {
    let mut all = Done::Well;
    loop {
        *lines.words.lock().unwrap_or_else(PoisonError::into_inner) = session.names.all();
        let line = tokio::select! {
            line = lines.next() => line,
            ended = session.left.next() => {
                let (asked, settling) = ended?;
                all = all.and(session.conclude(&asked, settling).await?);
                continue;
            }
        };
        let Some(line) = line else { break };
        let line = line.map_err(End::Error)?;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let typed = Typed::read(line);
        let next = if line.starts_with(':') {
            colon::command(session, typed).await?
        } else {
            match session.begin(typed, None).await? {
                Begun::Over(done) => Next::Line(done),
                Begun::Waits(waiting) => Next::Waits(waiting),
            }
        };
        all = all.and(match next {
            Next::Quit => {
                tell_untold(&session.left);
                return Ok(all);
            }
            Next::Line(done) => done,
            Next::Waits(waiting) if typed.manner == Manner::Leave => leave(session, waiting).await?,
            Next::Waits(waiting) => attend(session, waiting, lines.source, leaving).await?,
        });
    }
    match lines.source {
        // Whoever has written all lines reads on.
        Source::Pipe => {
            while !session.left.is_empty() {
                let (asked, settling) = session.left.next().await?;
                all = all.and(session.conclude(&asked, settling).await?);
            }
        }
        Source::Terminal => tell_untold(&session.left),
    }
    Ok(all)
}

/// Waits for a call, until it is left. What has been left before is told meanwhile.
async fn attend(session: &mut Session, mut waiting: Waiting, source: Source, leaving: &Leaving) -> Result<Done, End> {
    let mut all = Done::Well;
    let mut hint = std::pin::pin!(hint(source));
    loop {
        leaving.can_be.set(source == Source::Terminal);
        tokio::select! {
            settling = waiting.settled() => {
                leaving.can_be.set(false);
                return Ok(all.and(session.conclude(&waiting.asked, settling).await?));
            }
            ended = session.left.next() => {
                let (asked, settling) = ended?;
                all = all.and(session.conclude(&asked, settling).await?);
            }
            () = leaving.asked.notified(), if source == Source::Terminal => {
                leaving.can_be.set(false);
                out::note(""); // the terminal stands behind `^C`
                match session.leave(waiting).await? {
                    None => return Ok(all),
                    Some(still) => {
                        out::note(&LeftCalls::too_many());
                        waiting = still;
                    }
                }
            }
            () = &mut hint => {}
        }
    }
}

async fn leave(session: &mut Session, waiting: Waiting) -> Result<Done, End> {
    match session.leave(waiting).await? {
        None => Ok(Done::Well),
        Some(not_made) => {
            session.failed(&not_made.asked.line, &LeftCalls::too_many())?;
            Ok(Done::Badly)
        }
    }
}

/// Tells, once, what can be done about a call that waits.
async fn hint(source: Source) {
    if source == Source::Terminal {
        tokio::time::sleep(Duration::from_millis(LEAVE_HINT_MS)).await;
        out::note("(it waits; Ctrl-C leaves it, and its result is told when it comes)");
    }
    std::future::pending::<()>().await;
}

/// Calls that go on, but not in this process's care.
fn tell_untold(left: &LeftCalls) {
    for (name, line) in left.list() {
        out::note(&format!("{name} goes on, but nobody is told its result: {line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Form, Names};
    use sturdy_daemon::{Answer, Daemon, DaemonConfig, LaunchRequest, Place, Request, cluster_file};
    use tokio::sync::mpsc;
    use tokio::task::yield_now;

    const VAT: &str = "import { makeDefaultExo } from '@metamask/kernel-utils/exo';
export function buildRootObject() {
  let settle;
  return makeDefaultExo('Root', {
    bootstrap() {},
    later: () => new Promise(resolve => { settle = resolve; }),
    settle() { settle(makeDefaultExo('Late', {})); },
  });
}
";

    async fn session(daemon: &Daemon, file: &std::path::Path) -> Session {
        let (kernel, file) = (daemon.handle(), cluster_file::load(file).unwrap());
        let launch = LaunchRequest { config: file.config, sources: file.sources, system_name: None, label: None };
        let subcluster = match kernel.request(Request::Launch(Box::new(launch))).await.unwrap() {
            Answer::Launched { subcluster, .. } => subcluster,
            other => panic!("{other:?}"),
        };
        let status = kernel.status().await.unwrap();
        let names = Names::of_vats(&status.subclusters[0], &status);
        Session { kernel, subcluster, names, form: Form::Values, left: LeftCalls::default() }
    }

    #[tokio::test]
    async fn a_call_at_the_terminal_is_left_by_an_interrupt_and_told_when_its_result_comes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vat.js");
        std::fs::write(&file, VAT).unwrap();
        let daemon = Daemon::start(DaemonConfig::new(Place::Home(folder.path().join("home")))).await.unwrap();
        let mut session = session(&daemon, &file).await;
        let (keys, typed) = mpsc::channel(1);
        let mut lines = Lines::from_channel(typed, Source::Terminal);
        let (words, leaving) = (lines.words.clone(), Leaving::default());
        let is_named = |name: &str| words.lock().unwrap().iter().any(|word| word == name);
        let somebody = async {
            assert!(!leaving.leave(), "nothing is waited for, so an interrupt means the end");
            keys.send(Ok("vat.later()".to_owned())).await.unwrap();
            while !leaving.leave() {
                yield_now().await;
            }
            assert!(!is_named("$1"));
            // The call that settles it is waited for, and others go on being left.
            keys.send(Ok("vat.settle()".to_owned())).await.unwrap();
            while !is_named("$1") {
                yield_now().await;
            }
            keys.send(Ok("vat.later() &".to_owned())).await.unwrap();
            drop(keys);
        };
        let (done, ()) = tokio::join!(converse(&mut session, &mut lines, &leaving), somebody);
        assert_eq!(done.unwrap(), Done::Well, "the end at the terminal waits for nothing");
        let left: Vec<String> = session.left.list().map(|(name, line)| format!("{name}: {line}")).collect();
        assert_eq!(left, ["&2: vat.later() &"]);
        daemon.shutdown().await;
    }
}
