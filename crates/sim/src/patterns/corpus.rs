//! The scripts. One function per pattern, in the order of `docs/patterns.md`.

use super::{Ask, Expect, Leaves, NOTHING, Pattern, Step};
use Expect::{Fails, Gives, Is};
use Step::{Collect, Get, Pending, Restart, Revoke, Start};

const THREE: &[(&str, &str)] = &[("alice", "party"), ("bob", "party"), ("carol", "party")];

/// Every pattern.
pub fn all() -> Vec<Pattern> {
    vec![
        calls(),
        promise_argument(),
        promise_result(),
        pipelining(),
        order(),
        broken_promise(),
        introduction(),
        coming_home(),
        handing_on(),
        revocation(),
        vat_circle(),
        promise_ring(),
        membrane(),
        garbage(),
        vat_restart(),
        mint(),
        escrow(),
    ]
}

fn ask(to: &'static str, method: &'static str, args: &'static str) -> Ask {
    Ask { to, method, args }
}

fn call(to: &'static str, method: &'static str, args: &'static str, expect: Expect) -> Step {
    Step::Call(ask(to, method, args), expect)
}

fn pattern(name: &'static str, shows: &'static str, guarantees: &'static str, script: Vec<Step>) -> Pattern {
    Pattern { name, shows, guarantees, cast: THREE, script, leaves: Leaves::Nothing }
}

fn calls() -> Pattern {
    pattern(
        "calls",
        "a call goes to another vat, and its answer or error comes back",
        "G2, G5, G12",
        vec![
            call("bob", "hello", r#"["host"]"#, Is(r#""hello, host""#)),
            call("alice", "ask", r#"["@bob","hello","alice"]"#, Is(r#""hello, alice""#)),
            call("alice", "ask", r#"["@bob","ask","@carol","hello","both"]"#, Is(r#""hello, both""#)),
            call("alice", "ask", r#"["@bob","heard"]"#, Is(r#""""#)),
            call("alice", "ask", r#"["@bob","break","none","x"]"#, Fails("nobody waits at none")),
        ],
    )
}

fn promise_argument() -> Pattern {
    pattern(
        "promise argument",
        "a promise travels as an argument before it is settled, and its receiver hears what becomes of it",
        "G5, G12",
        vec![
            Start("lent", ask("alice", "lend", r#"["later","@bob"]"#)),
            Pending("lent"),
            call("alice", "open", r#"["later",42]"#, NOTHING),
            Get("lent", Is("42")),
            Start("object", ask("alice", "lend", r#"["object","@bob"]"#)),
            call("alice", "open", r#"["object","@carol"]"#, NOTHING),
            Get("object", Gives("friend")),
            call("friend", "hello", r#"["host"]"#, Is(r#""hello, host""#)),
            Start("broken", ask("alice", "lend", r#"["broken","@bob"]"#)),
            call("alice", "break", r#"["broken","no luck"]"#, NOTHING),
            Get("broken", Fails("no luck")),
        ],
    )
}

fn promise_result() -> Pattern {
    pattern(
        "promise result",
        "a call is answered long after it was delivered, with a value, an object or an error",
        "G5, G12",
        vec![
            Start("value", ask("alice", "ask", r#"["@bob","hold","value"]"#)),
            Start("object", ask("alice", "ask", r#"["@bob","hold","object"]"#)),
            Start("error", ask("alice", "ask", r#"["@bob","hold","error"]"#)),
            Pending("value"),
            call("bob", "open", r#"["value","late"]"#, NOTHING),
            Get("value", Is(r#""late""#)),
            Pending("object"),
            call("bob", "open", r#"["object","@carol"]"#, NOTHING),
            Get("object", Gives("friend")),
            call("friend", "hello", r#"["host"]"#, Is(r#""hello, host""#)),
            call("bob", "break", r#"["error","too late"]"#, NOTHING),
            Get("error", Fails("too late")),
        ],
    )
}

fn pipelining() -> Pattern {
    pattern(
        "pipelining",
        "calls of results that are not there yet wait, and go through in one go when the first one is",
        "G5, G12",
        vec![
            Start("depth", ask("alice", "chain", r#"["@bob","start",6]"#)),
            Pending("depth"),
            call("bob", "openLink", r#"["start"]"#, NOTHING),
            Get("depth", Is("6")),
            // The first object is in a third place.
            call("carol", "link", "[]", Gives("link")),
            Start("far", ask("alice", "chain", r#"["@bob","far",4]"#)),
            Pending("far"),
            call("bob", "open", r#"["far","@link"]"#, NOTHING),
            Get("far", Is("5")),
        ],
    )
}

fn order() -> Pattern {
    pattern(
        "order through a promise",
        "messages to a promise and then to what it became arrive in the order in which they were sent",
        "G5",
        vec![
            call("carol", "clear", "[]", NOTHING),
            Start("last", ask("alice", "stream", r#"["@bob","target"]"#)),
            Pending("last"),
            call("bob", "open", r#"["target","@carol"]"#, NOTHING),
            Get("last", Is("5")),
            call("carol", "heard", "[]", Is(r#""1 2 3 4 5""#)),
        ],
    )
}

fn broken_promise() -> Pattern {
    pattern(
        "broken promise",
        "what was called on a promise that breaks fails for the same reason, however long the chain",
        "G12",
        vec![
            Start("depth", ask("alice", "chain", r#"["@bob","start",6]"#)),
            call("bob", "break", r#"["start","never mind"]"#, NOTHING),
            Get("depth", Fails("never mind")),
            Start("number", ask("alice", "chain", r#"["@bob","start",2]"#)),
            call("bob", "open", r#"["start",7]"#, NOTHING),
            Get("number", Fails("")),
        ],
    )
}

fn introduction() -> Pattern {
    pattern(
        "introduction",
        "alice, who knows bob and carol, gives carol to bob; from then on bob needs nobody to reach her",
        "G5, G11",
        vec![
            call("alice", "keep", r#"["carol","@carol"]"#, NOTHING),
            call("bob", "use", r#"["carol","bob"]"#, Fails("nothing is kept as carol")),
            call("alice", "give", r#"["@bob","carol"]"#, NOTHING),
            call("bob", "use", r#"["carol","bob"]"#, Is(r#""hello, bob""#)),
            call("alice", "drop", r#"["carol"]"#, NOTHING),
            Collect,
            call("bob", "use", r#"["carol","bob again"]"#, Is(r#""hello, bob again""#)),
            call("alice", "fetch", r#"["@bob","get","carol"]"#, NOTHING),
            call("alice", "use", r#"["carol","alice"]"#, Is(r#""hello, alice""#)),
        ],
    )
}

fn coming_home() -> Pattern {
    pattern(
        "coming home",
        "an object that comes back on the way on which it went is the same object",
        "G11",
        vec![
            call("alice", "fetch", r#"["@bob","same","it"]"#, NOTHING),
            call("alice", "use", r#"["it","alice"]"#, Is(r#""the same greets alice""#)),
            call("alice", "get", r#"["it"]"#, Gives("it")),
            call("alice", "ask", r#"["@bob","isSame","@it"]"#, Is(r#""yes""#)),
            call("alice", "ask", r#"["@bob","isSame","@carol"]"#, Is(r#""no""#)),
        ],
    )
}

fn handing_on() -> Pattern {
    pattern(
        "handing on",
        "who hands a call on with its result is out of the way of the answer",
        "G5, G12",
        vec![
            call("alice", "handOn", r#"["@bob","hello","host"]"#, Is(r#""hello, host""#)),
            call("alice", "handOn", r#"["@bob","handOn","@carol","hello","far host"]"#, Is(r#""hello, far host""#)),
            Start("late", ask("alice", "handOn", r#"["@bob","handOn","@carol","hold","late"]"#)),
            Pending("late"),
            call("carol", "open", r#"["late",1]"#, NOTHING),
            Get("late", Is("1")),
        ],
    )
}

fn revocation() -> Pattern {
    pattern(
        "revocation in flight",
        "messages that are under way to an object when it is revoked do not arrive",
        "G11, G12",
        vec![
            call("carol", "make", r#"["thing"]"#, Gives("thing")),
            call("bob", "keep", r#"["thing","@thing"]"#, NOTHING),
            call("bob", "use", r#"["thing","bob"]"#, Is(r#""thing greets bob""#)),
            Start("under way", ask("alice", "stream", r#"["@bob","thing"]"#)),
            Pending("under way"),
            Revoke("thing"),
            call("bob", "open", r#"["thing","@thing"]"#, NOTHING),
            Get("under way", Fails("OBJECT_REVOKED")),
            call("bob", "use", r#"["thing","bob"]"#, Fails("OBJECT_REVOKED")),
        ],
    )
}

fn vat_circle() -> Pattern {
    pattern(
        "circle of calls",
        "vats that wait for each other's answers, in a circle over all kernels",
        "G5, G12, G13",
        vec![
            call("alice", "pingpong", r#"["@bob",9]"#, Is(r#""enough""#)),
            call("alice", "ask", r#"["@bob","ask","@carol","ask","@alice","hello","round"]"#, Is(r#""hello, round""#)),
            Start("round", ask("alice", "ask", r#"["@bob","ask","@carol","ask","@alice","hold","round"]"#)),
            Pending("round"),
            call("alice", "open", r#"["round","opened"]"#, NOTHING),
            Get("round", Is(r#""opened""#)),
        ],
    )
}

fn promise_ring() -> Pattern {
    let pattern = pattern(
        "ring of promises",
        "two promises of different vats become values that name each other",
        "G12, G15",
        vec![
            Start("knot", ask("alice", "knot", r#"["@bob"]"#)),
            Pending("knot"),
            call("bob", "tie", "[]", NOTHING),
            Get("knot", Is(r#""tied""#)),
        ],
    );
    Pattern { leaves: Leaves::Rings, ..pattern }
}

fn membrane() -> Pattern {
    let pattern = pattern(
        "membrane",
        "whoever is behind a membrane, and whatever came through it, is out of reach once it is closed",
        "G11",
        vec![
            call("m", "wrap", r#"["m","@bob"]"#, Gives("wrapped")),
            call("carol", "keep", r#"["bob","@wrapped"]"#, NOTHING),
            call("carol", "use", r#"["bob","carol"]"#, Is(r#""hello, carol""#)),
            call("carol", "fetch", r#"["@wrapped","make","thing"]"#, NOTHING),
            call("carol", "use", r#"["thing","carol"]"#, Is(r#""thing greets carol""#)),
            call("carol", "ask", r#"["@wrapped","keep","carol","@carol"]"#, NOTHING),
            call("bob", "use", r#"["carol","bob"]"#, Is(r#""hello, bob""#)),
            call("m", "close", r#"["m"]"#, NOTHING),
            call("carol", "use", r#"["bob","carol"]"#, Fails("the membrane is closed")),
            call("carol", "use", r#"["thing","carol"]"#, Fails("the membrane is closed")),
            call("bob", "use", r#"["carol","bob"]"#, Fails("the membrane is closed")),
        ],
    );
    Pattern { cast: &[("bob", "party"), ("carol", "party"), ("m", "membrane")], ..pattern }
}

fn garbage() -> Pattern {
    pattern(
        "garbage",
        "objects that were given away and dropped are gone, and an object that was dropped can be given again",
        "G15",
        vec![
            call("alice", "churn", r#"["@bob",12]"#, Is(r#""thing 11 greets me""#)),
            Collect,
            call("alice", "fetch", r#"["@bob","same","it"]"#, NOTHING),
            call("alice", "use", r#"["it","alice"]"#, Is(r#""the same greets alice""#)),
            call("alice", "drop", r#"["it"]"#, NOTHING),
            Collect,
            call("alice", "fetch", r#"["@bob","same","it"]"#, NOTHING),
            call("alice", "use", r#"["it","alice"]"#, Is(r#""the same greets alice""#)),
            call("alice", "give", r#"["@carol","it"]"#, NOTHING),
            call("alice", "drop", r#"["it"]"#, NOTHING),
            Collect,
            call("carol", "use", r#"["it","carol"]"#, Is(r#""the same greets carol""#)),
        ],
    )
}

fn vat_restart() -> Pattern {
    pattern(
        "restart during a conversation",
        "a vat loses its heap while others wait for it and it waits for others; what its state holds is still there",
        "G8, G12",
        vec![
            call("bob", "remember", r#"["word","sturdy"]"#, NOTHING),
            call("bob", "befriend", r#"["@carol"]"#, NOTHING),
            call("bob", "make", r#"["thing"]"#, Gives("thing")),
            Start("asked", ask("alice", "ask", r#"["@bob","hold","never"]"#)),
            Start("asks", ask("bob", "ask", r#"["@carol","hold","for bob"]"#)),
            Pending("asked"),
            Restart("bob"),
            Get("asked", Fails("VAT_RESTARTED")),
            Get("asks", Fails("VAT_RESTARTED")),
            call("alice", "ask", r#"["@bob","recall","word"]"#, Is(r#""sturdy""#)),
            call("bob", "callFriend", r#"["bob"]"#, Is(r#""hello, bob""#)),
            call("thing", "hello", r#"["host"]"#, Fails("OBJECT_DELETED")),
            call("carol", "open", r#"["for bob",1]"#, NOTHING),
            Start("again", ask("alice", "ask", r#"["@bob","hold","again"]"#)),
            call("bob", "open", r#"["again",2]"#, NOTHING),
            Get("again", Is("2")),
        ],
    )
}

fn mint() -> Pattern {
    let pattern = pattern(
        "mint and purses",
        "money moves by payments, also through promises of them; none is made, lost or spent twice",
        "G1, G5, G11",
        vec![
            call("mint", "purse", r#"["alice",100]"#, Gives("alice's")),
            call("mint", "purse", r#"["bob",0]"#, Gives("bob's")),
            call("alice", "keep", r#"["gold","@alice's"]"#, NOTHING),
            call("bob", "keep", r#"["gold","@bob's"]"#, NOTHING),
            call("alice", "pay", r#"["gold","@bob","first",30]"#, Is("30")),
            call("alice", "pay", r#"["gold","@bob","second",80]"#, Fails("only ")),
            call("bob", "pay", r#"["gold","@alice","third",5]"#, Is("5")),
            call("bob", "forge", r#"["gold"]"#, Fails("no payment of this mint")),
            call("alice's", "withdraw", r#"["fourth",10]"#, Gives("payment")),
            call("bob", "accept", r#"["gold","@payment"]"#, Is("10")),
            call("alice", "accept", r#"["gold","@payment"]"#, Fails("the payment is spent")),
            call("alice's", "balance", "[]", Is("65")),
            call("bob's", "balance", "[]", Is("35")),
            call("mint", "total", "[]", Is("100")),
        ],
    );
    Pattern { cast: &[("mint", "mint"), ("alice", "party"), ("bob", "party")], ..pattern }
}

fn escrow() -> Pattern {
    let pattern = pattern(
        "escrow",
        "an agent exchanges money of two mints: both sides get what they want or both get their own back",
        "G1, G5, G12",
        vec![
            call("gold", "purse", r#"["alice",100]"#, Gives("alice's gold")),
            call("gold", "purse", r#"["bob",0]"#, Gives("bob's gold")),
            call("gold", "purse", r#"["agent",0]"#, Gives("agent's gold")),
            call("silver", "purse", r#"["alice",0]"#, Gives("alice's silver")),
            call("silver", "purse", r#"["bob",100]"#, Gives("bob's silver")),
            call("silver", "purse", r#"["agent",0]"#, Gives("agent's silver")),
            call("alice", "keep", r#"["gold","@alice's gold"]"#, NOTHING),
            call("alice", "keep", r#"["silver","@alice's silver"]"#, NOTHING),
            call("bob", "keep", r#"["gold","@bob's gold"]"#, NOTHING),
            call("bob", "keep", r#"["silver","@bob's silver"]"#, NOTHING),
            call("agent", "keep", r#"["gold","@agent's gold"]"#, NOTHING),
            call("agent", "keep", r#"["silver","@agent's silver"]"#, NOTHING),
            Start("alice sells", ask("alice", "trade", r#"["@agent","sale","alice","gold",10,"silver",20]"#)),
            Pending("alice sells"),
            Start("bob sells", ask("bob", "trade", r#"["@agent","sale","bob","silver",20,"gold",10]"#)),
            // The second offer comes first: when it was lost, the first one rightly goes on waiting.
            Get("bob sells", Is(r#""exchanged""#)),
            Get("alice sells", Is(r#""exchanged""#)),
            Start("alice wants", ask("alice", "trade", r#"["@agent","lure","alice","gold",10,"silver",20]"#)),
            Pending("alice wants"),
            Start("bob wants", ask("bob", "trade", r#"["@agent","lure","bob","silver",1,"gold",10]"#)),
            Get("bob wants", Fails("the terms differ")),
            Get("alice wants", Fails("the terms differ")),
            call("alice", "trade", r#"["@agent","more","alice","gold",500,"silver",1]"#, Fails("only 90 left")),
            call("alice's gold", "balance", "[]", Is("90")),
            call("alice's silver", "balance", "[]", Is("20")),
            call("bob's gold", "balance", "[]", Is("10")),
            call("bob's silver", "balance", "[]", Is("80")),
            call("agent's gold", "balance", "[]", Is("0")),
            call("agent's silver", "balance", "[]", Is("0")),
            call("gold", "total", "[]", Is("100")),
            call("silver", "total", "[]", Is("100")),
        ],
    );
    let cast = &[("agent", "agent"), ("gold", "mint"), ("silver", "mint"), ("alice", "party"), ("bob", "party")];
    Pattern { cast, ..pattern }
}
