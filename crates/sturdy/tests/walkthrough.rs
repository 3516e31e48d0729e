//! The two terminals of the README, line by line as they are printed there. Only the ports are others, because they may be
//! taken, and pipes stand for the terminals.

mod common;

use common::Place;
use common::kernels::Kernel;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

/// What is to be typed, in the order of the text.
fn typed_lines() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, rest) = readme.split_once("\n## Two kernels\n").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    section.lines().filter_map(|line| line.strip_prefix("    ")).map(ToOwned::to_owned).collect()
}

/// Two ports that nobody listens on.
fn free_ports() -> [String; 2] {
    let takes = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    takes.map(|listener| listener.local_addr().unwrap().port().to_string())
}

/// A kernel that is begun with a line of the README.
fn begin(place: &Place, line: &str) -> Kernel {
    let arguments = line.strip_prefix("target/release/sturdy ").unwrap();
    let mut kernel = Kernel::of(place.command(&arguments.split(' ').collect::<Vec<_>>()));
    kernel.note("listening on ");
    kernel
}

fn answer(kernel: &mut Kernel, line: &str) -> String {
    kernel.say(line);
    kernel.line()
}

/// How the reader ends the first kernel.
enum End {
    Quit,
    Signal9,
}

fn as_printed(end: &End, left: bool) {
    let ([first_port, second_port], typed) = (free_ports(), typed_lines());
    let typed: Vec<String> =
        typed.iter().map(|line| line.replace("4001", &first_port).replace("4002", &second_port)).collect();
    let [build, alice, issue, bob, redeem, three, four] = typed.as_slice() else { panic!("{typed:?}") };
    assert_eq!(build, "cargo build --release");
    let place = Place::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    symlink(examples, place.path().join("examples")).unwrap();
    let mut first = begin(&place, alice);
    let url = answer(&mut first, issue);
    assert!(url.starts_with("ocap:"), "{url}");
    let mut second = begin(&place, bob);
    answer(&mut second, &redeem.replace("ocap:…", &url));
    assert_eq!(answer(&mut second, three), "3");
    assert_eq!(answer(&mut first, "counter.read()"), "3");
    match end {
        End::Quit => {
            first.say(":quit");
            first.end();
        }
        End::Signal9 => first.kill(),
    }
    if left {
        second.say(&format!("{four} &"));
        second.note("&1 goes on");
    } else {
        second.say(four);
    }
    let mut first = begin(&place, alice);
    assert_eq!(second.line(), if left { "&1: 7" } else { "7" });
    assert_eq!(answer(&mut first, "counter.read()"), "7", "it was made once");
}

#[test]
fn a_kernel_that_has_quit_is_waited_for() {
    as_printed(&End::Quit, false);
}

#[test]
fn a_kernel_that_was_killed_is_waited_for_by_a_call_that_was_left() {
    as_printed(&End::Signal9, true);
}
