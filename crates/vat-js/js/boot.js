// What the host evaluates in a fresh realm: guards, lockdown, the layer, and the globals that the vat asked for.
//
// Always: when `boot` returns, the realm is locked and complete, and no code of the vat has run.
// Elsewhere: the host's functions (`bridge`), the layer (layer.js), loops that need bounds (guards.js).

import { lockdown, endow } from './lockdown.js';
import { installGuards } from './guards.js';
import { makeLayer } from './layer.js';
import { endowments } from './endow.js';

/** Makes the realm ready. `globals`: names of endowments. Returns the layer. */
export const boot = (bridge, globals, restarted) => {
  const values = endowments(bridge, globals);
  const { poll, freezeIntrinsics: walk } = bridge;
  lockdown({ installGuards: () => installGuards(poll), walk, now: values.now, random: values.random });
  for (const [name, value] of values.plain) endow(name, value);
  const layer = makeLayer(bridge);
  layer.prepare(restarted);
  return layer;
};
