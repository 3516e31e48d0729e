//! Two native vats talk: the shortest way through everything.

mod world;

use std::rc::Rc;
use sturdy_types::{CapData, KernelLimits};
use sturdy_vat::{Call, Crank, NativeRuntime, Object, Reply};
use world::{Engines, World, both_engines};

struct Adder;

impl Object for Adder {
    fn call(&self, _crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        match call.method {
            "bootstrap" => Reply::Value(CapData::plain("#\"#undefined\"")),
            "double" => {
                let number: i64 = call.args.trim_matches(['[', ']']).parse().expect("a number");
                Reply::Value(CapData::plain(format!("#{}", number * 2)))
            }
            other => panic!("{other}"),
        }
    }
}

struct Asker;

impl Object for Asker {
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        match call.method {
            "bootstrap" => Reply::Value(CapData::plain("#\"#undefined\"")),
            "ask" => {
                let answer = crank.send(call.slots[0], "double", "[21]", Vec::new());
                let result = call.result.expect("the caller wants to know");
                crank.when(answer, move |crank, settled| {
                    crank.settle(result, settled.rejected, settled.value.clone());
                });
                Reply::Later
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_call_between_two_vats_comes_back_and_leaves_nothing_behind() {
    both_engines(a_hundred_calls);
}

fn a_hundred_calls(engine: Engines) {
    let mut runtime = NativeRuntime::new();
    runtime.register("asker", |_, _| Ok(Rc::new(Asker)));
    runtime.register("adder", |_, _| Ok(Rc::new(Adder)));
    let mut world = World::on_engine(engine, KernelLimits::default(), Box::new(runtime));
    let roots = world.launch(&["asker", "adder"]);
    let settled = world.call(roots[0], "ask", "[\"$0.Alleged: adder\"]", vec![roots[1].into()]);
    assert!(!settled.rejected);
    assert_eq!(settled.value.body, "#42");
    world.acknowledge_all();
    world.settle_down();
    let rows = world.rows();
    for _ in 0..100 {
        world.call(roots[0], "ask", "[\"$0.Alleged: adder\"]", vec![roots[1].into()]);
    }
    world.acknowledge_all();
    world.settle_down();
    assert_eq!(world.rows(), rows, "a hundred calls leave no row behind (G15)");
}
