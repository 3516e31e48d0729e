//! JavaScript vats pass the conformance suite of runtimes.

mod common;

use common::{Log, code};
use std::rc::Rc;
use sturdy_types::RuntimeKind;
use sturdy_vat::conformance::check;
use sturdy_vat_js::JsRuntime;

const PROGRAM: &str = r"
import { E, Far } from '@endo/far';

export const buildRootObject = (vatPowers, parameters, baggage) => {
  if (parameters === 'refuse') throw Error('this start was refused');
  const things = [];
  let settle;
  let kept;
  let got;
  const makeThing = () => Far('thing', { poke: () => 'poked' });
  return Far('root', {
    hello: name => `hello ${name}`,
    echo: value => value,
    fail: text => { throw Error(text); },
    makeThing,
    keepThing: () => { const thing = makeThing(); things.push(thing); return thing; },
    later: () => new Promise(resolve => { settle = resolve; }),
    settle: text => { settle(text); },
    keep: object => { kept = object; },
    release: () => { kept = undefined; },
    exit: text => { vatPowers.exitVat(text); },
    exitWithFailure: text => { vatPowers.exitVatWithFailure(Error(text)); },
    forward: target => E(target).hello('there'),
    chain: target => { E(E(target).first()).second(); return 'chained'; },
    tell: target => { E.sendOnly(target).told(); return 'told'; },
    await: promise => { promise.then(value => { got = value; }, reason => { got = reason; }); },
    got: () => got,
    count: () => {
      if (!baggage.has('count')) baggage.init('count', 0);
      baggage.set('count', baggage.get('count') + 1);
      return baggage.get('count');
    },
  });
};
";

#[test]
fn javascript_vats_conform() {
    let (code, sources) = code(RuntimeKind::JavaScript, &[("vat.js", PROGRAM)]);
    check(|| Box::new(JsRuntime::new(Rc::new(Log::default()))), &code, &sources);
}
