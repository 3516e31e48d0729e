// Smallcaps: values to and from `#` + JSON text with slots for what has identity (kernel-semantics §4.8).
//
// Always: what toCapData writes, fromCapData reads back as an equal value; keys ascend; one slot index per
// distinct slot text. Decoding any text either fails with an Error or gives a frozen passable value.
// Elsewhere: what slots mean (liveslots.js, vom.js).

import { harden } from './harden.js';
import { Fail, quote as q } from './errors.js';
import {
  makeTagged, styleOfObject, nameForPassableSymbol, passableSymbolForName, getErrorConstructor, isPromise,
} from './passStyle.js';

const { stringify, parse } = JSON;
const { isArray } = Array;
const { freeze, keys: keysOf } = Object;
const toStringTag = Symbol.toStringTag;
const NativeSet = Set;

// First characters with a meaning: ! " # $ % & ' ( ) * + , -
const isSpecial = code => code >= 0x21 && code <= 0x2d;

const stringText = s => stringify(s.length > 0 && isSpecial(s.charCodeAt(0)) ? `!${s}` : s);

const numberText = n => {
  if (n - n === 0) return n === 0 ? '0' : `${n}`; // finite; -0 is 0
  return n !== n ? '"#NaN"' : n > 0 ? '"#Infinity"' : '"#-Infinity"'; // eslint-disable-line no-nested-ternary
};

const ARRAY_INDEX = /^(0|[1-9][0-9]{0,9})$/;
const startsLikeIndex = key => {
  const code = key.charCodeAt(0);
  return code >= 0x30 && code <= 0x39 && ARRAY_INDEX.test(key) && Number(key) < 0xffff_ffff;
};

// Ascending by UTF-16 unit, except that array indexes come first, by number: that is how the language orders own keys,
// and how @endo/marshal therefore writes them.
const sorted = keys => {
  let start = 0;
  while (start < keys.length && startsLikeIndex(keys[start])) start += 1;
  for (let i = start + 1; i < keys.length; i += 1) {
    if (!(keys[i - 1] < keys[i])) {
      return start === 0 ? keys.sort() : [...keys.slice(0, start), ...keys.slice(start).sort()];
    }
  }
  return keys;
};

const symbolText = s => stringify(`%${nameForPassableSymbol(s)
  ?? Fail`Only registered symbols or well-known symbols are passable: ${q(s)}`}`);

// Deeper nesting than this is looked at for cycles; the engine's stack bounds the rest.
const CYCLE_CHECK_DEPTH = 64;

class Encoder {
  constructor(valToSlot, errorId) {
    this.valToSlot = valToSlot;
    this.errorId = errorId;
    this.slots = [];
    this.index = undefined; // slot text -> index, once there are several
    this.depth = 0;
    this.path = undefined;
  }

  slotIndex(value) {
    const { slots } = this;
    const slot = this.valToSlot(value);
    if (slots.length < 8) {
      for (let i = 0; i < slots.length; i += 1) if (slots[i] === slot) return -1 - i;
    } else {
      this.index ??= new Map(slots.map((s, i) => [s, i]));
      const known = this.index.get(slot);
      if (known !== undefined) return -1 - known;
      this.index.set(slot, slots.length);
    }
    slots.push(slot);
    return slots.length - 1;
  }

  text(v) {
    switch (typeof v) {
      case 'string': return stringText(v);
      case 'number': return numberText(v);
      case 'boolean': return v ? 'true' : 'false';
      case 'undefined': return '"#undefined"';
      case 'bigint': return v < 0n ? `"${v}"` : `"+${v}"`;
      case 'symbol': return symbolText(v);
      default: return v === null ? 'null' : this.objectText(v);
    }
  }

  objectText(v) {
    const style = styleOfObject(v);
    switch (style) {
      case 'remotable': {
        const n = this.slotIndex(v);
        return n < 0 ? `"$${-1 - n}"` : stringify(`$${n}.${v[toStringTag] ?? 'Remotable'}`);
      }
      case 'promise': {
        const n = this.slotIndex(v);
        return `"&${n < 0 ? -1 - n : n}"`;
      }
      case 'error': return this.errorText(v);
      default: return this.compositeText(v, style);
    }
  }

  errorText(v) {
    const id = this.errorId === undefined ? '' : `,"errorId":${stringText(this.errorId(v))}`;
    return `{"#error":${stringText(`${v.message}`)}${id},"name":${stringText(`${v.name}`)}}`;
  }

  compositeText(v, style) {
    this.depth += 1;
    if (this.depth > CYCLE_CHECK_DEPTH) {
      this.path ??= new NativeSet();
      if (this.path.has(v)) Fail`Pass-by-copy data cannot be cyclic ${v}`;
      this.path.add(v);
    }
    let text;
    if (style === 'copyArray') {
      text = '[';
      for (let i = 0; i < v.length; i += 1) text += i === 0 ? this.text(v[i]) : `,${this.text(v[i])}`;
      text += ']';
    } else if (style === 'tagged') {
      text = `{"#tag":${stringText(v[toStringTag])},"payload":${this.text(v.payload)}}`;
    } else {
      const keys = sorted(keysOf(v));
      text = '{';
      for (let i = 0; i < keys.length; i += 1) {
        const key = keys[i];
        text += `${i === 0 ? '' : ','}${stringText(key)}:${this.text(v[key])}`;
      }
      text += '}';
    }
    if (this.depth > CYCLE_CHECK_DEPTH) this.path.delete(v);
    this.depth -= 1;
    return text;
  }
}

class Decoder {
  constructor(slotToVal, slots) {
    this.slotToVal = slotToVal;
    this.slots = slots;
    this.values = undefined;
  }

  slotValue(n, iface) {
    const { slots } = this;
    if (!(n < slots.length)) Fail`slot index ${q(n)} is out of range: there are ${q(slots.length)} slots`;
    this.values ??= [];
    return (this.values[n] ??= this.slotToVal(slots[n], iface));
  }

  string(s) {
    const code = s.charCodeAt(0);
    if (!isSpecial(code)) return s; // NaN (the empty string) is not special
    switch (code) {
      case 0x21: return s.slice(1);
      case 0x23:
        switch (s) {
          case '#undefined': return undefined;
          case '#NaN': return NaN;
          case '#Infinity': return Infinity;
          case '#-Infinity': return -Infinity;
          default: throw Fail`unknown constant ${q(s)}`;
        }
      case 0x24: {
        const dot = s.indexOf('.');
        const value = this.slotValue(
          indexOf(dot < 0 ? s.slice(1) : s.slice(1, dot)), dot < 0 ? undefined : s.slice(dot + 1));
        if (isPromise(value)) Fail`slot of a remotable holds a promise: ${q(s)}`;
        return value;
      }
      case 0x26: {
        const value = this.slotValue(indexOf(s.slice(1)), undefined);
        if (!isPromise(value)) Fail`slot of a promise holds something else: ${q(s)}`;
        return value;
      }
      case 0x25: return passableSymbolForName(s.slice(1));
      case 0x2b: case 0x2d: {
        if (!/^[+-][0-9]+$/.test(s)) Fail`Cannot convert ${q(s)} to a BigInt`;
        return BigInt(code === 0x2b ? s.slice(1) : s);
      }
      default: throw Fail`Special char ${q(s[0])} reserved for future use: ${q(s)}`;
    }
  }

  value(e) {
    switch (typeof e) {
      case 'string': return this.string(e);
      case 'object': return e === null ? null : isArray(e) ? this.array(e) : this.object(e); // eslint-disable-line no-nested-ternary
      default: return e;
    }
  }

  // JSON.parse made the array for us, so it is decoded in place.
  array(e) {
    for (let i = 0; i < e.length; i += 1) {
      const v = e[i];
      if (typeof v === 'string' || (typeof v === 'object' && v !== null)) e[i] = this.value(v);
    }
    return freeze(e);
  }

  object(e) {
    const keys = keysOf(e);
    let plain = true;
    for (let i = 0; i < keys.length; i += 1) {
      const key = keys[i];
      if (isSpecial(key.charCodeAt(0))) plain = false;
    }
    if (!plain) return this.special(e, keys);
    for (let i = 0; i < keys.length; i += 1) {
      const v = e[keys[i]];
      if (typeof v === 'string' || (typeof v === 'object' && v !== null)) e[keys[i]] = this.value(v);
    }
    return checkedRecord(e);
  }

  special(e, keys) {
    if ('#tag' in e) {
      typeof e['#tag'] === 'string' || Fail`Value of "#tag", the tag, must be a string: ${q(e)}`;
      'payload' in e || Fail`#tag record without payload: ${q(e)}`;
      keys.length === 2 || Fail`#tag record unexpected properties: ${q(keys.filter(k => k !== '#tag' && k !== 'payload'))}`;
      return makeTagged(this.value(e['#tag']), this.value(e.payload));
    }
    if ('#error' in e) return this.error(e);
    const out = {};
    for (let i = 0; i < keys.length; i += 1) {
      const key = keys[i];
      if (key.startsWith('#')) Fail`Unrecognized record type ${q(key)}: ${q(e)}`;
      const name = this.string(key);
      typeof name === 'string' || Fail`Decoded property name of ${q(e)} must be a string`;
      if (Object.hasOwn(out, name)) Fail`Duplicate property name ${q(name)}`;
      Object.defineProperty(out, name, { value: this.value(e[key]), writable: true, enumerable: true, configurable: true });
    }
    return checkedRecord(out);
  }

  error(e) {
    const message = this.value(e['#error']);
    const name = this.value(e.name);
    typeof message === 'string' || Fail`invalid error message typeof ${q(typeof message)}`;
    typeof name === 'string' || Fail`invalid error name typeof ${q(typeof name)}`;
    const E = getErrorConstructor(name) ?? Error;
    const error = E === AggregateError ? new E([], message) : new E(message);
    if (E === AggregateError) delete error.errors;
    return harden(error);
  }
}

const indexOf = digits => {
  if (!/^[0-9]{1,9}$/.test(digits)) Fail`slot index ${q(digits)} is not a number`;
  return Number(digits);
};

// A decoded record may have come to hold a function (a far one) as `then`, or a thing that only looks like a mark.
const checkedRecord = record => {
  if (typeof record.then === 'function') Fail`Cannot pass non-promise thenables`;
  return freeze(record);
};

const treeOf = body => {
  body.charCodeAt(0) === 0x23 || Fail`body is not smallcaps: it must begin with "#"`;
  return parse(body.slice(1));
};

/** Decodes a body with its slots. A long one comes parsed, as the only element of a list (`bodies.rs`). */
export const decode = (body, slots, slotToVal) => {
  const tree = typeof body === 'string' ? treeOf(body) : body[0];
  switch (typeof tree) {
    case 'string': case 'object': return new Decoder(slotToVal, slots).value(tree);
    default: return tree;
  }
};

/** Encodes one value, which must be hardened. `slots` is filled. */
export const encode = (value, slots, valToSlot, errorId) => {
  switch (typeof value) {
    case 'string': return `#${stringText(value)}`;
    case 'number': return `#${numberText(value)}`;
    default: {
      const encoder = new Encoder(valToSlot, errorId);
      encoder.slots = slots;
      return `#${encoder.text(value)}`;
    }
  }
};

/** Encodes `[method, args]` without making that array; the arguments must be hardened. */
export const encodeCall = (method, args, slots, valToSlot, errorId) => {
  const encoder = new Encoder(valToSlot, errorId);
  encoder.slots = slots;
  let text = `#[${encoder.text(method)},[`;
  for (let i = 0; i < args.length; i += 1) text += i === 0 ? encoder.text(args[i]) : `,${encoder.text(args[i])}`;
  return `${text}]]`;
};

const refuseSlot = v => Fail`Marshalling of presences and promises needs a slot conversion: ${v}`;

/**
 * A marshaller over two conversions, as `@endo/marshal` has it (smallcaps only). `options`: `errorTagging` ('on' | 'off'),
 * `marshalName`, `errorIdNum`, `marshalSaveError(error, errorId)`.
 */
export const makeMarshal = (valToSlot = refuseSlot, slotToVal = refuseSlot, options = {}) => {
  const { errorTagging = 'on', marshalName = 'anon-marshal', errorIdNum = 10_000, marshalSaveError = () => {} } = options;
  let n = errorIdNum;
  const errorId = errorTagging === 'off' ? undefined : error => {
    n += 1;
    const id = `error:${marshalName}#${n}`;
    marshalSaveError(error, id);
    return id;
  };
  const toCapData = value => {
    const slots = [];
    const body = encode(value, slots, valToSlot, errorId);
    freeze(slots);
    return freeze({ body, slots });
  };
  const fromCapData = ({ body, slots }) => {
    typeof body === 'string' || Fail`unserialize() given non-capdata (.body is ${body}, not string)`;
    isArray(slots) || Fail`unserialize() given non-capdata (.slots are not Array)`;
    return decode(body, slots, slotToVal);
  };
  return freeze({ toCapData, fromCapData, serialize: toCapData, unserialize: fromCapData });
};

/** `stringify` and `parse` of `@endo/marshal`: data without slots as text. */
export const makeStringify = () => {
  const m = makeMarshal(undefined, undefined, { errorTagging: 'off' });
  return {
    stringify: v => m.toCapData(harden(v)).body,
    parse: body => m.fromCapData({ body, slots: [] }),
  };
};

