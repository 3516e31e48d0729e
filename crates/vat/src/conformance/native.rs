//! The program of the suite as a native vat. Its methods say what the others must do.

use crate::native::{Call, Crank, NativeRuntime, Object, Reply, error_value};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use sturdy_types::{CapData, CodeSpec, RuntimeKind, VRef, json_string};

/// A runtime that offers the program, and the code that names it.
pub fn program() -> (NativeRuntime, CodeSpec) {
    let mut runtime = NativeRuntime::new();
    runtime.register("conformance", |_crank, spec| match spec.parameters.body.as_str() {
        "#\"refuse\"" => Err("this start was refused".to_owned()),
        _ => Ok(Rc::new(Root::default()) as Rc<dyn Object>),
    });
    (runtime, CodeSpec { runtime: RuntimeKind::Native, entry: "conformance".into(), modules: Vec::new() })
}

#[derive(Default)]
struct Root {
    later: Cell<Option<VRef>>,
    kept: Cell<Option<VRef>>,
    got: Rc<RefCell<Option<CapData<VRef>>>>,
    things: RefCell<Vec<Rc<dyn Object>>>,
}

/// What `makeThing()` returns.
struct Thing;

impl Object for Thing {
    fn call(&self, _crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        match call.method {
            "poke" => text("poked"),
            method => missing(method),
        }
    }
}

fn text(text: &str) -> Reply {
    Reply::Value(CapData::plain(format!("#{}", json_string(text))))
}

fn missing(method: &str) -> Reply {
    Reply::Error(CapData::plain(format!(
        "#{{\"#error\":{},\"name\":\"TypeError\"}}",
        json_string(&format!("target has no method \"{method}\""))
    )))
}

fn undefined() -> Reply {
    Reply::Value(CapData::plain("#\"#undefined\""))
}

/// The first of the arguments if it is a plain string: enough for this program.
fn string<'a>(call: &Call<'a>) -> &'a str {
    call.args.trim_start_matches("[\"").split('"').next().unwrap_or_default()
}

impl Object for Root {
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        match call.method {
            "hello" => text(&format!("hello {}", string(call))),
            "echo" => {
                let value = call.args.strip_prefix('[').and_then(|args| args.strip_suffix(']')).unwrap_or("null");
                Reply::Value(CapData { body: format!("#{value}"), slots: call.slots.to_vec() })
            }
            "fail" => Reply::Error(error_value(string(call))),
            "makeThing" => self.make_thing(crank, Keeping::No),
            "keepThing" => self.make_thing(crank, Keeping::Yes),
            "later" => {
                self.later.set(call.result);
                Reply::Later
            }
            "settle" => {
                if let Some(promise) = self.later.take() {
                    crank.settle(promise, false, CapData::plain(format!("#{}", json_string(string(call)))));
                }
                undefined()
            }
            "keep" => {
                self.kept.set(call.slots.first().copied());
                undefined()
            }
            "release" => {
                if let Some(import) = self.kept.take() {
                    crank.release(import);
                }
                undefined()
            }
            "exit" => {
                crank.exit(CapData::plain(format!("#{}", json_string(string(call)))));
                undefined()
            }
            "exitWithFailure" => {
                crank.exit_with_failure(error_value(string(call)));
                undefined()
            }
            _ => self.call_with_others(crank, call),
        }
    }
}

#[derive(Clone, Copy)]
enum Keeping {
    Yes,
    No,
}

impl Root {
    fn make_thing(&self, crank: &mut Crank<'_>, keep: Keeping) -> Reply {
        let thing: Rc<dyn Object> = Rc::new(Thing);
        let vref = crank.export(Rc::clone(&thing));
        if let Keeping::Yes = keep {
            self.things.borrow_mut().push(thing);
        }
        Reply::Value(CapData { body: "#\"$0.Alleged: thing\"".into(), slots: vec![vref] })
    }

    fn call_with_others(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        match (call.method, call.slots) {
            ("forward", [target]) => {
                let (result, outcome) = (call.result, crank.send(*target, "hello", "[\"there\"]", Vec::new()));
                crank.when(outcome, move |crank, settled| {
                    if let Some(result) = result {
                        crank.settle(result, settled.rejected, settled.value.clone());
                    }
                });
                Reply::Later
            }
            ("chain", [target]) => {
                let first = crank.send(*target, "first", "[]", Vec::new());
                crank.send(first, "second", "[]", Vec::new());
                text("chained")
            }
            ("tell", [target]) => {
                crank.send_only(*target, "told", "[]", Vec::new());
                text("told")
            }
            ("await", [promise]) => {
                crank.subscribe(*promise);
                let got = Rc::clone(&self.got);
                crank.when(*promise, move |_crank, settled| {
                    *got.borrow_mut() = Some(settled.value.clone());
                });
                undefined()
            }
            ("got", []) => self.got.borrow().clone().map_or_else(undefined, Reply::Value),
            ("count", []) => {
                let count = crank.get("count").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) + 1;
                crank.set("count", count.to_string());
                Reply::Value(CapData::plain(format!("#{count}")))
            }
            (method, _) => missing(method),
        }
    }
}
