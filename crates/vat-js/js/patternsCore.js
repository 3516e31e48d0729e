// How a pattern is applied to a value: kinds, keys as patterns, arrays, records and maps of patterns, `matches` and `mustMatch`.
// Part of `patterns.js`; what the matchers (`match:…`) accept is in `patternsMatch.js`, which registers them here.
//
// Always: a tagged value has a kind only if its payload is well formed; that is found out once per value.

import { show, showNames } from './keys.js';

const fail = text => {
  throw Error(text);
};

/** A pattern as messages show it: near to the expression that makes it. */
export const showPattern = pattern => {
  const print = value => {
    switch (typeof value) {
      case 'bigint':
        return `${value}n`;
      case 'undefined':
        return 'undefined';
      case 'object':
        if (value === null) return 'null';
        if (Array.isArray(value)) return `[${value.map(print).join(',')}]`;
        if (value[Symbol.for('passStyle')] === 'tagged') {
          return `makeTagged(${show(value[Symbol.toStringTag])},${print(value.payload)})`;
        }
        if (typeof value[Symbol.toStringTag] === 'string' || value instanceof Error) return show(value);
        return `{${Object.keys(value)
          .map(name => `${/^[a-zA-Z]\w*$/.test(name) ? name : show(name)}:${print(value[name])}`)
          .join(',')}}`;
      default:
        return show(value);
    }
  };
  return `\`${print(pattern)}\``;
};

const labelOf = label => (typeof label === 'number' ? `[${label}]` : label);

/** `helpers` and `payloadShapes` are filled by the other parts. */
export const makeCore = (base, tools) => {
  const { harden } = base;
  const { styleOf, confirmKey } = tools;
  const { keyEQ } = tools.exported;
  const helpers = Object.create(null); // tag -> { ok(specimen, payload, reject), well(payload, reject) }
  const payloadShapes = Object.create(null); // tag -> pattern of the payload, for guards
  const tagMemo = new base.WeakMap();
  const patternMemo = new base.WeakSet();

  const confirmTagged = (value, tag, reject) => {
    if (helpers[tag] !== undefined) return helpers[tag].well(value.payload, reject);
    if (payloadShapes[tag] !== undefined) return nested(value.payload, payloadShapes[tag], tag, reject);
    switch (tag) {
      case 'copySet':
        return tools.confirmCopySet(value, reject);
      case 'copyBag':
        return tools.confirmCopyBag(value, reject);
      case 'copyMap':
        return tools.confirmCopyMap(value, reject);
      default:
        return reject && reject(`cannot check unrecognized tag ${show(tag)}: ${show(value)}`);
    }
  };

  const confirmKindOf = (value, reject) => {
    const style = styleOf(value);
    if (style !== 'tagged') return style;
    const known = tagMemo.get(value);
    if (known !== undefined) return known;
    const tag = value[Symbol.toStringTag];
    if (!confirmTagged(value, tag, reject)) return undefined;
    tagMemo.set(value, tag);
    return tag;
  };
  const kindOf = value => confirmKindOf(value, undefined);

  const confirmKind = (value, kind, reject) => {
    if (kind === 'null') return confirmAsKey(value, null, reject);
    if (kind === 'undefined') return confirmAsKey(value, undefined, reject);
    const real = confirmKindOf(value, reject);
    if (real === kind) return true;
    return reject && reject(`${real ?? 'unknown'} ${show(value)} - Must be a ${kind}`);
  };

  const isUndefinedPattern = pattern =>
    pattern === undefined || (kindOf(pattern) === 'match:kind' && pattern.payload === 'undefined');

  const confirmAsKey = (value, key, reject) => {
    const isSame =
      typeof key !== 'object' || key === null
        ? Object.is(value, key) || (value === 0 && key === 0)
        : confirmKey(value) && keyEQ(value, key);
    if (isSame) return true;
    return reject && reject(`${show(value)} - Must be: ${show(key)}`);
  };

  const confirmPatternInside = (pattern, reject) => {
    const kind = confirmKindOf(pattern, reject);
    switch (kind) {
      case undefined:
        return false;
      case 'copyRecord':
        return Object.values(pattern).every(part => confirmPattern(part, reject));
      case 'copyArray':
        return pattern.every(part => confirmPattern(part, reject));
      case 'copyMap':
        return confirmPattern(pattern.payload.values, reject);
      case 'error':
      case 'promise':
        return reject && reject(`A ${show(kind)} cannot be a pattern`);
      default:
        if (helpers[kind] !== undefined) return true;
        return reject && reject(`A passable of kind ${show(kind)} is not a pattern: ${show(pattern)}`);
    }
  };
  const confirmPattern = (pattern, reject) => {
    if (confirmKey(pattern)) return true;
    if (patternMemo.has(pattern)) return true;
    if (!confirmPatternInside(pattern, reject)) return false;
    patternMemo.add(pattern);
    return true;
  };

  const confirmArray = (specimen, kind, pattern, reject) => {
    if (kind !== 'copyArray') {
      return (
        reject &&
        reject(`${show(specimen)} - Must be a copyArray to match a copyArray pattern: ${showPattern(pattern)}`)
      );
    }
    if (specimen.length !== pattern.length) {
      return (
        reject && reject(`Array ${show(specimen)} - Must be as long as copyArray pattern: ${showPattern(pattern)}`)
      );
    }
    return pattern.every((part, i) => nested(specimen[i], part, i, reject));
  };

  const confirmRecord = (specimen, kind, pattern, reject) => {
    if (kind !== 'copyRecord') {
      return (
        reject &&
        reject(`${show(specimen)} - Must be a copyRecord to match a copyRecord pattern: ${showPattern(pattern)}`)
      );
    }
    const names = Reflect.ownKeys(pattern).sort().reverse();
    const missing = names.filter(name => !Object.hasOwn(specimen, name));
    if (missing.length > 0)
      return reject && reject(`${show(specimen)} - Must have missing properties ${showNames(missing)}`);
    const unexpected = Reflect.ownKeys(specimen)
      .filter(name => !Object.hasOwn(pattern, name))
      .sort()
      .reverse();
    if (unexpected.length > 0) {
      return reject && reject(`${show(specimen)} - Must not have unexpected properties: ${showNames(unexpected)}`);
    }
    return names.every(name => nested(specimen[name], pattern[name], name, reject));
  };

  const confirmMap = (specimen, kind, pattern, reject) => {
    if (kind !== 'copyMap') {
      return (
        reject && reject(`${show(specimen)} - Must be a copyMap to match a copyMap pattern: ${showPattern(pattern)}`)
      );
    }
    const { makeCopySet, getCopyMapEntries } = tools;
    if (!confirm(makeCopySet(specimen.payload.keys), makeCopySet(pattern.payload.keys), reject)) return false;
    const specimenValues = [];
    const patternValues = [];
    const visit = (left, right) => {
      specimenValues.push(left);
      patternValues.push(right);
    };
    tools.walkPairs(getCopyMapEntries(specimen), getCopyMapEntries(pattern), tools.makeFullOrder, undefined, visit);
    return confirm(harden(specimenValues), harden(patternValues), reject);
  };

  const confirm = (specimen, pattern, reject) => {
    const patternKind = confirmKindOf(pattern, fail);
    const helper = helpers[patternKind];
    if (helper !== undefined) return helper.ok(specimen, pattern.payload, reject);
    switch (patternKind) {
      case 'promise':
        return reject && reject(`promises cannot be patterns: ${show(pattern)}`);
      case 'error':
        return reject && reject(`errors cannot be patterns: ${show(pattern)}`);
      case 'copyArray':
      case 'copyRecord':
      case 'copyMap': {
        const kind = kindOf(specimen);
        if (confirmKey(pattern)) return confirmAsKey(specimen, pattern, reject);
        if (patternKind === 'copyArray') return confirmArray(specimen, kind, pattern, reject);
        return (patternKind === 'copyRecord' ? confirmRecord : confirmMap)(specimen, kind, pattern, reject);
      }
      default:
        kindOf(specimen);
        return confirmAsKey(specimen, pattern, reject);
    }
  };

  const nested = (specimen, pattern, label, reject) => {
    if (reject === undefined || label === undefined) return confirm(specimen, pattern, reject);
    return confirm(specimen, pattern, text => reject(`${labelOf(label)}: ${text}`));
  };

  const matches = (specimen, pattern) => !!confirm(specimen, pattern, undefined);
  const mustMatch = (specimen, pattern, label = undefined) => {
    nested(specimen, pattern, label, fail);
  };

  return {
    helpers,
    payloadShapes,
    kindOf,
    confirmKindOf,
    confirmKind,
    isUndefinedPattern,
    confirmPattern,
    confirm,
    nested,
    matches,
    mustMatch,
  };
};
