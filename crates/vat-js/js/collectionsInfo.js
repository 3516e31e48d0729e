// What is known of each store: its label, the shapes of its keys and values, how many entries it has; and the checks of keys and
// values against those shapes. Part of `collections.js`, which says what the rows are.
//
// Always: what changed in a delivery is written back by `flush`; a store that has an object in the heap is not forgotten.

import { show } from './keys.js';

const CACHED_INFOS = 64;

/** Descriptions and counters of stores, read when needed and written back by `flush`. */
export const makeInfos = ({ env, unpack }) => {
  const { stateGet, stateSet, stateDelete } = env.bridge;
  const infos = new Map(); // id -> info
  let isChanged = false; // since the last flush

  const load = (id, space) => {
    const text = stateGet(`${space}C.${id}`);
    if (text === undefined) return undefined;
    const { t, l, s } = JSON.parse(text);
    const [count, ordinal] = (stateGet(`${space}n.c${id}`) ?? '0,0').split(',').map(Number);
    return { id, space, type: t, label: l, shapes: s, keyShape: undefined, valueShape: undefined, count, ordinal };
  };

  const begin = info => {
    info.generation = 0;
    info.dirty = false;
    info.opened = false;
    info.prefix = `${info.space}c.${info.id}.`;
    info.local = undefined;
    infos.set(info.id, info);
    isChanged = true;
    return info;
  };

  /** Shapes are unpacked only when they are needed. */
  const open = info => {
    info.opened = true;
    if (info.shapes === undefined || info.shapes === 'strings') return;
    const { keyShape, valueShape } = unpack(info.shapes);
    info.keyShape = keyShape;
    info.valueShape = valueShape;
  };

  return {
    open,
    markDirty(info) {
      info.dirty = true;
      isChanged = true;
    },
    has: (id, space) => infos.has(id) || stateGet(`${space}C.${id}`) !== undefined,
    get(id, space) {
      const known = infos.get(id);
      if (known !== undefined) return known;
      const info = load(id, space);
      if (info === undefined) throw Error(`no store ${id}`);
      return begin(info);
    },
    create(id, space, type, label, shapes) {
      stateSet(`${space}C.${id}`, JSON.stringify({ t: type, l: label, s: shapes }));
      return begin({
        id,
        space,
        type,
        label,
        shapes,
        keyShape: undefined,
        valueShape: undefined,
        count: 0,
        ordinal: 0,
      });
    },
    remove(info) {
      infos.delete(info.id);
      stateDelete(`${info.space}C.${info.id}`);
      stateDelete(`${info.space}n.c${info.id}`);
    },
    flush() {
      if (!isChanged) return;
      isChanged = false;
      for (const info of infos.values()) {
        if (info.dirty) {
          info.dirty = false;
          stateSet(`${info.space}n.c${info.id}`, `${info.count},${info.ordinal}`);
        }
      }
      if (infos.size <= CACHED_INFOS) return;
      for (const info of infos.values()) {
        const vref = `o+${info.space === 'v' ? 'v' : 'd'}${info.type}/${info.id}`;
        if (info.local === undefined && env.valOf(vref) === undefined) infos.delete(info.id);
      }
    },
  };
};

/** Checks of keys and values against what a store was declared to hold. */
export const makeChecks = (env, infos) => {
  const checkString = (key, complain) => {
    if (typeof key !== 'string') complain(`${show(env.passStyleOf(key)).slice(1, -1)} ${show(key)} - Must be a string`);
  };

  const isScalar = key => {
    const type = typeof key;
    if (type === 'string' || type === 'number' || type === 'bigint' || type === 'boolean' || type === 'undefined')
      return true;
    return key === null || env.passStyleOf(key) === 'remotable' || type === 'symbol';
  };

  const checkKey = (info, key) => {
    if (!info.opened) infos.open(info);
    const label = `invalid key type for collection ${show(info.label)}`;
    const complain = why => {
      throw Error(`${label}: ${why}`);
    };
    if (info.shapes === 'strings') checkString(key, complain);
    else if (!isScalar(key)) complain(`A ${show(env.passStyleOf(key))} cannot be a scalar key: ${show(key)}`);
    else if (info.keyShape !== undefined) env.patterns().mustMatch(key, info.keyShape, label);
  };

  const fits = (info, key) => {
    if (!info.opened) infos.open(info);
    if (info.shapes === 'strings') return typeof key === 'string';
    if (!isScalar(key)) return false;
    return info.keyShape === undefined || env.patterns().matches(key, info.keyShape);
  };

  const checkValue = (info, value) => {
    if (!info.opened) infos.open(info);
    if (info.valueShape === undefined) return;
    env.patterns().mustMatch(value, info.valueShape, `invalid value type for collection ${show(info.label)}`);
  };

  return { checkKey, fits, checkValue };
};
