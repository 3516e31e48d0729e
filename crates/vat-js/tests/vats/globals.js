// Which globals a vat finds, and what they do.

import { Far } from '@endo/far';

const attempt = f => {
  try {
    return f();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

export function buildRootObject() {
  return Far('Globals', {
    present: names => harden(names.filter(name => name in globalThis)),
    now: () => attempt(() => typeof Date.now()),
    date: () => attempt(() => typeof new Date().getTime()),
    parseDate: () => new Date(86_400_000).toISOString(),
    random: () =>
      attempt(() => {
        const n = Math.random();
        return n >= 0 && n < 1;
      }),
    steady() {
      let last = Date.now();
      for (let i = 0; i < 1000; i += 1) {
        const next = Date.now();
        if (next < last) return false;
        last = next;
      }
      return true;
    },
    roundTrip(text) {
      const bytes = new TextEncoder().encode(text);
      return harden([bytes.length, new TextDecoder().decode(bytes), atob(btoa('bytes'))]);
    },
    evaluate: () => attempt(() => (0, eval)('1 + 1')),
  });
}
