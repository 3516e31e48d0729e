// A membrane, as `../native/membrane.rs`: what is behind it is reached only through it, until it is closed.

import { E, Far, passStyleOf } from '@endo/far';

const METHODS = ['hello', 'make', 'keep', 'use', 'get', 'same', 'note', 'heard'];

export function buildRootObject() {
  const membranes = new Map();

  const pass = (name, value) => (passStyleOf(value) === 'remotable' ? wrap(name, value) : value);

  const forward = async (name, target, method, args) => {
    if (membranes.get(name) !== 'open') {
      throw Error(membranes.has(name) ? 'the membrane is closed' : '[LOST] no such membrane');
    }
    const inside = args.map(arg => pass(name, arg));
    return pass(name, await E(target)[method](...inside));
  };

  const wrap = (name, target) => {
    const methods = METHODS.map(method => [method, (...args) => forward(name, target, method, args)]);
    return Far('wrapped', Object.fromEntries(methods));
  };

  return Far('membrane', {
    bootstrap() {},
    tidy() {},
    forget() {
      membranes.clear();
    },
    wrap(name, target) {
      membranes.set(name, 'open');
      return wrap(name, target);
    },
    close(name) {
      membranes.set(name, 'closed');
    },
  });
}
