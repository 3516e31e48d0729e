//! L14: a URL is a secret. Two kernels do everything that one can do with URLs, well and badly, and a stranger sends them
//! some; then everything that they ever said, beside the answers that were asked for a URL, is searched for the secrets.

mod common;

use common::kernels::{HANG, Kernel, TCP, party, party_with};
use common::{Place, text};
use std::time::Instant;
use sturdy_transport::{Event, Reach, TransportConfig, start};

/// Which of a kernel's answers may hold a URL: those to lines that ask for one.
fn asks_for_one(answer: &str) -> bool {
    ["{\"call\":\":url issue", "{\"call\":\"root.issue("].iter().any(|asked| answer.starts_with(asked))
}

/// Everything that was said and is not to hold a secret.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn kernel(&mut self, kernel: Kernel) {
        let heard = kernel.heard.clone();
        self.0.extend(heard.into_iter().filter(|line| !asks_for_one(line)));
        self.0.push(kernel.end());
    }

    /// What a command says that is over at once.
    fn command(&mut self, place: &Place, arguments: &[&str]) {
        let output = place.command(arguments).output().unwrap();
        self.0.extend([text(&output.stdout), text(&output.stderr)]);
    }

    /// What lies beside the store.
    fn files(&mut self, place: &Place) {
        for name in ["history", "flight-record.txt"] {
            self.0.extend(std::fs::read_to_string(place.home().join(name)).ok());
        }
    }
}

fn oid(url: &str) -> String {
    url["ocap:".len()..url.find('@').unwrap()].to_owned()
}

/// What people and their vats do with URLs that are good, used up, revoked, expired, or none.
fn mishandle(a: &mut Kernel, b: &mut Kernel) -> Vec<String> {
    let many = a.ask_text(":url issue root");
    let once = a.ask_text(":url issue root --once");
    let brief = a.ask_text(":url issue root --expires 1s");
    let from_vat = a.ask_text("root.issue(root)");
    b.ask(&format!(":url redeem {many} as alice"));
    b.ask(&format!(":url redeem {once} as once"));
    b.refuse(&format!(":url redeem {once} as again"));
    b.ask(&format!("root.redeem('{from_vat}', 'alice')"));
    a.ask("root.issue(root)");
    a.ask(&format!(":url revoke {from_vat}"));
    b.refuse(&format!("root.redeem('{from_vat}', 'late')"));
    let until = Instant::now() + HANG;
    for round in 0.. {
        assert!(Instant::now() < until, "it never expires");
        b.say(&format!(":url redeem {brief} as brief{round}"));
        if b.hear()["ok"] == false {
            break;
        }
    }
    let secret = oid(&many);
    let nobody = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";
    for kernel in [&mut *a, &mut *b] {
        for mistake in [
            format!(":url redeem {secret}"),
            format!(":url redeem {secret}@{nobody}"),
            format!(":url redeem ocap:{secret}"),
            format!(":url redeem ocap:{secret}@nobody"),
            format!(":url redeem {many} like this"),
            format!(":url redeem {many} as root"),
            format!(":url revoke {secret}"),
            format!(":url revoke ocap:{secret}@{nobody}"),
            format!(":url {many}"),
            format!(":peers forget {many}"),
            format!(":restart {many}"),
            many.clone(),
            format!("root.redeem('{many}'"),
            format!("root.'{many}'()"),
            format!("nobody.name('{many}')"),
            format!("root.redeem('OCAP:{secret}@{nobody}@', 'x')"),
            format!("root.fail('{many}')"),
            format!("root.call('none', '{many}', [])"),
        ] {
            kernel.say(&mistake);
            kernel.hear(); // some of them are no mistakes of the one who has issued the URL
        }
        kernel.ask(&format!("root.log('{many}')"));
        // Nobody is there; it is tried for ever.
        for hint in ["/ip4/127.0.0.1/tcp/1", "nonsense", &format!("ocap:{secret}@x")] {
            kernel.ask(&format!("root.tryToRedeem('ocap:{secret}@{nobody},{hint}')"));
        }
    }
    vec![many, once, brief, from_vat]
}

/// A stranger that has a URL gets to know A, and repeats the URL wherever it can.
async fn babble(url: &str, at: &str) {
    let config = TransportConfig { reach: Reach::Host, ..TransportConfig::new([77; 32]) };
    let (handle, mut events) = start(&config).unwrap();
    let peer = url.split_once('@').unwrap().1.split(',').next().unwrap();
    let address = format!("{at}/p2p/{peer}");
    let greeting = format!(r#"{{"method":"handshake","params":{{"incarnationId":"{url}"}}}}"#);
    let redeem = format!(r#"{{"seq":1,"method":"redeemURL","params":["{url}","key"]}}"#);
    let mut babble = vec![greeting, redeem];
    for (index, content) in [
        format!(r#""method":"{url}","params":[]"#),
        format!(r#""method":"deliver","params":["{url}"]"#),
        format!(r##""method":"deliver","params":["message","{url}",{{"methargs":{{"body":"#[]","slots":[]}}}}]"##),
        format!(r#""method":"deliver","params":["dropExports",["{url}"]]"#),
        format!(r#""method":"redeemURL","params":["{url}x","key2"]"#),
        format!(r#""method":"redeemURLReply","params":[false,"{url}","{url}"]"#),
    ]
    .into_iter()
    .enumerate()
    {
        babble.push(format!(r#"{{"seq":{},{content}}}"#, index + 2));
    }
    babble.push(format!("no frame at all: {url}"));
    handle.connect(peer, vec![address.clone()]).unwrap();
    let mut ends = 0;
    let speaking = async {
        while let Some(event) = events.next().await {
            match event {
                Event::Connected { connection, .. } if ends == 0 => {
                    for frame in &babble {
                        handle.transmit(connection, frame.clone().into_bytes()).unwrap();
                    }
                }
                // The second time it does not even greet.
                Event::Connected { connection, .. } => {
                    handle.transmit(connection, url.as_bytes().to_vec()).unwrap();
                }
                Event::Disconnected { .. } if ends == 1 => return,
                Event::Disconnected { .. } => {
                    ends += 1;
                    handle.connect(peer, vec![address.clone()]).unwrap();
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(HANG, speaking).await.expect("A hangs up on whoever babbles");
    handle.shutdown().await;
}

#[test]
fn nothing_that_is_said_shows_a_url() {
    let mut said = Said::default();
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    let at_a = a.address();
    let mut urls = mishandle(&mut a, &mut b);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    urls.push(a.ask_text(":url issue root"));
    runtime.block_on(babble(&urls[urls.len() - 1], &at_a));
    for kernel in [&mut a, &mut b] {
        for line in [":peers", ":url list", ":status", ":stats", ":vats", ":names"] {
            kernel.ask(line);
        }
    }
    // A is away: the URL waits in B's outbox.
    let last = a.ask_text(":url issue root");
    said.kernel(a);
    b.ask(&format!("root.tryToRedeem('{last}')"));
    b.say(&format!("root.end('{last}')"));
    assert_eq!(b.hear()["ok"], false, "the vat has ended itself");
    b.refuse(&format!("root.call('alice', '{last}', [])"));
    b.ask(":status");
    said.kernel(b);
    urls.push(last);

    let whole = urls[0].clone();
    let refusing = party_with(&format!(r#"{{"refuse": "{whole}"}}"#));
    for (place, many) in [(&home_a, &urls[0]), (&home_b, &urls[0]), (&refusing, &urls[0])] {
        for arguments in [
            &["store", "check"][..],
            &["store", "dump"],
            &["store", "dump", "--json"],
            &["peers"],
            &["peers", "--json"],
            &["peers", "forget", many],
            &["url", "list"],
            &["url", "list", many],
            &["url", "redeem", many],
            &["url", "revoke", many],
            &["url", "revoke", &oid(many)],
            &["run", "cluster.json", "--call", &format!("root.fail('{many}')")],
            &["run", "cluster.json", "--json", "--call", &format!("root.fail('{many}')"), "--call", many],
            &["run", many],
            &["run", "cluster.json", "--listen", many],
            &["run", "cluster.json", "--relay", many],
        ] {
            said.command(place, &[arguments, &["--home", "home"]].concat());
        }
        said.files(place);
    }
    let all = said.0.join("\n");
    let spoken_of = [
        "[party] ocap:…@",
        "[party] error: Error: ocap:…@",
        "was terminated: ocap:…@",
        "could not be launched: ",
        "can never be processed: ",
        "cannot be reached: ",
        "unexpected argument 'ocap:…@",
        "\"message\":\"ocap:…@",
        "remotes-by-peer",
    ];
    for part in spoken_of {
        assert!(all.contains(part), "it was never tried: {part}");
    }
    for url in urls {
        let secret = oid(&url);
        if let Some(line) = all.lines().find(|line| line.contains(&secret)) {
            panic!("{secret} is shown: {line}");
        }
    }
}
