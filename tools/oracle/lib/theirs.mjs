// Runs a vat on real liveslots, in the main realm. Import this first: it locks the realm down.
import 'ses';
import '@endo/eventual-send/shim.js';
import { collect, quiescent } from './state.mjs';

lockdown({ errorTaming: 'unsafe', overrideTaming: 'severe', consoleTaming: 'unsafe', errorTrapping: 'none', unhandledRejectionTrapping: 'none' });
process.on('unhandledRejection', () => {});
const { makeLiveSlots } = await import('@agoric/swingset-liveslots');

const VATS = new URL('../vats/', import.meta.url);
let loads = 0;
const silent = { debug() {}, log() {}, info() {}, warn() {}, error() {} };

const meterControl = {
  isMeteringDisabled: () => false, assertIsMetered() {}, assertNotMetered() {},
  runWithoutMetering: f => f(), runWithoutMeteringAsync: async f => f(), unmetered: f => f,
};

export const startVat = async ({ vat, state, vatId = 'v1', parameters = { body: '#{}', slots: [] } }) => {
  let syscalls = [];
  const push = (...call) => { syscalls.push(call); };
  const cap = ({ body, slots }) => [body, [...slots]];
  const syscall = {
    send: (target, methargs, result) => push('send', target, ...cap(methargs), result ?? null),
    subscribe: vpid => push('subscribe', vpid),
    resolve: batch => push('resolve', batch.map(([p, r, c]) => [p, r, ...cap(c)])),
    exit: (failure, c) => push('exit', failure, ...cap(c)),
    dropImports: vrefs => push('dropImports', [...vrefs]),
    retireImports: vrefs => push('retireImports', [...vrefs]),
    retireExports: vrefs => push('retireExports', [...vrefs]),
    abandonExports: vrefs => push('abandonExports', [...vrefs]),
    callNow: () => { throw Error('no devices'); },
    vatstoreGet: key => state.get(key),
    vatstoreSet: (key, value) => state.set(key, value),
    vatstoreDelete: key => state.delete(key),
    vatstoreGetNextKey: prior => state.next(prior, ''),
  };
  // Reading the vat's file takes turns of the outer loop, which would count as quiescence.
  let loading = true;
  const waitUntilQuiescent = async () => {
    do await quiescent(); while (loading);
    await quiescent();
  };
  const gcTools = {
    WeakRef, FinalizationRegistry, waitUntilQuiescent, gcAndFinalize: collect, meterControl,
  };
  const build = async vatGlobals => {
    globalThis.VatData = vatGlobals.VatData;
    loads += 1;
    try {
      return await import(new URL(`${vat}?${loads}`, VATS));
    } finally {
      loading = false;
    }
  };
  const real = globalThis.console;
  const { dispatch } = makeLiveSlots(syscall, vatId, {}, {}, gcTools, silent, build);
  const run = async delivery => {
    globalThis.console = silent;
    try {
      await dispatch(harden(delivery));
    } finally {
      globalThis.console = real;
    }
    const done = syscalls;
    syscalls = [];
    return done;
  };
  const capdata = (body, slots) => ({ body, slots });
  const deliver = async (kind, ...args) => {
    switch (kind) {
      case 'message': {
        const [target, body, slots, result] = args;
        return run(['message', target, { methargs: capdata(body, slots), result: result ?? null }]);
      }
      case 'notify': return run(['notify', args[0].map(([p, r, b, s]) => [p, r, capdata(b, s)])]);
      case 'bringOutYourDead': return run(['bringOutYourDead']);
      default: return run([kind, args[0]]);
    }
  };
  const first = await run(['startVat', parameters]);
  return { deliver, first };
};
