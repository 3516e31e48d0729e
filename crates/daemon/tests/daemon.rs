//! The daemon with native vats: answers, commits, restarts, services, hangs.

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use sturdy_daemon::{
    Answer, Daemon, DaemonConfig, Handle, LaunchRequest, Place, Report, Request, RequestError, Runtimes, ServiceAccess,
    Settled,
};
use sturdy_store::MemoryEngine;
use sturdy_types::{CapData, ClusterConfig, CodeSpec, KRef, ObjectId, RuntimeKind, VatConfig};
use sturdy_vat::{Call, Crank, NativeRuntime, Object, Reply, error_value};

/// Counts in its durable state; `call` passes a message on to its first argument; `hang` never comes back.
struct Counter;

impl Object for Counter {
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        match call.method {
            "bootstrap" => match call.slots.get(1) {
                // The second slot, if any, is the first service.
                Some(&service) => {
                    crank.send_with_result(service, methargs("ask", "[]", vec![]), call.result);
                    Reply::Later
                }
                None => Reply::Value(CapData::plain("#\"up\"")),
            },
            "increment" => {
                let count: u64 = crank.get("count").map_or(0, |text| text.parse().unwrap()) + 1;
                crank.set("count", count.to_string());
                Reply::Value(CapData::plain(format!("#{count}")))
            }
            "call" => {
                crank.send_with_result(call.slots[0], methargs("increment", "[]", vec![]), call.result);
                Reply::Later
            }
            "give" => {
                let object = crank.export(Rc::new(Counter));
                Reply::Value(CapData { body: "#\"$0.Alleged: Counter\"".into(), slots: vec![object] })
            }
            "again" => {
                // For ever, but one delivery at a time.
                crank.send_only(sturdy_types::VRef::ROOT, "again", "[]", vec![]);
                Reply::Value(CapData::plain("#\"#undefined\""))
            }
            "hang" => loop {
                std::thread::park();
            },
            _ => Reply::Error(error_value("no such method")),
        }
    }
}

fn methargs<R>(method: &str, args: &str, slots: Vec<R>) -> CapData<R> {
    CapData { body: format!("#[\"{method}\",{args}]"), slots }
}

fn config(place: Place) -> DaemonConfig {
    let mut config = DaemonConfig::new(place);
    config.runtimes = Box::new(|log| {
        let mut native = NativeRuntime::new();
        native.register("counter", |_, _| Ok(Rc::new(Counter)));
        Runtimes::standard(log).with_native(native)
    });
    config
}

fn cluster(names: &[&str], services: &[&str]) -> ClusterConfig {
    let code = CodeSpec { runtime: RuntimeKind::Native, entry: "counter".into(), modules: Vec::new() };
    let vat = VatConfig { code, parameters: "#{}".into(), globals: Vec::new() };
    ClusterConfig {
        bootstrap: names[0].to_owned(),
        vats: names.iter().map(|&name| (name.to_owned(), vat.clone())).collect(),
        services: services.iter().map(|&name| name.to_owned()).collect(),
    }
}

fn memory() -> Place {
    Place::Engine(Box::new(|| Box::new(MemoryEngine::default())))
}

fn home(path: &Path) -> Place {
    Place::Home(path.to_owned())
}

async fn launch(
    kernel: &Handle,
    cluster: ClusterConfig,
    system: Option<&str>,
) -> Result<(ObjectId, String), RequestError> {
    let request =
        LaunchRequest { config: cluster, sources: Vec::new(), system_name: system.map(Into::into), label: None };
    match kernel.request(Request::Launch(Box::new(request))).await? {
        Answer::Launched { root, bootstrap, .. } => Ok((root, bootstrap.body)),
        other => panic!("{other:?}"),
    }
}

async fn call(kernel: &Handle, target: ObjectId, method: &str, slots: Vec<KRef>) -> Settled {
    let args = if slots.is_empty() { "[]" } else { "[\"$0\"]" };
    kernel.call(target.into(), methargs(method, args, slots), None).await.unwrap()
}

#[tokio::test]
async fn a_caller_waiting_alone_gets_its_answer_after_one_commit() {
    let daemon = Daemon::start(config(memory())).await.unwrap();
    let kernel = daemon.handle();
    let (root, bootstrap) = launch(&kernel, cluster(&["a"], &[]), None).await.unwrap();
    assert_eq!(bootstrap, "#\"up\"");
    let before = kernel.stats().await.unwrap().engine.commits;
    for count in 1..=100 {
        let settled = call(&kernel, root, "increment", vec![]).await;
        assert_eq!(settled.value.body, format!("#{count}"));
        kernel.acknowledge(settled.call).await.unwrap();
    }
    let commits = kernel.stats().await.unwrap().engine.commits - before;
    assert!(commits <= 101, "{commits} commits for 100 answers");
    daemon.shutdown().await;
}

#[tokio::test]
async fn many_callers_share_commits() {
    let daemon = Daemon::start(config(memory())).await.unwrap();
    let kernel = daemon.handle();
    let (root, _) = launch(&kernel, cluster(&["a"], &[]), None).await.unwrap();
    let before = kernel.stats().await.unwrap().engine.commits;
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let kernel = kernel.clone();
            tokio::spawn(async move { call(&kernel, root, "increment", vec![]).await.value.body })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap().trim_start_matches('#').parse::<u64>().unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, (1..=1_000).collect::<Vec<_>>());
    let commits = kernel.stats().await.unwrap().engine.commits - before;
    assert!(commits < 500, "{commits} commits for 1000 answers");
    daemon.shutdown().await;
}

#[tokio::test]
async fn callers_are_answered_while_a_vat_is_busy_for_ever() {
    let daemon = Daemon::start(config(memory())).await.unwrap();
    let kernel = daemon.handle();
    let (busy, _) = launch(&kernel, cluster(&["busy"], &[]), None).await.unwrap();
    let (other, _) = launch(&kernel, cluster(&["other"], &[]), None).await.unwrap();
    call(&kernel, busy, "again", vec![]).await;
    for count in 1..=10 {
        assert_eq!(call(&kernel, other, "increment", vec![]).await.value.body, format!("#{count}"));
    }
    daemon.shutdown().await;
}

#[tokio::test]
async fn state_references_and_named_calls_go_on_in_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let named = Some("once".to_owned());
    let daemon = Daemon::start(config(home(dir.path()))).await.unwrap();
    let kernel = daemon.handle();
    let (root, _) = launch(&kernel, cluster(&["a"], &[]), None).await.unwrap();
    let once = kernel.call(root.into(), methargs("increment", "[]", vec![]), named.clone()).await.unwrap();
    assert_eq!(once.value.body, "#1");
    drop(kernel);
    daemon.shutdown().await;

    let daemon = Daemon::start(config(home(dir.path()))).await.unwrap();
    let kernel = daemon.handle();
    let status = kernel.status().await.unwrap();
    assert_eq!((status.vats.len(), status.subclusters[0].root), (1, Some(root)));
    let again = kernel.call(root.into(), methargs("increment", "[]", vec![]), named).await.unwrap();
    assert_eq!((again.call, again.value.body.as_str()), (once.call, "#1"), "the same call, answered from the store");
    assert_eq!(call(&kernel, root, "increment", vec![]).await.value.body, "#2");
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_second_process_is_refused_while_the_first_has_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(config(home(dir.path()))).await.unwrap();
    let error = Daemon::start(config(home(dir.path()))).await.err().unwrap().to_string();
    assert!(error.contains("in use"), "{error}");
    daemon.shutdown().await;
    Daemon::start(config(home(dir.path()))).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn ephemeral_references_are_told_apart() {
    let daemon = Daemon::start(config(memory())).await.unwrap();
    let kernel = daemon.handle();
    let (root, _) = launch(&kernel, cluster(&["a"], &[]), None).await.unwrap();
    let given = call(&kernel, root, "give", vec![]).await;
    let info = kernel.inspect(given.value.slots[0]).await.unwrap().unwrap();
    assert_eq!(info.lasting, sturdy_daemon::Lasting::Ephemeral);
    let info = kernel.inspect(root.into()).await.unwrap().unwrap();
    assert_eq!(info.lasting, sturdy_daemon::Lasting::Durable);
    assert_eq!(kernel.inspect(KRef::Object(ObjectId(999))).await.unwrap(), None);
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_service_answers_and_may_ask_the_kernel_meanwhile() {
    let mut config = config(memory());
    let kernel_slot: Arc<Mutex<Option<Handle>>> = Arc::default();
    let asked = Arc::new(AtomicU64::new(0));
    let (slot, counter) = (Arc::clone(&kernel_slot), Arc::clone(&asked));
    config.services.register("oracle", ServiceAccess::Everyone, move |request| {
        let (slot, counter) = (Arc::clone(&slot), Arc::clone(&counter));
        async move {
            assert_eq!((request.method.as_str(), request.arguments.len()), ("ask", 0));
            let kernel = slot.lock().unwrap().clone().unwrap();
            let status = kernel.status().await.map_err(|error| error.to_string())?;
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(CapData::plain(format!("#\"{} vats\"", status.vats.len())))
        }
    });
    let daemon = Daemon::start(config).await.unwrap();
    *kernel_slot.lock().unwrap() = Some(daemon.handle());
    let (_, bootstrap) = launch(&daemon.handle(), cluster(&["a"], &["oracle"]), None).await.unwrap();
    assert_eq!((bootstrap.as_str(), asked.load(Ordering::Relaxed)), ("#\"1 vats\"", 1));
    kernel_slot.lock().unwrap().take();
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_failing_service_rejects_and_a_broken_one_too() {
    let mut config = config(memory());
    config.services.register("failing", ServiceAccess::Everyone, |_| async { Err("not today".to_owned()) });
    config.services.register("broken", ServiceAccess::Everyone, |_| async { panic!("a mistake of the host") });
    let daemon = Daemon::start(config).await.unwrap();
    let failed = launch(&daemon.handle(), cluster(&["a"], &["failing"]), None).await.unwrap_err().to_string();
    assert!(failed.contains("[KERNEL:DELIVERY_FAILED] not today"), "{failed}");
    let failed = launch(&daemon.handle(), cluster(&["a"], &["broken"]), None).await.unwrap_err().to_string();
    assert!(failed.contains("has broken down"), "{failed}");
    daemon.shutdown().await;
}

#[tokio::test]
async fn the_facet_is_only_for_system_subclusters() {
    let mut config = config(memory());
    config.system_names = vec!["desk".into()];
    let daemon = Daemon::start(config).await.unwrap();
    let kernel = daemon.handle();
    let refused = launch(&kernel, cluster(&["a"], &["kernelFacet"]), None).await.unwrap_err().to_string();
    assert!(refused.contains("no registered kernel service 'kernelFacet'"), "{refused}");
    let failed = launch(&kernel, cluster(&["a"], &["kernelFacet"]), Some("desk")).await.unwrap_err().to_string();
    assert!(failed.contains("kernelFacet has no method \"ask\""), "{failed}");
    daemon.shutdown().await;
}

#[tokio::test]
async fn everything_of_the_facet() {
    let daemon = Daemon::start(config(memory())).await.unwrap();
    let kernel = daemon.handle();
    let (root, _) = launch(&kernel, cluster(&["a"], &[]), None).await.unwrap();
    let facet = kernel.status().await.unwrap().services[0].object;
    let ask = async |method: &str, args: &str, slots: Vec<KRef>| {
        let settled = kernel.call(facet.into(), methargs(method, args, slots), None).await.unwrap();
        let body = settled.value.body.clone();
        kernel.acknowledge(settled.call).await.unwrap();
        body
    };
    assert_eq!(ask("ping", "[]", vec![]).await, "#\"pong\"");
    assert_eq!(ask("pingVat", "[\"v1\"]", vec![]).await, "#\"pong\"");
    assert!(ask("pingVat", "[\"v9\"]", vec![]).await.contains("Vat does not exist."));
    assert!(ask("getStatus", "[]", vec![]).await.contains("\"running\""));
    assert!(ask("getSubclusters", "[]", vec![]).await.contains("\"s1\""));
    assert!(ask("getSubcluster", "[\"s1\"]", vec![]).await.contains("\"bootstrap\":\"a\""));
    let presence = ask("getPresence", &format!("[\"{root}\",\"Thing\"]"), vec![]).await;
    assert_eq!(presence, "#\"$0.Alleged: Thing\"");
    assert_eq!(ask("queueMessage", "[\"$0\",\"increment\",[]]", vec![root.into()]).await, "#1");
    assert!(ask("queueMessage", &format!("[\"{root}\",\"nothing\",[]]"), vec![]).await.contains("no such method"));
    assert!(ask("registerKernelServiceObject", "[\"x\"]", vec![]).await.contains("only the host"));
    assert!(ask("launchSubcluster", "[{\"bootstrap\":\"x\"}]", vec![]).await.contains("no \\\"vats\\\""));
    assert_eq!(ask("terminateSubcluster", "[\"s1\"]", vec![]).await, "#\"#undefined\"");
    assert!(ask("getSystemSubclusterRoot", "[\"desk\"]", vec![]).await.contains("no system subcluster"));
    daemon.shutdown().await;
}

#[tokio::test]
async fn whoever_waits_at_the_end_hears_of_it() {
    let daemon = Daemon::start(config(memory())).await.unwrap();
    let kernel = daemon.handle();
    daemon.shutdown().await;
    let error = kernel.status().await.unwrap_err();
    assert_eq!(error, RequestError::Stopped("the daemon was shut down".into()));
    assert_eq!(kernel.ended().await, "the daemon was shut down");
}

#[tokio::test]
async fn a_failing_disk_stops_everything_and_tells_why() {
    let disk = sturdy_store::MemoryDisk::default();
    let mut config = config({
        let disk = disk.clone();
        Place::Engine(Box::new(move || disk.engine()))
    });
    let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
    let sink = Arc::clone(&reports);
    config.reporter = Arc::new(move |report| sink.lock().unwrap().push(report));
    let daemon = Daemon::start(config).await.unwrap();
    let kernel = daemon.handle();
    let (root, _) = launch(&kernel, cluster(&["a"], &[]), None).await.unwrap();
    disk.fail_applies_after(0);
    let error = kernel.call(root.into(), methargs("increment", "[]", vec![]), None).await.unwrap_err();
    assert!(matches!(&error, RequestError::Stopped(why) if why.contains("store")), "{error}");
    assert!(kernel.status().await.is_err());
    let reports = reports.lock().unwrap();
    assert!(reports.iter().any(|report| matches!(report, Report::Fault { flight, .. } if !flight.is_empty())));
}

/// A process of its own, run by the test after it. It ends itself.
#[test]
fn child_that_hangs() {
    let Ok(place) = std::env::var("STURDY_TEST_HANGS_IN") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut config = config(home(Path::new(&place)));
        config.limits.delivery_abort_ms = 100;
        config.limits.group_open_ms = 0; // so that the fatal message is durable before it is delivered
        let daemon = Daemon::start(config).await.unwrap();
        let kernel = daemon.handle();
        let status = kernel.status().await.unwrap();
        let root = match status.subclusters.first() {
            Some(info) => info.root.unwrap(),
            None => launch(&kernel, cluster(&["a"], &[]), None).await.unwrap().0,
        };
        // Named, so that the next process finds the very same item in the queue.
        let hang = kernel.call(root.into(), methargs("hang", "[]", vec![]), Some("hang".into()));
        let _never = tokio::join!(call(&kernel, root, "increment", vec![]), hang);
    });
}

#[test]
fn a_delivery_that_kills_the_process_three_times_ends_its_vat() {
    let dir = tempfile::tempdir().unwrap();
    for death in 1..=3 {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_hangs", "--nocapture"])
            .env("STURDY_TEST_HANGS_IN", dir.path())
            .output()
            .unwrap();
        assert!(!child.status.success(), "death {death}");
        let told = String::from_utf8_lossy(&child.stderr);
        assert!(told.contains("v1 has been working on one delivery (message)"), "{told}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let daemon = Daemon::start(config(home(dir.path()))).await.unwrap();
        let kernel = daemon.handle();
        assert!(kernel.status().await.unwrap().vats.is_empty(), "the vat is terminated");
        let name = Some("hang".to_owned());
        let settled = kernel.call(KRef::Object(ObjectId(1)), methargs("hang", "[]", vec![]), name).await.unwrap();
        assert!(settled.rejected && settled.value.body.contains("[KERNEL:VAT_FATAL:PROCESS_DIED]"), "{settled:?}");
        daemon.shutdown().await;
    });
}
