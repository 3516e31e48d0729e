//! `sturdy run`: the cluster is launched or resumed, then calls are made until there are no more.

use crate::args::RunArgs;
use crate::converse::{Leaving, Typed, converse};
use crate::differences::{ChangedVat, differences};
use crate::out::{self, End};
use crate::prompt;
use crate::session::{Begun, Done, Form, Names, RequestName, Session};
use crate::show;
use crate::signals::{Asks, Signals};
use crate::waiting::LeftCalls;
use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use sturdy_daemon::cluster_file::{self, ClusterFile};
use sturdy_daemon::{
    Answer, Daemon, DaemonConfig, Handle, LaunchRequest, NetworkConfig, NetworkNews, Place, Refused, Report, Request,
    RequestError, Status, SubclusterInfo, URL_ISSUER, URL_REDEEMER, private_file,
};
use sturdy_types::{SubclusterId, redact_urls};
use tokio::sync::Notify;

/// Bytes of one line from a pipe: a message of the largest size, written out, fits.
const LINE_BYTES: u64 = 64 << 20;
/// How long vats may take to start before the first call is made anyway, in milliseconds.
const START_PATIENCE_MS: u64 = 10_000;
/// How long to wait for the first address before the first call is made anyway, in milliseconds.
const LISTEN_PATIENCE_MS: u64 = 5_000;
/// How long messages that nobody waits for may still be worked on after the last call, in milliseconds. What is not done
/// then goes on with the next run.
const END_PATIENCE_MS: u64 = 500;

/// Runs the command.
pub fn run(args: &RunArgs) -> Result<(), End> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| End::Error(format!("the operating system refuses what every process needs: {error}")))?;
    let ended = runtime.block_on(run_in(args));
    // A thread that still waits for the terminal or a pipe is not waited for.
    runtime.shutdown_background();
    ended
}

async fn run_in(args: &RunArgs) -> Result<(), End> {
    if args.serve && !has_network(args) {
        return Err(End::Error(
            "--serve is for other kernels, and none reaches this one without --listen or --relay".into(),
        ));
    }
    let label = label(&args.file)?;
    let file = cluster_file::load(&args.file);
    if let Err(error) = &file
        && !args.home.join("store").exists()
    {
        return Err(End::of(error)); // nothing to resume: no store is made for a mistake
    }
    let mut config = DaemonConfig::new(Place::Home(args.home.clone()));
    let listening = Arc::new(Notify::new());
    config.reporter = Arc::new(reporter(args.home.clone(), Arc::clone(&listening)));
    if has_network(args) {
        let (listen, relays, reached_at) = (args.listen.clone(), args.relay.clone(), args.reach.clone());
        config.network = Some(NetworkConfig { listen, relays, reached_at, ..NetworkConfig::default() });
    }
    config.kernel_limits.give_up_attempts = args.give_up_attempts;
    config.kernel_limits.give_up_after_ms = args.give_up_after;
    let mut signals = Signals::heed(); // before anything is shown: who sees something may send a signal
    let daemon = Daemon::start(config).await.map_err(End::of)?;
    let kernel = daemon.handle();
    if !args.listen.is_empty() {
        // URLs that are issued at once are to say where this kernel is.
        let _late = tokio::time::timeout(Duration::from_millis(LISTEN_PATIENCE_MS), listening.notified()).await;
    }
    let ended = until_told(&mut signals, args, &kernel, &label, file).await;
    daemon.shutdown().await;
    ended
}

/// Without one nobody is dialled, and nobody gets in.
const fn has_network(args: &RunArgs) -> bool {
    !args.listen.is_empty() || !args.relay.is_empty()
}

/// Serves until there is nothing more to do or a signal asks for the end.
async fn until_told(
    signals: &mut Signals,
    args: &RunArgs,
    kernel: &Handle,
    label: &str,
    file: Result<ClusterFile, cluster_file::ClusterFileError>,
) -> Result<(), End> {
    let leaving = Leaving::default();
    let mut serving = std::pin::pin!(serve(args, kernel, label, file, &leaving));
    loop {
        tokio::select! {
            ended = &mut serving => return ended,
            asks = signals.next() => {
                if asks == Asks::Interrupt && leaving.leave() {
                    continue;
                }
                out::note(&format!("{}: ending; everything goes on with the next run", asks.name()));
                // A service that is told to end has done all that was asked.
                return if args.serve { Ok(()) } else { Err(End::Told) };
            }
        }
    }
}

/// Shows reports; a fault is also kept in a file. The first address is also told to `listening`.
fn reporter(home: std::path::PathBuf, listening: Arc<Notify>) -> impl Fn(Report) + Send + Sync {
    move |report| {
        if let Report::Network(NetworkNews::Listening(_)) = &report {
            listening.notify_one();
        }
        let Some(text) = show::report(&report) else { return };
        if let Report::Fault { reason, .. } = &report {
            let file = home.join("flight-record.txt");
            let opened = private_file().create(true).truncate(true).write(true).open(&file);
            match opened.and_then(|mut opened| opened.write_all(redact_urls(&text).as_bytes())) {
                Ok(()) => out::note(&format!("the kernel has stopped: {reason}\nits last moments: {}", file.display())),
                Err(_) => out::note(&text), // the disk may well be what failed
            }
            return;
        }
        out::note(&text);
    }
}

/// The name under which the cluster is found again: its file, wherever it is named from.
fn label(file: &Path) -> Result<String, End> {
    let name = file.file_name().ok_or_else(|| End::Error(format!("{} names no file", file.display())))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The file itself may be gone; the store is enough to go on. Links to files are followed, as loading does.
    let path = fs::canonicalize(file).or_else(|_| Ok(fs::canonicalize(folder)?.join(name)));
    let path = path.map_err(|error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => End::Error(format!("{}: there is no such file", file.display())),
        _ => End::Error(format!("{}: {error}", file.display())),
    })?;
    Ok(path.to_string_lossy().into_owned())
}

async fn serve(
    args: &RunArgs,
    kernel: &Handle,
    label: &str,
    file: Result<ClusterFile, cluster_file::ClusterFileError>,
    leaving: &Leaving,
) -> Result<(), End> {
    let status = kernel.status().await.map_err(End::of)?;
    let stored = status.subclusters.iter().find(|info| info.label.as_deref() == Some(label));
    let id = match stored {
        None => launch(kernel, label, file.map_err(End::of)?).await?,
        Some(info) => {
            resume(args, kernel, info, &status, file).await?;
            info.id
        }
    };
    // A vat that works for ever keeps the kernel from ever being quiet.
    let _busy = tokio::time::timeout(Duration::from_millis(START_PATIENCE_MS), kernel.quiet()).await;
    let status = kernel.status().await.map_err(End::of)?;
    let Some(info) = status.subclusters.iter().find(|info| info.id == id) else {
        return Err(End::Error(format!("{id} ended by itself; look at what its vats said above")));
    };
    let is_terminal = args.call.is_empty() && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let about =
        format!("{}: {}", if stored.is_some() { "resumed" } else { "launched" }, show::subcluster(info, &status));
    out::note(&about);
    if has_network(args) {
        out::note(&format!("this kernel is {}", kernel.network().await.map_err(End::of)?.peer_id));
    }
    if args.serve {
        return Err(End::Error(kernel.ended().await));
    }
    let form = if args.json { Form::Json } else { Form::Values };
    let mut session = Session {
        kernel: kernel.clone(),
        subcluster: id,
        names: Names::of_vats(info, &status),
        form,
        left: LeftCalls::default(),
    };
    let done = if !args.call.is_empty() {
        make_calls(args, &mut session).await?
    } else if is_terminal {
        out::note("Type calls such as root.method(1, 'two'), or :help.");
        let mut lines = prompt::from_terminal(&args.home).map_err(End::Error)?;
        converse(&mut session, &mut lines, leaving).await?;
        Done::Well
    } else {
        let mut lines = prompt::from_pipe(LINE_BYTES).map_err(End::Error)?;
        let done = converse(&mut session, &mut lines, leaving).await?;
        if has_network(args) && !lines.were_any {
            out::note("there were no calls to read, so this kernel ends; to go on for others, say --serve");
        }
        done
    };
    if !is_terminal {
        let _busy = tokio::time::timeout(Duration::from_millis(END_PATIENCE_MS), kernel.quiet()).await;
    }
    if done == Done::Well { Ok(()) } else { Err(End::Told) }
}

async fn launch(kernel: &Handle, label: &str, file: ClusterFile) -> Result<SubclusterId, End> {
    let request =
        LaunchRequest { config: file.config, sources: file.sources, system_name: None, label: Some(label.to_owned()) };
    match kernel.request(Request::Launch(Box::new(request))).await {
        Ok(Answer::Launched { subcluster, .. }) => Ok(subcluster),
        Ok(other) => Err(End::Error(format!("the launch was answered with {other:?}"))),
        Err(error) => {
            let known = match &error {
                RequestError::Refused(Refused::NoSuchService(_)) => {
                    format!("; known are: {URL_ISSUER}, {URL_REDEEMER}")
                }
                _ => String::new(),
            };
            Err(End::Error(format!("{label} could not be launched: {}{known}", show::tame(&error.to_string()))))
        }
    }
}

/// The stored cluster goes on; what its files say now is told, and with `--reload` done.
async fn resume(
    args: &RunArgs,
    kernel: &Handle,
    info: &SubclusterInfo,
    status: &Status,
    file: Result<ClusterFile, cluster_file::ClusterFileError>,
) -> Result<(), End> {
    let file = match file {
        Ok(file) => file,
        Err(error) if args.reload => return Err(End::of(error)),
        Err(error) => {
            out::note(&format!("warning: {error}\n  the cluster goes on with the code in the store"));
            return Ok(());
        }
    };
    let found = differences(info, status, &file);
    for what in &found.fixed {
        out::note(&format!(
            "warning: {} has changed, but in the store {what}; that cannot be reloaded: to begin anew, `:terminate {}` \
             or another --home",
            args.file.display(),
            info.id
        ));
    }
    let mut refused = false;
    for change in found.changed {
        if args.reload {
            refused |= reload(kernel, change, &file).await? == Done::Badly;
        } else {
            out::note(&format!(
                "warning: vat {}: {}; the code in the store goes on; --reload takes the new one",
                change.name, change.what
            ));
        }
    }
    if refused { Err(End::Told) } else { Ok(()) }
}

async fn reload(kernel: &Handle, change: ChangedVat, file: &ClusterFile) -> Result<Done, End> {
    let ChangedVat { vat, name, what, config } = change;
    let wanted = |hash| config.code.modules.iter().any(|(_, wanted)| *wanted == hash);
    let sources = file.sources.iter().filter(|source| wanted(source.hash)).cloned().collect();
    let request = Request::ReloadVat { vat, config: Box::new(config.clone()), sources };
    match kernel.request(request).await {
        Ok(_) => {
            out::note(&format!("reloaded vat {name}: {what}"));
            Ok(Done::Well)
        }
        Err(RequestError::Refused(refused)) => {
            let refused = show::tame(&refused.to_string());
            out::note(&format!("Error: vat {name} was not reloaded and nothing has changed: {refused}"));
            Ok(Done::Badly)
        }
        Err(stopped) => Err(End::of(stopped)),
    }
}

async fn make_calls(args: &RunArgs, session: &mut Session) -> Result<Done, End> {
    let several = args.call.len() > 1;
    let mut all = Done::Well;
    for (index, text) in (1..).zip(&args.call) {
        let request = args.request_id.as_ref().map(|id| RequestName {
            // One name cannot be two calls.
            id: if several { format!("{id}/{index}") } else { id.clone() },
            forget: args.forget,
        });
        if text.trim_start().starts_with(':') {
            session.failed(text, "commands are for the prompt or a pipe; --call makes a call")?;
            all = Done::Badly;
            continue;
        }
        all = all.and(match session.begin(Typed::waited_for(text), request).await? {
            Begun::Over(done) => done,
            Begun::Waits(mut waiting) => {
                let settling = waiting.settled().await;
                session.conclude(&waiting.asked, settling).await?
            }
        });
    }
    Ok(all)
}
