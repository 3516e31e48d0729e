// The vat-side layer as the host sees it.
//
// The host, once per heap: `lockdown(…)`, `makeLayer(bridge)`, `layer.prepare(restarted)`, evaluate the vat's module
// (imports by name through `layer.builtinNames` and `layer.builtin(name)`), `layer.start(namespace, …)`. Then one call per
// delivery; after each the host drains the job queue, calls `layer.finish()` and drains again. What these calls throw, or
// reject with, is fatal to the vat.
// Elsewhere: deliveries (liveslots.js), the vat's state (vom.js).

import { harden } from './harden.js';
import { endow } from './lockdown.js';
import { makeAssert, show, isObject } from './errors.js';
import { passStyleOf, getInterfaceOf } from './passStyle.js';
import { freezeEventual, HandledPromise } from './eventual.js';
import { makeConsole } from './console.js';
import { makeLiveslots } from './liveslots.js';
import { makeModules, makePowers } from './modules.js';
import { makeVom } from './vom.js';

const { defineProperty, freeze } = Object;

const VAT_DATA = ['defineKind', 'defineKindMulti', 'defineDurableKind', 'defineDurableKindMulti', 'makeKindHandle',
  'canBeDurable', 'providePromiseWatcher', 'watchPromise', 'makeScalarBigMapStore', 'makeScalarBigWeakMapStore',
  'makeScalarBigSetStore', 'makeScalarBigWeakSetStore'];

// A global that is made when it is first read.
const endowLazily = (name, make) => {
  const fix = value => {
    defineProperty(globalThis, name, { value, writable: false, enumerable: false, configurable: false });
    return value;
  };
  defineProperty(globalThis, name, { get: freeze(() => fix(make())), enumerable: false, configurable: true });
};

const describeRoot = root => {
  if (root === null) return 'null';
  if (!isObject(root)) return `${typeof root === 'undefined' ? 'undefined' : `the ${typeof root} ${show(root)}`}`;
  if (typeof root === 'function') return `the function ${show(root.name)}`;
  if (Array.isArray(root)) return 'an array';
  return Object.isFrozen(root) ? `an object without a name (${show(root)})` : 'an object that is not hardened';
};

const FIX = 'it must return a remotable with a name, such as makeDefaultExo("Root", { … }) or Far("Root", { … })';

const checkRoot = (root, isKnown) => {
  let style;
  let why = '';
  try {
    style = passStyleOf(root);
  } catch (e) {
    why = `: ${e.message}`;
  }
  if (style !== 'remotable') throw Error(`buildRootObject() returned ${describeRoot(root)}${why}; ${FIX}`);
  if (getInterfaceOf(root) === undefined) throw Error(`buildRootObject() returned a remotable without a name; ${FIX}`);
  if (isKnown(root)) {
    throw Error('buildRootObject() returned an object that is durable, virtual or was sent before; the root must be ephemeral: '
      + 'keep durable state in baggage and return a new Far object or exo');
  }
};

/** Makes the layer of one heap. `options.endow(name, value)` and `options.endowLazily(name, make)` are for tests. */
export const makeLayer = (bridge, options = {}) => {
  const define = options.endow ?? endow;
  const defineLazily = options.endowLazily ?? endowLazily;
  const load = file => bridge.load(file);
  const powers = makePowers(load);
  const slots = makeLiveslots({ bridge, makeVom, more: powers });
  const { vom } = slots;
  let assertMade;
  const assert = () => (assertMade ??= harden(makeAssert()));
  const modules = makeModules({ load, powers, assert, vatData: () => vom.VatData });
  let prepared = false;
  let finished = false; // the start delivery

  const prepare = restarted => {
    if (prepared) throw Error('prepare: called twice');
    prepared = true;
    freezeEventual();
    define('harden', harden);
    define('HandledPromise', HandledPromise);
    defineLazily('assert', assert);
    defineLazily('console', () => harden(makeConsole((level, text) => bridge.log(level, text))));
    defineLazily('VatData', () => vom.VatData);
    defineLazily('WeakMap', () => vom.WeakMap);
    defineLazily('WeakSet', () => vom.WeakSet);
    vom.start(restarted);
  };

  // The members of VatData are made when one of them is asked for.
  const powersForVat = extra => {
    const vatPowers = {
      ...extra,
      exitVat: slots.exitVat,
      exitVatWithFailure: slots.exitVatWithFailure,
      D: () => { throw Error('there are no devices'); },
      get WeakMap() { return vom.WeakMap; },
      get WeakSet() { return vom.WeakSet; },
    };
    for (let i = 0; i < VAT_DATA.length; i += 1) {
      const name = VAT_DATA[i];
      defineProperty(vatPowers, name, { get: () => vom.VatData[name], enumerable: true });
    }
    return harden(vatPowers);
  };

  const start = async (namespace, body, parameterSlots, extra, restarted) => {
    if (!prepared) prepare(restarted);
    const parameters = slots.decodeParameters(body, parameterSlots);
    const build = typeof namespace === 'function' ? namespace : namespace.buildRootObject;
    if (typeof build !== 'function') {
      const names = Object.keys(namespace).join(', ');
      throw Error(`the vat's module does not export a function buildRootObject; its exports are: ${names === '' ? 'none' : names}`);
    }
    const root = await build(powersForVat(extra), parameters, vom.baggage);
    checkRoot(root, slots.isKnown);
    slots.exportRoot(root);
    vom.started();
    finished = true;
  };

  return {
    prepare,
    start,
    /** True once buildRootObject's promise was fulfilled and everything was found in order. */
    isStarted: () => finished,
    message: slots.message,
    notify: slots.notify,
    dropExports: slots.dropExports,
    retireExports: slots.retireExports,
    retireImports: slots.retireImports,
    bringOutYourDead: slots.bringOutYourDead,
    finish: slots.finish,
    builtinNames: modules.names,
    builtin: modules.get,
    sizes: slots.sizes,
  };
};
