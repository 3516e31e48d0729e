//! The commands of the prompt that are no calls: they begin with a colon.

use crate::converse::Typed;
use crate::out::{self, End};
use crate::peers::{self, Told};
use crate::prompt::COMMANDS;
use crate::session::{Done, Form, Names, Session, print_json};
use crate::show;
use crate::waiting::Waiting;
use sturdy_daemon::{Answer, Request, RequestError};
use sturdy_types::{KRef, SubclusterId, VatId, json_string, redact_urls};

const HELP: &str = "\
name.method(1, 'two', {three: [3n, true]}, $1)   call a method; the result is printed
name                                             tell what a name stands for
name.method(…) &   the same without waiting for the result, which is told when it comes; so does Ctrl-C while it waits
:calls             the calls that were left like that and still wait
:status            everything that is running
:vats              the vats of this cluster
:names             the names that can be used
:stats             counters of this kernel
:restart v1        begin a new heap of a vat over its durable state
:terminate v1      end a vat, or (s1) a cluster, for ever
:reap [v1]         ask a vat, or all, for their garbage
:revoke ko5        make an object unusable for ever
:url issue NAME [--expires 2h] [--once]          print a URL; whoever has it gets the object
:url redeem URL [as NAME]                        get what another kernel's URL stands for
:url list, :url revoke url1                       the URLs of this kernel; end one
:peers             other kernels that this one talks to, and where it can be reached itself
:peers close PEER [--discard] | reconnect PEER   hang up until reconnected | talk again
:peers give-up PEER | forget PEER                stop waiting | let go of everything of a peer but its number
:peers patience PEER [--attempts 20] [--after 7d]   give it up by itself after so many failures, or so long
:help              this
:quit              end (so do Ctrl-D and the end of a pipe); everything goes on with the next run";

/// The command that somebody means who has left out the colon.
pub fn meant(word: &str) -> Option<&'static str> {
    match word {
        "q" | "exit" => Some(":quit"),
        "h" => Some(":help"),
        _ => COMMANDS.iter().find_map(|command| {
            let command = command.split(' ').next()?;
            (command.strip_prefix(':') == Some(word)).then_some(command)
        }),
    }
}

/// What comes after a command.
pub enum Next {
    /// The next line.
    Line(Done),
    /// A call, which can be waited for or left.
    Waits(Waiting),
    /// The end.
    Quit,
}

/// Carries out a line that begins with a colon.
pub async fn command(session: &mut Session, typed: Typed<'_>) -> Result<Next, End> {
    let Typed { line, code, .. } = typed;
    let words: Vec<&str> = code.split_whitespace().collect();
    let (command, argument) = (words.first().copied().unwrap_or(":"), words.get(1).copied());
    let answer = match (command, argument) {
        (":url", _) => {
            let told = peers::url(session, line, &words[1..]).await;
            return with_peers(session, line, told);
        }
        (":peers" | ":peer", _) => {
            let told = peers::peers(session, &words[1..]).await;
            return with_peers(session, line, told);
        }
        (":stats", _) => {
            let stats = session.kernel.stats().await.map_err(End::of)?;
            let (text, json) = (show::stats(&stats), show::stats_json(&stats));
            return with_peers(session, line, Ok(Told::Value { text, json }));
        }
        (":calls", None) => return with_peers(session, line, Ok(calls(session))),
        (":reset" | ":identity" | ":store", _) => {
            let command = &command[1..];
            let how = format!("`sturdy {command}` does that, from a shell, while nothing runs in the store");
            Err(Failed::Told(format!("{how}; `sturdy {command} --help` tells more")))
        }
        (":relay" | ":new" | ":run", _) => {
            Err(Failed::Told(format!("`sturdy {}` does that, from another shell", &command[1..])))
        }
        (":quit" | ":q" | ":exit", _) => return Ok(Next::Quit),
        (":help" | ":h" | ":?", _) => Ok(HELP.to_owned()),
        (":status", _) => Ok(show::status(&session.kernel.status().await.map_err(End::of)?)),
        (":vats", _) => vats(session).await,
        (":names", _) => Ok(session.names.all().join(", ")),
        (":restart", Some(vat)) => with(vat, |vat: VatId| ask(session, Request::RestartVat(vat))).await,
        (":terminate", Some(id)) if id.starts_with('s') => {
            with(id, |id: SubclusterId| ask(session, Request::TerminateSubcluster(id))).await
        }
        (":terminate", Some(vat)) => {
            let reason = || "somebody asked for it at the prompt".to_owned();
            with(vat, |vat: VatId| ask(session, Request::TerminateVat { vat, reason: reason() })).await
        }
        (":reap", None) => ask(session, Request::Reap(Vec::new())).await,
        (":reap", Some(vat)) => with(vat, |vat: VatId| ask(session, Request::Reap(vec![vat]))).await,
        (":revoke", Some(kref)) => with(kref, |kref: KRef| ask(session, Request::Revoke(kref))).await,
        (":restart" | ":terminate" | ":revoke", None) => Err(Failed::Told(format!("{command} of what? See :help"))),
        _ => Err(Failed::Told(format!("there is no command {}; :help lists them", show::tame(command)))),
    };
    match answer {
        Ok(text) => {
            match session.form {
                Form::Values => out::told(&text)?,
                Form::Json => print_json(line, &json_string(&redact_urls(&text)))?,
            }
            Ok(Next::Line(Done::Well))
        }
        Err(failed) => failed.tell(session, line),
    }
}

/// What keeps a command from being done.
pub enum Failed {
    /// This; the next line may do better.
    Told(String),
    /// Nothing more can be done.
    Stopped(End),
}

impl Failed {
    fn tell(self, session: &Session, line: &str) -> Result<Next, End> {
        match self {
            Self::Told(text) => session.failed(line, &text).map(|()| Next::Line(Done::Badly)),
            Self::Stopped(end) => Err(end),
        }
    }
}

fn with_peers(session: &Session, line: &str, told: Result<Told, Failed>) -> Result<Next, End> {
    match told {
        Ok(Told::Waits(waiting)) => Ok(Next::Waits(waiting)),
        Ok(Told::Value { text, json }) => {
            match session.form {
                Form::Values => out::result(&text)?,
                Form::Json => print_json(line, &json)?,
            }
            Ok(Next::Line(Done::Well))
        }
        Err(failed) => failed.tell(session, line),
    }
}

/// Reads the argument and goes on with it.
async fn with<T: std::str::FromStr, F: Future<Output = Result<String, Failed>>>(
    text: &str,
    then: impl FnOnce(T) -> F,
) -> Result<String, Failed>
where
    T::Err: std::fmt::Display,
{
    match text.parse() {
        Ok(id) => then(id).await,
        Err(error) => Err(Failed::Told(format!("{error}"))),
    }
}

async fn ask(session: &Session, request: Request) -> Result<String, Failed> {
    match session.kernel.request(request).await {
        Ok(Answer::Done) => Ok("done".into()),
        Ok(other) => Ok(format!("{other:?}")),
        Err(RequestError::Refused(refused)) => Err(Failed::Told(refused.to_string())),
        Err(stopped) => Err(Failed::Stopped(End::of(stopped))),
    }
}

/// The calls that were left and still wait.
fn calls(session: &Session) -> Told {
    let calls: Vec<(String, String)> =
        session.left.list().map(|(name, line)| (name.to_string(), show::tame(&line))).collect();
    let lines: Vec<String> = calls.iter().map(|(name, line)| format!("{name}: {line}")).collect();
    let text = if lines.is_empty() { "no call was left that still waits".to_owned() } else { lines.join("\n") };
    let json = calls.iter().map(|(name, line)| format!("{{\"begun\":\"{name}\",\"call\":{}}}", json_string(line)));
    Told::Value { text, json: peers::json_list(json) }
}

async fn vats(session: &mut Session) -> Result<String, Failed> {
    let status = session.kernel.status().await.map_err(|error| Failed::Stopped(End::of(error)))?;
    let Some(info) = status.subclusters.iter().find(|info| info.id == session.subcluster) else {
        session.names = Names::default();
        return Err(Failed::Told(format!("{} is gone", session.subcluster)));
    };
    Ok(show::subcluster(info, &status))
}
