//! Subclusters and system subclusters (kernel-semantics §9 items 75–79, 82, 83).

mod world;

use sturdy_kernel::{Answer, LaunchRequest, Notice, Refused, Request, Ticket};
use sturdy_types::{ClusterConfig, KernelLimits, SubclusterId, VatId};
use world::puppet::Stage;
use world::{Engines, both_engines, cluster, native};

fn launch(s: &mut Stage, config: ClusterConfig, system_name: Option<&str>) -> Result<Answer, Refused> {
    let system_name = system_name.map(str::to_owned);
    s.ask(Request::Launch(Box::new(LaunchRequest { config, sources: Vec::new(), system_name, label: None })))
}

#[test]
fn item_75_two_subclusters_live_apart() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        s.enter(&["carol"]);
        let status = s.status();
        let members: Vec<(SubclusterId, Vec<VatId>)> = status
            .subclusters
            .iter()
            .map(|subcluster| (subcluster.id, subcluster.vats.iter().map(|(_, vat)| *vat).collect()))
            .collect();
        assert_eq!(members, [(SubclusterId(1), vec![VatId(1), VatId(2)]), (SubclusterId(2), vec![VatId(3)])]);
        s.ask(Request::TerminateSubcluster(SubclusterId(1))).expect("it is there");
        assert_eq!(s.status().vats.iter().map(|vat| vat.id).collect::<Vec<_>>(), [VatId(3)]);
        assert_eq!(s.tell("carol", ""), "fulfilled [undefined]");
        // In reverse launch order; the subcluster ends with its last vat.
        let ended: Vec<String> = s
            .notices
            .iter()
            .map(|notice| match notice {
                Notice::VatTerminated { name, .. } => name.clone(),
                Notice::SubclusterGone(id) => id.to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ended, ["bob", "s1", "alice"]);
    });
}

#[test]
fn item_76_an_unknown_subcluster_an_empty_one_and_one_with_a_vat_less() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let unknown = s.ask(Request::TerminateSubcluster(SubclusterId(9)));
        assert_eq!(unknown, Err(Refused::NoSuchSubcluster("s9".into())));
        let unknown = s.ask(Request::TerminateVat { vat: VatId(9), reason: String::new() });
        assert_eq!(unknown, Err(Refused::NoSuchVat("v9".into())));
        assert_eq!(s.ask(Request::RestartVat(VatId(9))), Err(Refused::NoSuchVat("v9".into())));
        assert_eq!(s.ask(Request::Reap(vec![VatId(9)])), Err(Refused::NoSuchVat("v9".into())));
        s.terminate("alice");
        let status = s.status();
        assert_eq!((status.subclusters[0].vats.len(), status.subclusters[0].root), (1, None));
        assert_eq!(s.tell("bob", ""), "fulfilled [undefined]");
        s.terminate("bob");
        assert!(s.status().subclusters.is_empty());
    });
}

#[test]
fn item_77_what_is_wrong_is_refused_before_anything_starts() {
    let mut s = Stage::empty(Engines::Memory, KernelLimits::default());
    let before = s.census();
    let mut unknown_bootstrap = cluster(&["alice"]);
    unknown_bootstrap.bootstrap = "nobody".into();
    let mut twice = cluster(&["alice"]);
    twice.vats.push(("alice".into(), native("alice")));
    let mut parameters = cluster(&["alice"]);
    parameters.vats[0].1.parameters = "{}".into();
    let mut missing_source = cluster(&["alice"]);
    missing_source.vats[0].1.code.modules.push(("vat.js".into(), sturdy_types::SourceHash([1; 32])));
    let mut unnamed = cluster(&["alice"]);
    unnamed.vats.push((String::new(), native("bob")));
    let mut service = cluster(&["alice"]);
    service.services.push("clock".into());
    for (config, text) in [
        (unknown_bootstrap, "the bootstrap vat 'nobody' is not among the vats of the cluster"),
        (twice, "two vats are named 'alice'"),
        (parameters, "the parameters of vat 'alice' are no smallcaps body"),
        (missing_source, "the source of module vat.js (0101"),
        (unnamed, "a vat has an empty name"),
        (service, "no registered kernel service 'clock'"),
    ] {
        let refused = launch(&mut s, config, None).unwrap_err().to_string();
        assert!(refused.starts_with(text), "{refused}");
        assert_eq!(s.census(), before);
    }
    assert_eq!(s.told(), "");
}

#[test]
fn item_78_a_system_service_is_for_system_subclusters() {
    both_engines(|engine| {
        let mut s = Stage::empty(engine, KernelLimits::default());
        s.ask(Request::RegisterService { name: "facet".into(), system_only: true }).expect("it is new");
        let mut config = cluster(&["alice"]);
        config.services.push("facet".into());
        let hidden = launch(&mut s, config.clone(), None).unwrap_err().to_string();
        config.services[0] = "nothing".into();
        let unknown = launch(&mut s, config.clone(), None).unwrap_err().to_string();
        assert_eq!(hidden.replace("facet", "nothing"), unknown);
        config.services[0] = "facet".into();
        launch(&mut s, config, Some("boss")).expect("it may have it");
        assert!(s.told().contains("{\"facet\": <o-1> (Alleged: facet)}"));
    });
}

#[test]
fn items_79_and_82_system_subclusters_are_found_again_by_name() {
    both_engines(|engine| {
        let mut s = Stage::empty(engine, KernelLimits::default());
        launch(&mut s, cluster(&["alice"]), Some("boss")).expect("it is new");
        launch(&mut s, cluster(&["bob"]), Some("clerk")).expect("several side by side");
        assert_eq!(launch(&mut s, cluster(&["eve"]), Some("boss")), Err(Refused::NameTaken("boss".into())));
        let before: Vec<_> = s.status().subclusters.into_iter().map(|s| (s.id, s.root, s.system_name)).collect();
        s.boot(None, &["boss", "clerk"]);
        let after: Vec<_> = s.status().subclusters.into_iter().map(|s| (s.id, s.root, s.system_name)).collect();
        assert_eq!(after, before);
        // Not declared any more: its vats, its record and its name are gone.
        s.boot(None, &["clerk"]);
        let status = s.status();
        assert_eq!((status.subclusters.len(), status.vats.len()), (1, 1));
        assert_eq!(status.subclusters[0].system_name.as_deref(), Some("clerk"));
        launch(&mut s, cluster(&["alice"]), Some("boss")).expect("its name is free");
        s.settle_down();
        assert_eq!(s.census()["vats"], 2);
    });
}

#[test]
fn item_83_what_a_facet_needs_can_be_asked_for() {
    both_engines(|engine| {
        let mut s = Stage::on(engine, &["alice", "bob"]);
        let status = s.status();
        assert_eq!(status.subclusters[0].root, Some(s.root("alice")));
        assert_eq!(status.vats.iter().map(|vat| vat.name.as_str()).collect::<Vec<_>>(), ["alice", "bob"]);
        assert_eq!(status.vats[1].root, Some(s.root("bob")));
        assert_eq!(status.vats[1].waiting, 0);
        // A request in the middle of a crank is a turn of its own.
        let later = s.tell_later("bob", "", &[]);
        let ticket = s.ask_later(Request::Status);
        s.commit().expect("it is durable");
        assert!(matches!(&s.answers[&ticket], Ok(Answer::Status(status)) if status.vats[1].waiting == 1));
        s.run();
        assert_eq!(s.fate(later), "fulfilled [undefined]");
        assert!(!s.answers.contains_key(&Ticket(9_999)));
    });
}
