import { lockdown, endow } from './lockdown.js';
export const boot = (bridge, globals) => {
  lockdown({ now: undefined, random: undefined });
  endow('console', { log: (...a) => bridge.log('info', a.map(x => String(x)).join(' ')) });
  let root;
  const layer = {
    start: (ns) => { root = ns.buildRootObject({}, {}, {}); },
    message: (target, body, slots, result) => {
      const [method, args] = JSON.parse(body.slice(1));
      const p = Promise.resolve().then(() => root[method](...args));
      p.then(v => { if (result) bridge.resolve([[result, false, '#' + JSON.stringify(v === undefined ? '#undefined' : v), []]]); },
        e => { if (result) bridge.resolve([[result, true, '#' + JSON.stringify({ '#error': String(e.message), name: e.name }), []]]); });
    },
    notify: () => {}, dropExports: () => {}, retireExports: () => {}, retireImports: () => {}, bringOutYourDead: () => bridge.gc(), finish: () => {},
  };
  return { layer, builtinNames: ['@endo/far'], builtin: name => ({ E: 1, Far: (n, o) => o }) };
};
