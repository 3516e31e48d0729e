// Texts in which stored collections keep their keys, and values as they appear in error messages.
//
// Always: for two keys that rank differently, the encoded texts compare in the same way in UTF-8 byte order; an encoded text
// is valid UTF-8, has no NUL, and decodes to the key. Where the texts are stored is in `collections.js`.

const { isArray } = Array;

// ---- values in messages ------------------------------------------------------------------------------------------------

const showInside = (_key, value) => {
  switch (typeof value) {
    case 'bigint':
      return `[${value}n]`;
    case 'undefined':
      return '[undefined]';
    case 'symbol':
      return `[${String(value)}]`;
    case 'function':
      return `[Function ${value.name || '<anon>'}]`;
    case 'number':
      return Number.isFinite(value) ? value : `[${value}]`;
    case 'object': {
      if (value === null) return null;
      if (value instanceof Error) return `[${value.name}: ${value.message}]`;
      const tag = value[Symbol.toStringTag];
      return typeof tag === 'string' ? `[${tag}]` : value;
    }
    default:
      return value;
  }
};

/** A value as error messages show it: strings quoted, objects by their looks. Never throws. */
export const show = value => {
  try {
    return JSON.stringify(value, showInside);
  } catch {
    return '[unprintable]';
  }
};

/** Several names as error messages show them. */
export const showNames = names => JSON.stringify(names.map(String));

// ---- strings -----------------------------------------------------------------------------------------------------------

// U+0003 opens an escape for the four lowest characters (the separator of lists is U+0002); U+E000, the first character
// after the surrogates, opens one for lone surrogates and for itself. Both keep the order.
const needsEscape = /[\u0000-\u0003\ud800-\udfff\ue000]/;

const escapeString = text => {
  if (!needsEscape.test(text)) return text;
  return text
    .replace(/[\u0000-\u0003]/g, c => `\u0003${c.charCodeAt(0)}`)
    .replace(/[\ud800-\udfff\ue000]/gu, c => `\ue000${c.charCodeAt(0).toString(16)}`);
};

const unescapeString = text =>
  text
    .replace(/\ue000([0-9a-f]{4})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)))
    .replace(/\u0003([0-3])/g, (_, digit) => String.fromCharCode(Number(digit)));

// ---- numbers -----------------------------------------------------------------------------------------------------------

const encodeNumber = number => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, number === 0 ? 0 : number);
  const negative = number < 0;
  const word = offset => {
    let bits = view.getUint32(offset);
    if (negative) bits = ~bits >>> 0;
    else if (offset === 0) bits = (bits | 0x80000000) >>> 0;
    return bits.toString(16).padStart(8, '0');
  };
  return `f${word(0)}${word(4)}`;
};

const decodeNumber = text => {
  const view = new DataView(new ArrayBuffer(8));
  let high = parseInt(text.slice(1, 9), 16);
  let low = parseInt(text.slice(9, 17), 16);
  if (high >= 0x80000000) high -= 0x80000000;
  else {
    high = ~high >>> 0;
    low = ~low >>> 0;
  }
  view.setUint32(0, high);
  view.setUint32(4, low);
  return view.getFloat64(0);
};

// The number of digits stands before the digits; `~` before it for each further digit that it has itself. For negative
// ones everything is mirrored.
const encodeBigint = value => {
  if (value >= 0n) {
    const digits = value.toString();
    const size = `${digits.length}`;
    return `p${'~'.repeat(size.length - 1)}${size}:${digits}`;
  }
  const digits = (-value).toString();
  const size = `${digits.length}`;
  const mirror = part => part.replace(/[0-9]/g, d => `${9 - Number(d)}`);
  return `n${'!'.repeat(size.length - 1)}${mirror(size)}:${mirror(digits)}`;
};

const decodeBigint = text => {
  const digits = text.slice(text.indexOf(':') + 1);
  if (text[0] === 'p') return BigInt(digits);
  return -BigInt(digits.replace(/[0-9]/g, d => `${9 - Number(d)}`));
};

// ---- symbols -----------------------------------------------------------------------------------------------------------

/** The name under which a symbol is passed (`@@` marks the well-known ones), or undefined if it cannot be. */
export const nameOfSymbol = symbol => {
  const name = Symbol.keyFor(symbol);
  if (name !== undefined) return name.startsWith('@@') ? `@@${name}` : name;
  for (const known of Reflect.ownKeys(Symbol)) {
    if (typeof known === 'string' && Symbol[known] === symbol) return `@@${known}`;
  }
  return undefined;
};

/** The symbol of a name. */
export const symbolOfName = name => {
  if (!name.startsWith('@@')) return Symbol.for(name);
  if (name.startsWith('@@@@')) return Symbol.for(name.slice(2));
  const symbol = Symbol[name.slice(2)];
  if (typeof symbol !== 'symbol') throw TypeError(`unknown symbol ${show(name)}`);
  return symbol;
};

// ---- lists -------------------------------------------------------------------------------------------------------------

const escapeItem = text => text.replace(/[\u0002\u0003]/g, c => `\u0003${c.charCodeAt(0)}`);
const unescapeItem = text => text.replace(/\u0003([23])/g, (_, digit) => String.fromCharCode(Number(digit)));

const encodeList = texts => texts.map(text => `${escapeItem(text)}\u0002`).join('');
const decodeList = text => text.split('\u0002').slice(0, -1).map(unescapeItem);

// ---- keys --------------------------------------------------------------------------------------------------------------

/**
 * The text of a key. `styleOf` is `passStyleOf`; `encodeRemotable` gives the text (beginning with `r`) of an object.
 */
export const encodeKey = (key, styleOf, encodeRemotable) => {
  const encode = item => {
    switch (typeof item) {
      case 'string':
        return `s${escapeString(item)}`;
      case 'number':
        return encodeNumber(item);
      case 'bigint':
        return encodeBigint(item);
      case 'boolean':
        return item ? 'bt' : 'bf';
      case 'undefined':
        return 'z';
      case 'symbol':
        return `y${escapeString(nameOfSymbol(item))}`;
      default:
    }
    if (item === null) return 'v';
    const style = styleOf(item);
    switch (style) {
      case 'remotable':
        return encodeRemotable(item);
      case 'copyArray':
        return `[${encodeList(item.map(encode))}`;
      case 'copyRecord': {
        const names = Object.keys(item).sort();
        return `(${encodeList([encode(names), encode(names.map(name => item[name]))])}`;
      }
      case 'tagged':
        return `:${encodeList([encode(item[Symbol.toStringTag]), encode(item.payload)])}`;
      default:
        throw TypeError(`A ${show(style)} cannot be a key`);
    }
  };
  const encodeAny = item => (isArray(item) ? `[${encodeList(item.map(encode))}` : encode(item));
  return encodeAny(key);
};

/** The key of a text. `decodeRemotable` gets the text of an object, `makeTagged` and `harden` build the rest. */
export const decodeKey = (text, decodeRemotable, makeTagged, harden) => {
  const decode = item => {
    switch (item[0]) {
      case 's':
        return unescapeString(item.slice(1));
      case 'f':
        return decodeNumber(item);
      case 'n':
      case 'p':
        return decodeBigint(item);
      case 'b':
        return item === 'bt';
      case 'v':
        return null;
      case 'z':
        return undefined;
      case 'y':
        return symbolOfName(unescapeString(item.slice(1)));
      case 'r':
        return decodeRemotable(item);
      case '[':
        return harden(decodeList(item.slice(1)).map(decode));
      case '(': {
        const [names, values] = decodeList(item.slice(1)).map(decode);
        return harden(Object.fromEntries(names.map((name, i) => [name, values[i]])));
      }
      case ':': {
        const [tag, payload] = decodeList(item.slice(1)).map(decode);
        return makeTagged(tag, payload);
      }
      default:
        throw TypeError(`a stored key is malformed: ${show(item)}`);
    }
  };
  return decode(text);
};
