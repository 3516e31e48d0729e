// Matchers: what each tag `match:…` accepts, and `M` which makes them. Part of `patterns.js`; how a pattern is applied to a
// value is in `patternsCore.js`, guards of methods and interfaces are in `patternsGuards.js`.

import { makeCore, showPattern } from './patternsCore.js';
import { show, nameOfSymbol } from './keys.js';

const fail = text => {
  throw Error(text);
};

const LIMITS = {
  decimalDigitsLimit: 100,
  stringLengthLimit: 100_000,
  symbolNameLengthLimit: 100,
  numPropertiesLimit: 80,
  propertyNameLengthLimit: 100,
  arrayLengthLimit: 10_000,
  byteLengthLimit: 100_000,
  numSetElementsLimit: 10_000,
  numUniqueBagElementsLimit: 10_000,
  numMapEntriesLimit: 5000,
};
const limitOf = (limits, name) => limits?.[name] ?? LIMITS[name];

const addLogicHelpers = core => {
  const { helpers, confirm, confirmPattern, confirmKind, matches, isUndefinedPattern } = core;
  const wellAny = (payload, reject) =>
    payload === undefined || (reject && reject(`match:any payload: ${show(payload)} - Must be undefined`));
  const wellList = styleOf => (payload, reject) =>
    (styleOf(payload) === 'copyArray' || (reject && reject(`Needs array of sub-patterns: ${showPattern(payload)}`))) &&
    payload.every(part => confirmPattern(part, reject));

  helpers['match:any'] = { ok: () => true, well: wellAny };
  helpers['match:and'] = {
    ok: (specimen, parts, reject) => parts.every(part => confirm(specimen, part, reject)),
    well: wellList(core.styleOf),
  };
  helpers['match:or'] = {
    ok: (specimen, parts, reject) => {
      if (parts.length === 0)
        return reject && reject(`${show(specimen)} - no pattern disjuncts to match: ${showPattern(parts)}`);
      const optional = parts.length === 2 ? parts.findIndex(isUndefinedPattern) : -1;
      if (optional >= 0) return specimen === undefined || confirm(specimen, parts[1 - optional], reject);
      if (parts.some(part => matches(specimen, part))) return true;
      return reject && reject(`${show(specimen)} - Must match one of ${showPattern(parts)}`);
    },
    well: wellList(core.styleOf),
  };
  helpers['match:not'] = {
    ok: (specimen, part, reject) =>
      !matches(specimen, part) ||
      (reject && reject(`${show(specimen)} - Must fail negated pattern: ${showPattern(part)}`)),
    well: confirmPattern,
  };
  helpers['match:scalar'] = { ok: (specimen, _, reject) => core.confirmScalarKey(specimen, reject), well: wellAny };
  helpers['match:key'] = { ok: (specimen, _, reject) => core.confirmKey(specimen, reject), well: wellAny };
  helpers['match:pattern'] = { ok: (specimen, _, reject) => confirmPattern(specimen, reject), well: wellAny };
  helpers['match:kind'] = {
    ok: confirmKind,
    well: (kind, reject) =>
      typeof kind === 'string' ||
      (reject && reject(`match:kind: payload: ${show(kind)} - A kind name must be a string`)),
  };
};

/** Payloads of `count` patterns with an optional record of limits after them. */
const makeWellLimited = core => (count, name) => (payload, reject) => {
  if (!Array.isArray(payload)) return reject && reject(`${show(name)} payload must be an array: ${show(payload)}`);
  if (payload.length !== count && payload.length !== count + 1) {
    return reject && reject(`${show(name)} payload unexpected size: ${show(payload)}`);
  }
  for (let i = 0; i < count; i += 1) if (!core.confirmPattern(payload[i], reject)) return false;
  const limits = payload[count];
  if (limits === undefined) return true;
  if (core.styleOf(limits) !== 'copyRecord') return reject && reject(`Limits must be a record: ${show(limits)}`);
  const bad = Object.entries(limits).find(([, value]) => typeof value !== 'number');
  return bad === undefined || (reject && reject(`Value of limit ${show(bad[0])} but be a number: ${show(bad[1])}`));
};

const confirmDigits = (value, limits, reject) => {
  const digitsLimit = limitOf(limits, 'decimalDigitsLimit');
  const magnitude = value < 0n ? -value : value;
  if (magnitude < 10n ** 15n || magnitude.toString().length <= digitsLimit) return true;
  return reject && reject(`bigint ${show(value)} must not have more than ${digitsLimit} digits`);
};

const addScalarHelpers = core => {
  const { helpers, confirmKind, nested } = core;
  const wellLimited = makeWellLimited(core);

  helpers['match:bigint'] = {
    ok: (specimen, [limits], reject) =>
      confirmKind(specimen, 'bigint', reject) && confirmDigits(specimen, limits, reject),
    well: wellLimited(0, 'match:bigint payload'),
  };
  helpers['match:nat'] = {
    ok: (specimen, [limits], reject) =>
      confirmKind(specimen, 'bigint', reject) &&
      (specimen >= 0n || (reject && reject(`${show(specimen)} - Must be non-negative`))) &&
      confirmDigits(specimen, limits, reject),
    well: wellLimited(0, 'match:nat payload'),
  };
  helpers['match:string'] = {
    ok: (specimen, [limits], reject) => {
      if (!confirmKind(specimen, 'string', reject)) return false;
      const most = limitOf(limits, 'stringLengthLimit');
      return specimen.length <= most || (reject && reject(`string ${show(specimen)} must not be bigger than ${most}`));
    },
    well: wellLimited(0, 'match:string payload'),
  };
  helpers['match:symbol'] = {
    ok: (specimen, [limits], reject) => {
      if (!confirmKind(specimen, 'symbol', reject)) return false;
      const most = limitOf(limits, 'symbolNameLengthLimit');
      const name = nameOfSymbol(specimen);
      return name.length <= most || (reject && reject(`Symbol name ${show(name)} must not be bigger than ${most}`));
    },
    well: wellLimited(0, 'match:symbol payload'),
  };
  helpers['match:byteArray'] = {
    ok: (specimen, [limits], reject) => {
      if (!confirmKind(specimen, 'byteArray', reject)) return false;
      const most = limitOf(limits, 'byteLengthLimit');
      return (
        specimen.byteLength <= most || (reject && reject(`byteArray ${show(specimen)} must not be bigger than ${most}`))
      );
    },
    well: wellLimited(0, 'match:byteArray payload'),
  };

  const labelled = (tag, kind) => {
    helpers[tag] = {
      ok: (specimen, { label }, reject) => {
        if (core.kindOf(specimen) === kind) return true;
        if (reject === undefined) return false;
        const style = core.styleOf(specimen);
        const actual = style === 'tagged' ? show(specimen[Symbol.toStringTag]) : style;
        return reject(`${show(specimen)} - Must be a ${kind} ${label}, not ${actual}`);
      },
      well: (payload, reject) =>
        (core.styleOf(payload) === 'copyRecord' &&
          typeof payload.label === 'string' &&
          Object.keys(payload).length === 1) ||
        (reject && reject(`${tag} payload: ${show(payload)} - Must have a label`)),
    };
  };
  labelled('match:remotable', 'remotable');
  labelled('match:promise', 'promise');

  const comparing = (tag, sign, test) => {
    helpers[tag] = {
      ok: (specimen, operand, reject) => {
        // The comparison throws for what is no key; with a label if there is one.
        if (reject !== undefined) core.confirmKey(specimen, reject);
        return test(specimen, operand) || (reject && reject(`${show(specimen)} - Must be ${sign} ${show(operand)}`));
      },
      well: core.confirmKey,
    };
  };
  const { keyLT, keyLTE, keyGTE, keyGT } = core.comparisons;
  comparing('match:lt', '<', keyLT);
  comparing('match:lte', '<=', keyLTE);
  comparing('match:gte', '>=', keyGTE);
  comparing('match:gt', '>', keyGT);

  helpers['match:tagged'] = {
    ok: (specimen, [tagPattern, payloadPattern], reject) => {
      if (core.styleOf(specimen) !== 'tagged') {
        return reject && reject(`Expected tagged object, not ${show(core.styleOf(specimen))}: ${show(specimen)}`);
      }
      return (
        nested(specimen[Symbol.toStringTag], tagPattern, 'tag', reject) &&
        nested(specimen.payload, payloadPattern, 'payload', reject)
      );
    },
    well: wellLimited(2, 'match:tagged payload'),
  };
};

const addContainerHelpers = (core, base, tools) => {
  const { helpers, confirmKind, nested, kindOf, matches } = core;
  const { harden } = base;
  const wellLimited = makeWellLimited(core);

  const everyElement = (elements, pattern, label, reject) =>
    kindOf(pattern) === 'match:any' ||
    elements.every((element, i) => nested(element, pattern, `${label}[${i}]`, reject));

  const atMost = (count, most, reject, text) => count <= most || (reject && reject(text(most)));

  helpers['match:recordOf'] = {
    ok: (specimen, [keyPattern, valuePattern, limits], reject) => {
      if (!confirmKind(specimen, 'copyRecord', reject)) return false;
      const entries = Object.entries(specimen);
      const tooMany = most => `Must not have more than ${show(most)} properties: ${show(specimen)}`;
      if (!atMost(entries.length, limitOf(limits, 'numPropertiesLimit'), reject, tooMany)) return false;
      const longest = limitOf(limits, 'propertyNameLengthLimit');
      return entries.every(([name, value]) => {
        const tooLong = most => `${name}: Property name must not be longer than ${show(most)}`;
        return (
          atMost(name.length, longest, reject, tooLong) &&
          nested(name, keyPattern, name === '' ? name : `${name}: [0]`, reject) &&
          nested(value, valuePattern, `${name}: [1]`, reject)
        );
      });
    },
    well: wellLimited(2, 'match:recordOf payload'),
  };
  helpers['match:arrayOf'] = {
    ok: (specimen, [pattern, limits], reject) => {
      if (!confirmKind(specimen, 'copyArray', reject)) return false;
      const tooLong = most => `Array length ${specimen.length} must be <= limit ${most}`;
      return (
        atMost(specimen.length, limitOf(limits, 'arrayLengthLimit'), reject, tooLong) &&
        everyElement(specimen, pattern, '', reject)
      );
    },
    well: wellLimited(1, 'match:arrayOf payload'),
  };
  helpers['match:setOf'] = {
    ok: (specimen, [pattern, limits], reject) => {
      if (!confirmKind(specimen, 'copySet', reject)) return false;
      const tooMany = most => `Set must not have more than ${show(most)} elements: ${specimen.payload.length}`;
      return (
        atMost(specimen.payload.length, limitOf(limits, 'numSetElementsLimit'), reject, tooMany) &&
        everyElement(specimen.payload, pattern, 'set elements', reject)
      );
    },
    well: wellLimited(1, 'match:setOf payload'),
  };
  helpers['match:bagOf'] = {
    ok: (specimen, [keyPattern, countPattern, limits], reject) => {
      if (!confirmKind(specimen, 'copyBag', reject)) return false;
      const tooMany = most => `Bag must not have more than ${show(most)} unique elements: ${show(specimen)}`;
      return (
        atMost(specimen.payload.length, limitOf(limits, 'numUniqueBagElementsLimit'), reject, tooMany) &&
        specimen.payload.every(
          ([key, count], i) =>
            nested(key, keyPattern, `bag keys[${i}]`, reject) &&
            confirmDigits(count, limits, reject) &&
            nested(count, countPattern, `bag counts[${i}]`, reject),
        )
      );
    },
    well: wellLimited(2, 'match:bagOf payload'),
  };
  helpers['match:mapOf'] = {
    ok: (specimen, [keyPattern, valuePattern, limits], reject) => {
      if (!confirmKind(specimen, 'copyMap', reject)) return false;
      const { keys, values } = specimen.payload;
      const tooMany = most => `CopyMap must have no more than ${show(most)} entries: ${show(specimen)}`;
      return (
        atMost(keys.length, limitOf(limits, 'numMapEntriesLimit'), reject, tooMany) &&
        everyElement(keys, keyPattern, 'map keys', reject) &&
        everyElement(values, valuePattern, 'map values', reject)
      );
    },
    well: wellLimited(2, 'match:mapOf payload'),
  };

  // [element, how many] pairs of an array, set or bag, in the order in which they are taken.
  const pairsOf = (specimen, kind) => {
    if (kind === 'copyArray') return specimen.map(element => [element, 1n]);
    if (kind === 'copySet') return specimen.payload.map(element => [element, 1n]).reverse();
    return [...specimen.payload].reverse();
  };
  const makerOf = kind => {
    const elementsOf = pairs => pairs.map(([element]) => element);
    if (kind === 'copyArray') return elementsOf;
    return kind === 'copySet' ? pairs => tools.makeCopySet(elementsOf(pairs)) : tools.makeCopyBag;
  };
  const containerHasSplit = (specimen, pattern, bound, reject, needIn = false, needOut = false) => {
    const kind = core.confirmKindOf(specimen, reject);
    if (kind !== 'copyArray' && kind !== 'copySet' && kind !== 'copyBag')
      return reject && reject(`unexpected ${show(kind)}`);
    const taken = [];
    const left = [];
    let count = 0n;
    for (const [element, number] of pairsOf(specimen, kind)) {
      const wanted = count < bound && matches(element, pattern) ? bound - count : 0n;
      const take = wanted < number ? wanted : number;
      count += take;
      if (take > 0n) taken.push([element, take]);
      if (take < number) left.push([element, number - take]);
    }
    if (count < bound) return reject && reject(`Has only ${show(count)} matches, but needs ${show(bound)}`);
    const make = makerOf(kind);
    return harden([needIn ? make(taken) : undefined, needOut ? make(left) : undefined]);
  };
  helpers['match:containerHas'] = {
    ok: (specimen, [pattern, bound, limits], reject) =>
      confirmDigits(bound, limits, reject) && !!containerHasSplit(specimen, pattern, bound, reject),
    well: (payload, reject) =>
      wellLimited(2, 'M.containerHas payload')(payload, reject) &&
      ((typeof payload[1] === 'bigint' && payload[1] >= 1n) ||
        (reject && reject(`M.containerHas payload: [1]: ${show(payload[1])} - Must be >= "[1n]"`))),
  };
  return containerHasSplit;
};

const addSplitHelpers = (core, base) => {
  const { helpers, confirm, confirmKind, confirmPattern, nested, styleOf } = core;
  const { harden } = base;

  const wellSplit = (style, word) => (payload, reject) => {
    const isGood =
      styleOf(payload) === 'copyArray' &&
      payload.length >= 1 &&
      payload.length <= 3 &&
      confirmPattern(payload[0]) &&
      styleOf(payload[0]) === style &&
      (payload[1] === undefined || (confirmPattern(payload[1]) && styleOf(payload[1]) === style)) &&
      (payload[2] === undefined || confirmPattern(payload[2]));
    return (
      !!isGood ||
      (reject &&
        reject(
          `Must be an array of a requiredPatt ${word}, an optional optionalPatt ${word}, and an optional restPatt: ${show(payload)}`,
        ))
    );
  };

  const optionally = (specimen, pattern, label, reject) =>
    specimen === undefined || nested(specimen, pattern, label, reject);

  helpers['match:splitArray'] = {
    ok: (specimen, [required, optional, rest], reject) => {
      if (!confirmKind(specimen, 'copyArray', reject)) return false;
      if (specimen.length < required.length) {
        return reject && reject(`Expected at least ${show(required.length)} arguments: ${show(specimen)}`);
      }
      let at = 0;
      for (; at < required.length; at += 1) {
        if (!nested(specimen[at], required[at], reject && `arg ${at}`, reject)) return false;
      }
      const last = Math.min(specimen.length, required.length + (optional === undefined ? 0 : optional.length));
      for (; at < last; at += 1) {
        if (!optionally(specimen[at], optional[at - required.length], reject && `arg ${at}?`, reject)) return false;
      }
      if (rest === undefined) return true;
      return nested(harden(specimen.slice(at)), rest, '...rest', reject);
    },
    well: wellSplit('copyArray', 'array'),
  };

  const pickEntries = (specimen, test) =>
    harden(Object.fromEntries(Object.entries(specimen).filter(([name]) => test(name))));

  helpers['match:splitRecord'] = {
    ok: (specimen, [required, optional = {}, rest], reject) => {
      if (!confirmKind(specimen, 'copyRecord', reject)) return false;
      const requiredPart = pickEntries(specimen, name => Object.hasOwn(required, name));
      if (!confirm(requiredPart, required, reject)) return false;
      for (const name of Object.keys(specimen)) {
        if (Object.hasOwn(optional, name) && !Object.hasOwn(required, name)) {
          if (!optionally(specimen[name], optional[name], `${name}?`, reject)) return false;
        }
      }
      if (rest === undefined) return true;
      const restPart = pickEntries(specimen, name => !Object.hasOwn(required, name) && !Object.hasOwn(optional, name));
      return nested(restPart, rest, '...rest', reject);
    },
    well: wellSplit('copyRecord', 'record'),
  };
};

const makeM = (core, base) => {
  const { harden, makeTagged } = base;
  const make = (tag, payload) => {
    const matcher = makeTagged(tag, harden(payload));
    core.confirmPattern(matcher, fail);
    return matcher;
  };
  const constants = new Map();
  const constant = (tag, payload) => {
    const name = `${tag} ${show(payload)}`;
    if (!constants.has(name)) constants.set(name, make(tag, payload));
    return constants.get(name);
  };
  const kind = name => constant('match:kind', name);
  const limited = (tag, payload) =>
    make(tag, payload[payload.length - 1] === undefined ? payload.slice(0, -1) : payload);
  const limitedScalar = tag => limits => (limits ? limited(tag, [limits]) : constant(tag, []));
  const any = () => constant('match:any', undefined);
  const split = (empty, required, optional, rest) => {
    if (rest !== undefined) return [required, optional ?? empty, rest];
    return optional === undefined ? [required] : [required, optional];
  };

  const M = {
    any,
    and: (...parts) => make('match:and', parts),
    or: (...parts) => make('match:or', parts),
    not: part => make('match:not', part),
    scalar: () => constant('match:scalar', undefined),
    key: () => constant('match:key', undefined),
    pattern: () => constant('match:pattern', undefined),
    kind,
    tagged: (tagPattern = M.string(), payloadPattern = any()) => make('match:tagged', [tagPattern, payloadPattern]),
    boolean: () => kind('boolean'),
    number: () => kind('number'),
    bigint: limitedScalar('match:bigint'),
    nat: limitedScalar('match:nat'),
    string: limitedScalar('match:string'),
    symbol: limitedScalar('match:symbol'),
    byteArray: limitedScalar('match:byteArray'),
    record: limits => M.recordOf(any(), any(), limits),
    array: limits => M.arrayOf(any(), limits),
    set: limits => M.setOf(any(), limits),
    bag: limits => M.bagOf(any(), any(), limits),
    map: limits => M.mapOf(any(), any(), limits),
    remotable: label => (label === undefined ? kind('remotable') : make('match:remotable', { label })),
    error: () => kind('error'),
    promise: label => (label === undefined ? kind('promise') : make('match:promise', { label })),
    undefined: () => kind('undefined'),
    null: () => null,
    lt: operand => make('match:lt', operand),
    lte: operand => make('match:lte', operand),
    eq: key => {
      core.confirmKey(key, fail);
      return key === undefined ? M.undefined() : key;
    },
    neq: key => M.not(M.eq(key)),
    gte: operand => make('match:gte', operand),
    gt: operand => make('match:gt', operand),
    recordOf: (keys = any(), values = any(), limits = undefined) => limited('match:recordOf', [keys, values, limits]),
    arrayOf: (part = any(), limits = undefined) => limited('match:arrayOf', [part, limits]),
    setOf: (keys = any(), limits = undefined) => limited('match:setOf', [keys, limits]),
    bagOf: (keys = any(), counts = any(), limits = undefined) => limited('match:bagOf', [keys, counts, limits]),
    containerHas: (part = any(), bound = 1n, limits = undefined) =>
      limited('match:containerHas', [part, bound, limits]),
    mapOf: (keys = any(), values = any(), limits = undefined) => limited('match:mapOf', [keys, values, limits]),
    splitArray: (required, optional, rest) => make('match:splitArray', split([], required, optional, rest)),
    splitRecord: (required, optional, rest) => make('match:splitRecord', split({}, required, optional, rest)),
    split: (part, rest) =>
      Array.isArray(part) ? M.splitArray(part, rest && [], rest) : M.splitRecord(part, rest && {}, rest),
    partial: (part, rest) => (Array.isArray(part) ? M.splitArray([], part, rest) : M.splitRecord({}, part, rest)),
    eref: part => M.or(part, M.promise()),
    opt: part => M.or(M.undefined(), part),
  };
  return M;
};

/** `exported` is for the namespace (without the guards' part of `M`), the rest for `patternsGuards.js`. */
export const makeMatchers = (base, tools) => {
  const core = makeCore(base, tools);
  core.styleOf = tools.styleOf;
  core.confirmKey = tools.confirmKey;
  core.confirmScalarKey = tools.confirmScalarKey;
  core.comparisons = tools.exported;
  addLogicHelpers(core);
  addScalarHelpers(core);
  const containerHasSplit = addContainerHelpers(core, base, tools);
  addSplitHelpers(core, base);
  const M = makeM(core, base);
  const { matches, mustMatch, kindOf, confirmPattern } = core;
  return {
    core,
    M,
    exported: {
      matches,
      mustMatch,
      kindOf,
      containerHasSplit,
      isPattern: value => !!confirmPattern(value, undefined),
      assertPattern: value => void confirmPattern(value, fail),
      getRankCover: () => ['', '{'],
    },
  };
};
