// Runs a vat on the layer of this project, in a fresh realm, with a mock of the native side.
import vm from 'node:vm';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { collect, quiescent } from './state.mjs';

const LAYER = fileURLToPath(new URL('../../../crates/vat-js/js/', import.meta.url));
const VATS = fileURLToPath(new URL('../vats/', import.meta.url));
const sources = new Map();
const read = file => {
  if (!sources.has(file)) sources.set(file, readFileSync(file, 'utf8'));
  return sources.get(file);
};

/** A realm with the layer in it, locked down. */
export const makeRealm = async bridge => {
  const context = vm.createContext({});
  const modules = new Map();
  let layer;
  const link = (specifier, importer) => {
    const file = path.resolve(path.dirname(importer.identifier), specifier);
    if (specifier.startsWith('.')) return load(file); // eslint-disable-line no-use-before-define
    const namespace = layer.builtin(specifier);
    const names = Object.keys(namespace);
    return new vm.SyntheticModule(names, function fill() {
      for (const name of names) this.setExport(name, namespace[name]);
    }, { context });
  };
  const load = file => {
    if (!modules.has(file)) modules.set(file, new vm.SourceTextModule(read(file), { context, identifier: file }));
    return modules.get(file);
  };
  const evaluate = async file => {
    const module = load(file);
    if (module.status === 'unlinked') await module.link(link);
    await module.evaluate();
    return module.namespace;
  };
  const { lockdown } = await evaluate(`${LAYER}lockdown.js`);
  const { makeLayer } = await evaluate(`${LAYER}layer.js`);
  const lazy = {};
  for (const file of ['patterns.js', 'exo.js', 'data.js', 'vomKinds.js', 'vomWeak.js', 'watch.js']) lazy[file] = await evaluate(LAYER + file);
  bridge.load = file => lazy[file];
  lockdown({ keep: ['gc'] }); // which --expose-gc puts into every realm, for good
  layer = makeLayer(bridge);
  return { layer, evaluate, context };
};

/** A vat: `deliver(kind, ...args)` gives the syscalls. */
export const startVat = async ({ vat, state, vatId = 'v1', restarted = false, parameters = { body: '#{}', slots: [] }, logs = [] }) => {
  let syscalls = [];
  const holds = new Map();
  let writes = 0;
  const push = (...call) => { syscalls.push(call); };
  const list = xs => Array.from(xs);
  const bridge = {
    vatId,
    stateGet: key => state.get(key),
    stateSet: (key, value) => { writes += 1; state.set(key, value); },
    stateDelete: key => { writes += 1; state.delete(key); },
    stateNext: (after, prefix) => state.next(after, prefix),
    hold: (vref, level) => { holds.set(vref, level); },
    send: (target, body, slots, result) => push('send', target, body, list(slots), result ?? null),
    subscribe: vpid => push('subscribe', vpid),
    resolve: batch => push('resolve', list(batch).map(([p, r, b, s]) => [p, r, b, list(s)])),
    exit: (failure, body, slots) => push('exit', failure, body, list(slots)),
    dropImports: vrefs => push('dropImports', list(vrefs)),
    retireImports: vrefs => push('retireImports', list(vrefs)),
    retireExports: vrefs => push('retireExports', list(vrefs)),
    abandonExports: vrefs => push('abandonExports', list(vrefs)),
    log: (level, text) => { logs.push(`${level}: ${text}`); },
    gc: collect,
  };
  const { layer, evaluate, context } = await makeRealm(bridge);
  const finish = async () => {
    await quiescent();
    layer.finish();
    await quiescent();
    const done = syscalls;
    syscalls = [];
    return done;
  };
  const deliver = async (kind, ...args) => {
    await layer[kind](...args);
    return finish();
  };
  layer.prepare(restarted);
  const namespace = await evaluate(path.resolve(VATS, vat));
  let started;
  let failure;
  const p = layer.start(namespace, parameters.body, parameters.slots, {}, restarted);
  p.then(() => { started = true; }, e => { failure = e; });
  const first = await finish();
  if (failure !== undefined) throw failure;
  if (!started) throw Error('buildRootObject unresolved');
  return { deliver, first, layer, holds, context, writes: () => writes };
};
