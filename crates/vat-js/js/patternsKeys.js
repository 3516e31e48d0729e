// Keys: values that can be compared for good. Rank order (total up to objects, which tie), the partial order of keys, and
// sets, bags and maps made of them. Part of `patterns.js`.

import { makeSetOperations, sortBy, walkPairs } from './patternsSets.js';
import { show, nameOfSymbol } from './keys.js';

const fail = text => {
  throw Error(text);
};

const STYLE_RANK = {
  error: 0,
  copyRecord: 1,
  tagged: 2,
  promise: 3,
  copyArray: 4,
  byteArray: 5,
  boolean: 6,
  number: 7,
  bigint: 8,
  remotable: 9,
  string: 10,
  null: 11,
  symbol: 12,
  undefined: 13,
};

const compareSimple = (left, right) => (left < right ? -1 : left > right ? 1 : 0);

const compareNumbers = (left, right) => {
  if (left < right) return -1;
  if (left > right) return 1;
  const leftNaN = left !== left;
  if (leftNaN === (right !== right)) return 0;
  return leftNaN ? 1 : -1;
};

/** The style of a value; primitives are answered here. */
export const makeStyleOf = passStyleOf => value => {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'boolean':
    case 'undefined':
      return typeof value;
    default:
      return value === null ? 'null' : passStyleOf(value);
  }
};

/** Names of a record in the order in which records are compared. */
export const recordNames = record => Reflect.ownKeys(record).sort().reverse();

const makeRank = (styleOf, compareObjects) => {
  const compareLists = (left, right) => {
    const length = Math.min(left.length, right.length);
    for (let i = 0; i < length; i += 1) {
      const order = compare(left[i], right[i]);
      if (order !== 0) return order;
    }
    return compareSimple(left.length, right.length);
  };
  const compareRecords = (left, right) => {
    const leftNames = recordNames(left);
    const rightNames = recordNames(right);
    const order = compareLists(leftNames, rightNames);
    if (order !== 0) return order;
    return compareLists(
      leftNames.map(name => left[name]),
      rightNames.map(name => right[name]),
    );
  };
  const compare = (left, right) => {
    if (left === right || (left !== left && right !== right)) return 0;
    const style = styleOf(left);
    const rightStyle = styleOf(right);
    if (style !== rightStyle) return compareSimple(STYLE_RANK[style], STYLE_RANK[rightStyle]);
    switch (style) {
      case 'remotable':
        return compareObjects(left, right);
      case 'number':
        return compareNumbers(left, right);
      case 'boolean':
      case 'bigint':
      case 'string':
        return compareSimple(left, right);
      case 'symbol':
        return compareSimple(nameOfSymbol(left), nameOfSymbol(right));
      case 'copyRecord':
        return compareRecords(left, right);
      case 'copyArray':
        return compareLists(left, right);
      case 'tagged': {
        const order = compareSimple(left[Symbol.toStringTag], right[Symbol.toStringTag]);
        return order === 0 ? compare(left.payload, right.payload) : order;
      }
      default:
        return 0;
    }
  };
  return compare;
};

const isSortedBy = (items, compare) => {
  for (let i = 1; i < items.length; i += 1) if (compare(items[i - 1], items[i]) > 0) return false;
  return true;
};

/** Sets, bags and maps: checks, makers, getters. */
const makeCollectionTools = (base, styleOf, confirmKey) => {
  const { harden, makeTagged } = base;
  const tied = makeRank(styleOf, () => 0);
  const antiRank = (left, right) => tied(right, left);

  /** A total order of everything compared with it, objects in order of first appearance. */
  const makeFullOrder = () => {
    const numbers = new Map();
    const numberOf = object => {
      if (!numbers.has(object)) numbers.set(object, numbers.size);
      return numbers.get(object);
    };
    const rank = makeRank(styleOf, (left, right) => {
      const leftNumber = numberOf(left);
      return compareSimple(leftNumber, numberOf(right));
    });
    return (left, right) => rank(right, left);
  };

  const confirmDistinct = (keys, reject) => {
    const order = makeFullOrder();
    const sorted = sortBy(keys, order);
    for (let i = 1; i < sorted.length; i += 1) {
      if (order(sorted[i - 1], sorted[i]) === 0)
        return reject && reject(`value has duplicate keys: ${show(sorted[i])}`);
    }
    return true;
  };

  const confirmElements = (keys, reject) => {
    if (styleOf(keys) !== 'copyArray') {
      return reject && reject(`The keys of a copySet or copyMap must be a copyArray: ${show(keys)}`);
    }
    if (!isSortedBy(keys, antiRank)) {
      return reject && reject(`The keys of a copySet or copyMap must be sorted in reverse rank order: ${show(keys)}`);
    }
    return confirmDistinct(keys, reject);
  };

  const confirmBagEntries = (entries, reject) => {
    if (styleOf(entries) !== 'copyArray') {
      return reject && reject(`The entries of a copyBag must be a copyArray: ${show(entries)}`);
    }
    if (!isSortedBy(entries, antiRank)) {
      return reject && reject(`The entries of a copyBag must be sorted in reverse rank order: ${show(entries)}`);
    }
    for (const entry of entries) {
      if (styleOf(entry) !== 'copyArray' || entry.length !== 2 || typeof entry[1] !== 'bigint') {
        return (
          reject &&
          reject(`Each entry of a copyBag must be pair of a key and a bigint representing a count: ${show(entry)}`)
        );
      }
      if (entry[1] < 1n) return reject && reject(`Each entry of a copyBag must have a positive count: ${show(entry)}`);
    }
    return confirmDistinct(
      entries.map(([key]) => key),
      reject,
    );
  };

  const memo = new base.WeakSet();
  const confirmTagged = (value, tag, article, confirmPayload, reject) => {
    if (typeof value === 'object' && value !== null && memo.has(value)) return value[Symbol.toStringTag] === tag;
    if (styleOf(value) !== 'tagged' || value[Symbol.toStringTag] !== tag) {
      return reject && reject(`Not a ${article}: ${show(value)}`);
    }
    if (!confirmPayload(value.payload, reject)) return false;
    memo.add(value);
    return true;
  };
  const everyKey = (keys, reject) => keys.every(key => confirmKey(key, reject));

  const confirmCopySet = (set, reject) =>
    confirmTagged(set, 'copySet', 'copySet', keys => confirmElements(keys, reject) && everyKey(keys, reject), reject);
  const confirmCopyBag = (bag, reject) =>
    confirmTagged(
      bag,
      'copyBag',
      'copyBag',
      entries =>
        confirmBagEntries(entries, reject) &&
        everyKey(
          entries.map(([key]) => key),
          reject,
        ),
      reject,
    );
  const confirmMapPayload = (map, payload, reject) => {
    if (styleOf(payload) !== 'copyRecord') {
      return reject && reject(`A copyMap's payload must be a record: ${show(map)}`);
    }
    const { keys, values } = payload;
    if (Object.keys(payload).some(name => name !== 'keys' && name !== 'values')) {
      return reject && reject(`A copyMap's payload must only have .keys and .values: ${show(map)}`);
    }
    if (!confirmElements(keys, reject) || !everyKey(keys, reject)) return false;
    if (styleOf(values) !== 'copyArray') {
      return reject && reject(`A copyMap's .values must be a copyArray: ${show(map)}`);
    }
    return (
      keys.length === values.length ||
      (reject && reject(`A copyMap must have the same number of keys and values: ${show(map)}`))
    );
  };
  const confirmCopyMap = (map, reject) =>
    confirmTagged(map, 'copyMap', 'copyMap', payload => confirmMapPayload(map, payload, reject), reject);

  const makeCopySet = source => {
    const set = makeTagged('copySet', harden(sortBy(Array.from(source, harden), antiRank)));
    confirmCopySet(set, fail);
    return set;
  };
  const makeCopyBag = source => {
    const bag = makeTagged('copyBag', harden(sortBy(Array.from(source, harden), antiRank)));
    confirmCopyBag(bag, fail);
    return bag;
  };
  const makeCopyBagFromElements = source => {
    const order = makeFullOrder();
    const entries = [];
    for (const key of sortBy(Array.from(source, harden), order)) {
      const last = entries[entries.length - 1];
      if (last !== undefined && order(last[0], key) === 0) last[1] += 1n;
      else entries.push([key, 1n]);
    }
    return makeCopyBag(entries);
  };
  const makeCopyMap = source => {
    const entries = sortBy(Array.from(source, harden), antiRank);
    const payload = { keys: entries.map(([key]) => key), values: entries.map(([, value]) => value) };
    const map = makeTagged('copyMap', harden(payload));
    confirmCopyMap(map, fail);
    return map;
  };

  const getCopySetKeys = set => {
    confirmCopySet(set, fail);
    return set.payload;
  };
  const getCopyBagEntries = bag => {
    confirmCopyBag(bag, fail);
    return bag.payload;
  };
  const getCopyMapEntries = map => {
    confirmCopyMap(map, fail);
    const { keys, values } = map.payload;
    return harden(keys.map((key, i) => [key, values[i]]));
  };

  return {
    confirmCopySet,
    confirmCopyBag,
    confirmCopyMap,
    makeCopySet,
    makeCopyBag,
    makeCopyBagFromElements,
    makeCopyMap,
    getCopySetKeys,
    getCopyBagEntries,
    getCopyMapEntries,
    makeFullOrder,
    tied,
    antiRank,
    coerceToElements: source => {
      const keys = harden(sortBy(Array.from(source, harden), antiRank));
      confirmElements(keys, fail);
      return keys;
    },
    coerceToBagEntries: source => {
      const entries = harden(sortBy(Array.from(source, harden), antiRank));
      confirmBagEntries(entries, fail);
      return entries;
    },
  };
};

/** How keys compare. */
const makeComparisons = (styleOf, tools, assertKey) => {
  const compareCounts = (leftEntries, rightEntries, absent) => {
    let leftBigger = false;
    let rightBigger = false;
    walkPairs(leftEntries, rightEntries, tools.makeFullOrder, absent, (left, right) => {
      if (left > right) leftBigger = true;
      else if (left < right) rightBigger = true;
    });
    if (leftBigger && rightBigger) return NaN;
    return leftBigger ? 1 : rightBigger ? -1 : 0;
  };
  const setCompare = (left, right) =>
    compareCounts(
      tools.getCopySetKeys(left).map(key => [key, 1]),
      tools.getCopySetKeys(right).map(key => [key, 1]),
      0,
    );
  const bagCompare = (left, right) => compareCounts(tools.getCopyBagEntries(left), tools.getCopyBagEntries(right), 0n);

  const compareRecords = (left, right) => {
    const names = recordNames(left);
    const rightNames = recordNames(right);
    if (names.length !== rightNames.length || names.some((name, i) => name !== rightNames[i])) return NaN;
    let result = 0;
    for (const name of names) {
      const order = compare(left[name], right[name]);
      if (order !== order) return NaN;
      if (result === 0) result = order;
      else if (order !== 0 && order !== result) return NaN;
    }
    return result;
  };
  const compareArrays = (left, right) => {
    const length = Math.min(left.length, right.length);
    for (let i = 0; i < length; i += 1) {
      const order = compare(left[i], right[i]);
      if (order !== 0) return order;
    }
    return compareSimple(left.length, right.length);
  };
  const compareTagged = (left, right) => {
    const tag = left[Symbol.toStringTag];
    if (tag !== right[Symbol.toStringTag]) return NaN;
    switch (tag) {
      case 'copySet':
        return setCompare(left, right);
      case 'copyBag':
        return bagCompare(left, right);
      case 'copyMap':
        return fail(`Map comparison not yet implemented: ${show(left)} vs ${show(right)}`);
      default:
        return fail(`unexpected tag ${show(tag)}: ${show(left)}`);
    }
  };
  const compare = (left, right) => {
    const style = styleOf(left);
    if (style !== styleOf(right)) return NaN;
    switch (style) {
      case 'undefined':
      case 'null':
        return 0;
      case 'number':
        if (left !== left || right !== right) return left !== left && right !== right ? 0 : NaN;
        return compareSimple(left, right);
      case 'boolean':
      case 'bigint':
      case 'string':
      case 'symbol':
        return tools.tied(left, right);
      case 'remotable':
        return left === right ? 0 : NaN;
      case 'copyArray':
        return compareArrays(left, right);
      case 'copyRecord':
        return compareRecords(left, right);
      case 'tagged':
        return compareTagged(left, right);
      default:
        return fail(`unexpected passStyle ${show(style)}: ${show(left)}`);
    }
  };
  const compareKeys = (left, right) => {
    assertKey(left);
    assertKey(right);
    return compare(left, right);
  };
  return { setCompare, bagCompare, compareKeys };
};

/** Everything about keys: `exported` is for the namespace, the rest for the other parts of `patterns.js`. */
export const makeKeyTools = base => {
  const styleOf = makeStyleOf(base.passStyleOf);
  const keyMemo = new base.WeakSet();

  const confirmScalarKey = (value, reject) => {
    const style = styleOf(value);
    switch (style) {
      case 'copyRecord':
      case 'copyArray':
      case 'tagged':
      case 'error':
      case 'promise':
        return reject && reject(`A ${show(style)} cannot be a scalar key: ${show(value)}`);
      default:
        return true;
    }
  };

  const confirmTaggedKey = (value, reject) => {
    const tag = value[Symbol.toStringTag];
    switch (tag) {
      case 'copySet':
        return tools.confirmCopySet(value, reject);
      case 'copyBag':
        return tools.confirmCopyBag(value, reject);
      case 'copyMap':
        return tools.confirmCopyMap(value, reject) && value.payload.values.every(item => confirmKey(item, reject));
      default:
        return reject && reject(`A passable tagged ${show(tag)} is not a key: ${show(value)}`);
    }
  };

  const confirmCompound = (value, style, reject) => {
    switch (style) {
      case 'copyRecord':
        return Object.values(value).every(item => confirmKey(item, reject));
      case 'copyArray':
        return value.every(item => confirmKey(item, reject));
      case 'tagged':
        return confirmTaggedKey(value, reject);
      case 'error':
      case 'promise':
        return reject && reject(`A ${show(style)} cannot be a key`);
      default:
        return true;
    }
  };

  const confirmKey = (value, reject) => {
    if (typeof value !== 'object' || value === null) {
      styleOf(value);
      return true;
    }
    if (keyMemo.has(value)) return true;
    if (!confirmCompound(value, styleOf(value), reject)) return false;
    keyMemo.add(value);
    return true;
  };

  const tools = makeCollectionTools(base, styleOf, confirmKey);
  const assertKey = value => void confirmKey(value, fail);
  const comparisons = makeComparisons(styleOf, tools, assertKey);
  const { compareKeys } = comparisons;
  const keyEQ = (left, right) => compareKeys(left, right) === 0;
  const {
    confirmCopySet,
    confirmCopyBag,
    confirmCopyMap,
    makeCopySet,
    makeCopyBag,
    makeCopyBagFromElements,
    makeCopyMap,
    getCopySetKeys,
    getCopyBagEntries,
    getCopyMapEntries,
    coerceToElements,
    coerceToBagEntries,
  } = tools;

  const exported = {
    isKey: value => !!confirmKey(value, undefined),
    assertKey,
    assertScalarKey: value => void confirmScalarKey(value, fail),
    isCopySet: value => !!confirmCopySet(value, undefined),
    assertCopySet: value => void confirmCopySet(value, fail),
    isCopyBag: value => !!confirmCopyBag(value, undefined),
    assertCopyBag: value => void confirmCopyBag(value, fail),
    isCopyMap: value => !!confirmCopyMap(value, undefined),
    assertCopyMap: value => void confirmCopyMap(value, fail),
    makeCopySet,
    makeCopyBag,
    makeCopyBagFromElements,
    makeCopyMap,
    getCopySetKeys,
    getCopyBagEntries,
    getCopyMapEntries,
    coerceToElements,
    coerceToBagEntries,
    ...comparisons,
    keyEQ,
    keyLT: (left, right) => compareKeys(left, right) < 0,
    keyLTE: (left, right) => compareKeys(left, right) <= 0,
    keyGTE: (left, right) => compareKeys(left, right) >= 0,
    keyGT: (left, right) => compareKeys(left, right) > 0,
    ...makeSetOperations(tools, comparisons),
  };
  return { styleOf, confirmKey, confirmScalarKey, walkPairs, ...tools, compareRank: tools.tied, exported };
};
