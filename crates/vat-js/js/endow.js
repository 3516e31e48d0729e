// The globals that a vat can ask for by name.
//
// Always: what is given here has no power beyond what its name says: a clock, chance, or pure conversion of text.
// Elsewhere: how `Date` and `Math` are tamed for vats that did not ask (lockdown.js). Timers and network need the host.

const { fromCharCode, fromCodePoint } = String;
const { apply } = Reflect;
const uncurry = f => (self, ...args) => apply(f, self, args);
const codeAt = uncurry(''.charCodeAt);
const pointAt = uncurry(''.codePointAt);
const { isView } = ArrayBuffer;

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

const btoa = text => {
  const s = `${text}`;
  let out = '';
  for (let i = 0; i < s.length; i += 3) {
    const left = s.length - i;
    const bytes = [codeAt(s, i), left > 1 ? codeAt(s, i + 1) : 0, left > 2 ? codeAt(s, i + 2) : 0];
    if (bytes[0] > 255 || bytes[1] > 255 || bytes[2] > 255) {
      throw TypeError('btoa: the text has characters that are not bytes');
    }
    const bits = (bytes[0] << 16) | (bytes[1] << 8) | bytes[2];
    out += ALPHABET[bits >> 18] + ALPHABET[(bits >> 12) & 63]
      + (left > 1 ? ALPHABET[(bits >> 6) & 63] : '=') + (left > 2 ? ALPHABET[bits & 63] : '=');
  }
  return out;
};

const atob = text => {
  let s = `${text}`.replace(/[\t\n\f\r ]/g, '');
  if (s.length % 4 === 0) s = s.replace(/==?$/, '');
  if (s.length % 4 === 1 || !/^[A-Za-z0-9+/]*$/.test(s)) throw TypeError('atob: the text is not base64');
  let out = '';
  let bits = 0;
  let held = 0;
  for (let i = 0; i < s.length; i += 1) {
    bits = ((bits << 6) | ALPHABET.indexOf(s[i])) & 0xffffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += fromCharCode((bits >> held) & 255);
    }
  }
  return out;
};

const encodeUtf8 = text => {
  const bytes = [];
  for (let i = 0; i < text.length; i += 1) {
    let c = pointAt(text, i);
    if (c > 0xffff) i += 1;
    else if (c >= 0xd800 && c <= 0xdfff) c = 0xfffd;
    if (c < 0x80) bytes.push(c);
    else if (c < 0x800) bytes.push(0xc0 | (c >> 6), 0x80 | (c & 63));
    else if (c < 0x10000) bytes.push(0xe0 | (c >> 12), 0x80 | ((c >> 6) & 63), 0x80 | (c & 63));
    else bytes.push(0xf0 | (c >> 18), 0x80 | ((c >> 12) & 63), 0x80 | ((c >> 6) & 63), 0x80 | (c & 63));
  }
  return new Uint8Array(bytes);
};

// The length of the sequence that a first byte announces, and the bounds of the second byte.
const sequence = b => {
  if (b >= 0xc2 && b <= 0xdf) return [1, 0x80, 0xbf];
  if (b >= 0xe0 && b <= 0xef) return [2, b === 0xe0 ? 0xa0 : 0x80, b === 0xed ? 0x9f : 0xbf];
  if (b >= 0xf0 && b <= 0xf4) return [3, b === 0xf0 ? 0x90 : 0x80, b === 0xf4 ? 0x8f : 0xbf];
  return undefined;
};

const decodeUtf8 = (bytes, fatal) => {
  let out = '';
  const bad = () => {
    if (fatal) throw TypeError('TextDecoder: the bytes are not UTF-8');
    out += '\ufffd';
  };
  for (let i = 0; i < bytes.length;) {
    const b = bytes[i];
    i += 1;
    if (b < 0x80) {
      out += fromCharCode(b);
      continue;
    }
    const expected = sequence(b);
    if (expected === undefined) {
      bad();
      continue;
    }
    let [more, low, high] = expected;
    let c = b & (0x3f >> more);
    while (more > 0 && i < bytes.length && bytes[i] >= low && bytes[i] <= high) {
      c = (c << 6) | (bytes[i] & 63);
      i += 1;
      more -= 1;
      low = 0x80;
      high = 0xbf;
    }
    if (more > 0) bad();
    else out += fromCodePoint(c);
  }
  return out;
};

class TextEncoder {
  get encoding() { return 'utf-8'; }

  encode(text = '') { return encodeUtf8(`${text}`); }
}

class TextDecoder {
  #fatal;

  #keepMark;

  constructor(label = 'utf-8', { fatal = false, ignoreBOM = false } = {}) {
    if (!/^\s*utf-?8\s*$/i.test(`${label}`)) throw RangeError(`TextDecoder: only utf-8 is supported, not ${label}`);
    this.#fatal = !!fatal;
    this.#keepMark = !!ignoreBOM;
  }

  get encoding() { return 'utf-8'; }

  decode(input = new Uint8Array(0)) {
    const bytes = isView(input)
      ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength) : new Uint8Array(input);
    const text = decodeUtf8(bytes, this.#fatal);
    return !this.#keepMark && text[0] === '\ufeff' ? text.slice(1) : text;
  }
}

const PLAIN = { TextEncoder, TextDecoder, atob, btoa };

/** What was asked for: `now` and `random` for the tamed `Date` and `Math`, and plain globals. */
export const endowments = (bridge, names) => {
  const found = { now: undefined, random: undefined, plain: [] };
  let last = 0;
  for (const name of names) {
    if (name === 'Date') {
      found.now = () => {
        const t = bridge.now();
        if (t > last) last = t;
        return last;
      };
    } else if (name === 'Math') {
      found.random = bridge.random;
    } else if (Object.hasOwn(PLAIN, name)) {
      found.plain.push([name, PLAIN[name]]);
    } else {
      throw TypeError(`unknown global "${name}"; a vat can ask for: ${['Date', 'Math', ...Object.keys(PLAIN)].join(', ')}`);
    }
  }
  return found;
};
