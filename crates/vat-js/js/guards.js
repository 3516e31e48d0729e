// Bounds on native functions that could run for very long without asking the engine's interrupt.
//
// The engine asks after every so many calls and jumps of JavaScript code, and (meter.rs) at every larger allocation. What
// is wrapped here is the rest: loops over the indexes of sparse arrays and array-likes, searches that take the product of
// two lengths, and long work that allocates nothing. Always: wrapped functions behave as before, except that a few
// absurd requests are refused with a RangeError. Arrays and texts of ordinary size take the native path at once.
// Elsewhere: the table of loops and bounds (README.md), the tests (tests/native_loops.rs).

const { apply, construct, ownKeys, get, set, has } = Reflect;
const { isArray } = Array;
const { defineProperty, create, getOwnPropertyDescriptor, getPrototypeOf, setPrototypeOf } = Object;
const { isView } = ArrayBuffer;
const NativeProxy = Proxy;
const NativeRegExp = RegExp;
const uncurry = f => Function.prototype.call.bind(f);
const textIndexOf = uncurry(''.indexOf);
const textSlice = uncurry(''.slice);
const textAt = uncurry(''.charCodeAt);
const push = uncurry([].push);
const test = uncurry(/x/.test);
const toText = String;
const toObject = Object;

// Above this many elements an array is looped over in a way that can be interrupted.
const MANY = 1 << 20;
// Above this the time is looked at before each native call.
const SOME = 1 << 12;
// A search is left to the engine if the lengths' product is below this.
const PRODUCT = 1 << 24;
const LONG_PATTERN = 1 << 14;
const MARKS = /\p{M}{64}/u;

const isObject = v => (typeof v === 'object' && v !== null) || typeof v === 'function';

// ---- proxies ----------------------------------------------------------------------------------------------------------

// A handler whose traps are all JavaScript, so that each use of the proxy counts for the interrupt. A trap that is absent
// does what the language says for it; the proxy itself checks the invariants, as always.
const makeCountingHandlers = () => {
  const traps = [
    'apply', 'construct', 'defineProperty', 'deleteProperty', 'get', 'getOwnPropertyDescriptor', 'getPrototypeOf', 'has',
    'isExtensible', 'ownKeys', 'preventExtensions', 'set', 'setPrototypeOf',
  ];
  const proto = create(null);
  const handlers = new WeakMap();
  for (const trap of traps) {
    const ordinary = Reflect[trap];
    proto[trap] = function counting(a, b, c, d) {
      const { handler } = this;
      const f = handler[trap];
      if (f === undefined || f === null) {
        return d === undefined && (trap !== 'set') ? ordinary(a, b, ...(c === undefined ? [] : [c])) : ordinary(a, b, c, d);
      }
      const answer = apply(f, handler, [a, b, c, d]);
      if (trap === 'ownKeys' && isObject(answer) && answer.length > SOME) {
        throw RangeError(`a proxy's ownKeys trap answered more than ${SOME} keys`);
      }
      return answer;
    };
  }
  return { make: handler => ({ __proto__: proto, handler }), handlers };
};

// ---- arrays -----------------------------------------------------------------------------------------------------------

const arrayGuards = (poll, counting) => {
  // The same object, looked at through a proxy, so that native loops over it can be interrupted.
  const nothing = counting.make({});
  const seen = self => new NativeProxy(toObject(self), nothing);
  const large = self => {
    if (!isArray(self)) return !isView(self);
    const { length } = self;
    if (length > SOME) poll();
    return length > MANY;
  };
  const slowly = (f, self, args) => {
    if (self === undefined || self === null) return apply(f, self, args);
    const proxy = seen(self);
    const answer = apply(f, proxy, args);
    return answer === proxy ? self : answer;
  };
  const { copyWithin, fill, join, reverse, shift, slice, sort, splice, unshift, toLocaleString, concat } = Array.prototype;
  const copyWithinOf = uncurry(copyWithin);
  const fillOf = uncurry(fill);
  const joinOf = uncurry(join);
  const reverseOf = uncurry(reverse);
  const shiftOf = uncurry(shift);
  const sliceOf = uncurry(slice);
  const sortOf = uncurry(sort);

  // An argument of concat: as it is, or such that spreading it can be interrupted.
  const concatenable = arg => {
    if (!isObject(arg)) return arg;
    const spreadable = arg[Symbol.isConcatSpreadable];
    if (spreadable === undefined ? !isArray(arg) : !spreadable) return [arg];
    return isArray(arg) && arg.length <= MANY && spreadable === undefined ? arg : seen(arg);
  };

  const flatten = (out, source, length, depth) => {
    for (let i = 0; i < length; i += 1) {
      if (i in source) {
        const item = source[i];
        if (depth > 0 && isArray(item)) flatten(out, item, item.length, depth - 1);
        else push(out, item);
      }
    }
    return out;
  };
  const lengthOf = o => {
    const n = Math.trunc(Number(o.length));
    return n > 0 ? Math.min(n, Number.MAX_SAFE_INTEGER) : 0;
  };

  return {
    copyWithin(target, start, end = undefined) {
      return large(this) ? slowly(copyWithin, this, [target, start, end]) : copyWithinOf(this, target, start, end);
    },
    fill(value, start = undefined, end = undefined) {
      return large(this) ? slowly(fill, this, [value, start, end]) : fillOf(this, value, start, end);
    },
    join(separator) { return large(this) ? slowly(join, this, [separator]) : joinOf(this, separator); },
    reverse() { return large(this) ? slowly(reverse, this, []) : reverseOf(this); },
    shift() { return large(this) ? slowly(shift, this, []) : shiftOf(this); },
    slice(start, end) { return large(this) ? slowly(slice, this, [start, end]) : sliceOf(this, start, end); },
    sort(compare) { return large(this) ? slowly(sort, this, [compare]) : sortOf(this, compare); },
    splice(start, deleteCount, ...items) {
      const args = arguments.length < 2 ? (arguments.length < 1 ? [] : [start]) : [start, deleteCount, ...items]; // eslint-disable-line
      return large(this) ? slowly(splice, this, args) : apply(splice, this, args);
    },
    unshift(...items) { return large(this) ? slowly(unshift, this, items) : apply(unshift, this, items); },
    toLocaleString() { return large(this) ? slowly(toLocaleString, this, []) : apply(toLocaleString, this, []); },
    concat(...items) {
      for (let i = 0; i < items.length; i += 1) items[i] = concatenable(items[i]);
      return apply(concat, isObject(this) ? concatenable(this) : this, items);
    },
    flat(depth = 1) {
      const self = toObject(this);
      return flatten([], self, lengthOf(self), Math.trunc(Number(depth)) || 0);
    },
    flatMap(callback, thisArg) {
      if (typeof callback !== 'function') throw TypeError('flatMap: the callback is not a function');
      const self = toObject(this);
      const out = [];
      const length = lengthOf(self);
      for (let i = 0; i < length; i += 1) {
        if (i in self) {
          const item = apply(callback, thisArg, [self[i], i, self]);
          if (isArray(item)) flatten(out, item, item.length, 0);
          else push(out, item);
        }
      }
      return out;
    },
  };
};

// ---- texts ------------------------------------------------------------------------------------------------------------

// Knuth, Morris and Pratt: as many steps as both texts have characters.
const find = (text, needle, from) => {
  const back = [0];
  for (let i = 1, k = 0; i < needle.length; i += 1) {
    while (k > 0 && textAt(needle, i) !== textAt(needle, k)) k = back[k - 1];
    if (textAt(needle, i) === textAt(needle, k)) k += 1;
    push(back, k);
  }
  for (let i = from, k = 0; i < text.length; i += 1) {
    while (k > 0 && textAt(text, i) !== textAt(needle, k)) k = back[k - 1];
    if (textAt(text, i) === textAt(needle, k)) k += 1;
    if (k === needle.length) return i - k + 1;
  }
  return -1;
};

// What `$` stands for in a replacement.
const substitute = (template, match, position, text, captures, groups) => {
  let out = '';
  for (let i = 0; i < template.length; i += 1) {
    const c = template[i];
    const next = template[i + 1];
    if (c !== '$' || next === undefined) out += c;
    else if (next === '$') { out += '$'; i += 1; }
    else if (next === '&') { out += match; i += 1; }
    else if (next === '`') { out += textSlice(text, 0, position); i += 1; }
    else if (next === "'") { out += textSlice(text, position + match.length); i += 1; }
    else if (next >= '0' && next <= '9') {
      const two = Number(next + template[i + 2]);
      const n = two >= 1 && two <= captures.length ? two : Number(next);
      if (n >= 1 && n <= captures.length) {
        out += captures[n - 1] ?? '';
        i += n > 9 || template[i + 1] === '0' ? 2 : 1;
      } else out += c;
    } else if (next === '<' && groups !== undefined) {
      const end = textIndexOf(template, '>', i + 2);
      if (end < 0) out += c;
      else {
        const value = groups[textSlice(template, i + 2, end)];
        out += value === undefined ? '' : value;
        i = end;
      }
    } else out += c;
  }
  return out;
};
// The same as a function, so that each match counts for the interrupt.
const asFunction = template => (match, ...rest) => {
  const groups = typeof rest[rest.length - 1] === 'string' ? undefined : rest.pop();
  const text = rest.pop();
  const position = rest.pop();
  return substitute(template, match, position, text, rest, groups);
};

const textGuards = poll => {
  const P = String.prototype;
  const native = { ...P };
  for (const name of ['indexOf', 'lastIndexOf', 'includes', 'split', 'replace', 'replaceAll', 'match', 'matchAll', 'search',
    'normalize', 'localeCompare']) native[name] = uncurry(P[name]);
  const costly = (text, needle) => {
    if (text.length > SOME) poll();
    return needle.length > 64 && text.length * needle.length > PRODUCT;
  };
  const self = (value, name) => {
    if (typeof value === 'string') return value;
    if (value === undefined || value === null) throw TypeError(`String.prototype.${name} called on ${value}`);
    return toText(value);
  };
  const position = from => {
    const n = Math.trunc(Number(from));
    return n > 0 ? n : 0;
  };
  const wellMarked = text => {
    if (text.length > SOME) poll();
    if (text.length > 64 && test(MARKS, text)) throw RangeError('the text has too many combining marks in a row');
    return text;
  };
  // A pattern that is a text and would be compiled, or an object that does the work itself.
  const pattern = value => {
    if (isObject(value)) return value;
    if (typeof value === 'string' && value.length > LONG_PATTERN) {
      throw RangeError(`a regular expression's text may have ${LONG_PATTERN} characters, not ${value.length}`);
    }
    return value;
  };
  // `search` if it is a text, else undefined after its own method did the work.
  const delegate = (symbol, text, search, arg, done) => {
    if (!isObject(search)) return done(toText(search));
    const method = search[symbol];
    if (method !== undefined && method !== null) return apply(method, search, [text, arg]);
    return done(toText(search));
  };
  const replaceSlowly = (text, needle, replacement, all) => {
    const make = typeof replacement === 'function' ? replacement : asFunction(toText(replacement));
    let out = '';
    let end = 0;
    for (let at = find(text, needle, 0); at >= 0; at = all ? find(text, needle, end) : -1) {
      out += textSlice(text, end, at) + toText(make(needle, at, text));
      end = at + needle.length;
    }
    return out + textSlice(text, end);
  };
  const replacing = (f, all) => (text, needle, replacement) => {
    if (costly(text, needle)) return replaceSlowly(text, needle, replacement, all);
    const fixed = typeof replacement === 'function' ? replacement : toText(replacement);
    return f(text, needle, typeof fixed === 'string' && text.length > SOME && textIndexOf(fixed, '$') >= 0 ? asFunction(fixed) : fixed);
  };
  const replaceOne = replacing(native.replace, false);
  const replaceEach = replacing(native.replaceAll, true);
  return {
    indexOf(search, from = undefined) {
      const text = self(this, 'indexOf');
      const needle = toText(search);
      return costly(text, needle) ? find(text, needle, position(from)) : native.indexOf(text, needle, from);
    },
    lastIndexOf(search, from = undefined) {
      const text = self(this, 'lastIndexOf');
      const needle = toText(search);
      if (!costly(text, needle)) return native.lastIndexOf(text, needle, from);
      const limit = from === undefined || Number.isNaN(Number(from)) ? Infinity : position(from);
      let last = -1;
      for (let at = find(text, needle, 0); at >= 0 && at <= limit; at = find(text, needle, at + 1)) last = at;
      return last;
    },
    includes(search, from = undefined) {
      const text = self(this, 'includes');
      if (isObject(search)) return native.includes(text, search, from);
      const needle = toText(search);
      return costly(text, needle) ? find(text, needle, position(from)) >= 0 : native.includes(text, needle, from);
    },
    split(separator, limit) {
      if (this === undefined || this === null) return native.split(this);
      if (separator === undefined) return native.split(this, separator, limit);
      return delegate(Symbol.split, this, separator, limit, needle => {
        const text = toText(this);
        if (!costly(text, needle)) return native.split(text, needle, limit);
        const parts = [];
        const most = limit === undefined ? 0xffffffff : limit >>> 0;
        let end = 0;
        for (let at = find(text, needle, 0); at >= 0 && parts.length < most; at = find(text, needle, end)) {
          push(parts, textSlice(text, end, at));
          end = at + needle.length;
        }
        if (parts.length < most) push(parts, textSlice(text, end));
        return parts;
      });
    },
    replace(search, replacement) {
      if (this === undefined || this === null) return native.replace(this);
      return delegate(Symbol.replace, this, search, replacement, needle => replaceOne(toText(this), needle, replacement));
    },
    replaceAll(search, replacement) {
      if (this === undefined || this === null) return native.replaceAll(this);
      if (search instanceof NativeRegExp) return native.replaceAll(this, search, replacement);
      return delegate(Symbol.replace, this, search, replacement, needle => replaceEach(toText(this), needle, replacement));
    },
    match(regexp) { return native.match(this, pattern(regexp)); },
    matchAll(regexp) { return native.matchAll(this, pattern(regexp)); },
    search(regexp) { return native.search(this, pattern(regexp)); },
    normalize(form = undefined) { return native.normalize(wellMarked(self(this, 'normalize')), form); },
    localeCompare(that) {
      return native.localeCompare(wellMarked(self(this, 'localeCompare')), wellMarked(toText(that)));
    },
  };
};

const regExpGuards = () => {
  const replace = uncurry(NativeRegExp.prototype[Symbol.replace]);
  return {
    [Symbol.replace](text, replacement) {
      const s = toText(text);
      const fixed = typeof replacement === 'function' ? replacement : toText(replacement);
      const template = typeof fixed === 'string' && s.length > SOME && textIndexOf(fixed, '$') >= 0;
      return replace(this, s, template ? asFunction(fixed) : fixed);
    },
  };
};

// ---- the rest ---------------------------------------------------------------------------------------------------------

const typedArrayGuards = (poll, proto) => {
  const guards = {};
  for (const name of ['copyWithin', 'fill', 'includes', 'indexOf', 'join', 'lastIndexOf', 'reverse', 'set', 'sort']) {
    const native = proto[name];
    const { [name]: guard } = {
      [name](...args) {
        if (isView(this) && this.byteLength > SOME) poll();
        return apply(native, this, args);
      },
    };
    defineProperty(guard, 'length', { value: native.length });
    guards[name] = guard;
  }
  return guards;
};

const iteratorGuards = () => {
  const { drop } = Iterator.prototype;
  return {
    drop(limit) {
      const n = Number(limit);
      if (!(n > SOME)) return apply(drop, this, [limit]);
      let left = Math.trunc(n);
      return this.filter(() => {
        if (left === 0) return true;
        left -= 1;
        return false;
      });
    },
  };
};

const staticGuards = () => ({
  raw(template, ...substitutions) {
    const cooked = toObject(template);
    const parts = toObject(cooked.raw);
    const length = Math.trunc(Number(parts.length)) || 0;
    let out = '';
    for (let i = 0; i < length; i += 1) {
      out += toText(parts[i]);
      if (i + 1 < length && i < substitutions.length) out += toText(substitutions[i]);
    }
    return out;
  },
});

const install = (target, guards) => {
  for (const key of ownKeys(guards)) {
    const before = getOwnPropertyDescriptor(target, key);
    if (before !== undefined) {
      const { value } = getOwnPropertyDescriptor(guards, key);
      if (value.length !== before.value.length) defineProperty(value, 'length', { value: before.value.length });
      defineProperty(target, key, { value, writable: true, enumerable: false, configurable: true });
    }
  }
};

// A constructor in front of another one, indistinguishable by its prototype and static properties.
const replaceConstructor = (name, native, Guarded) => {
  for (const key of ownKeys(native)) {
    const d = getOwnPropertyDescriptor(native, key);
    if (key === 'prototype') defineProperty(Guarded, key, { value: d.value, writable: false, enumerable: false, configurable: false });
    else defineProperty(Guarded, key, { ...d, configurable: true });
  }
  if (native.prototype !== undefined) {
    defineProperty(native.prototype, 'constructor', { value: Guarded, writable: true, enumerable: false, configurable: true });
  }
  defineProperty(globalThis, name, { value: Guarded, writable: true, enumerable: false, configurable: true });
};

const guardRegExp = () => {
  const tooLong = source => typeof source === 'string' && source.length > LONG_PATTERN;
  const Guarded = function RegExp(source, flags) {
    let text = source;
    if (isObject(source) && !(source instanceof NativeRegExp) && !source[Symbol.match]) text = toText(source);
    if (tooLong(text)) {
      throw RangeError(`a regular expression's text may have ${LONG_PATTERN} characters, not ${text.length}`);
    }
    if (new.target === undefined) return NativeRegExp(text, flags);
    return construct(NativeRegExp, [text, flags], new.target === Guarded ? NativeRegExp : new.target);
  };
  replaceConstructor('RegExp', NativeRegExp, Guarded);
};

const guardProxy = counting => {
  const Guarded = function Proxy(target, handler) {
    if (new.target === undefined) throw TypeError("Constructor Proxy requires 'new'");
    return new NativeProxy(target, isObject(handler) ? counting.make(handler) : handler);
  };
  const { revocable } = NativeProxy;
  const guardedRevocable = {
    revocable(target, handler) { return revocable(target, isObject(handler) ? counting.make(handler) : handler); },
  }.revocable;
  // A bound function has no prototype property, like the original.
  const Bound = Guarded.bind(undefined);
  replaceConstructor('Proxy', NativeProxy, Bound);
  defineProperty(Bound, 'revocable', { value: guardedRevocable, writable: true, enumerable: false, configurable: true });
};

/** Wraps what needs a bound. `poll` throws if the time is over. Before lockdown, once per realm. */
export const installGuards = poll => {
  const counting = makeCountingHandlers();
  install(Array.prototype, arrayGuards(poll, counting));
  install(String.prototype, textGuards(poll));
  install(String, staticGuards());
  install(RegExp.prototype, regExpGuards());
  const TypedArray = getPrototypeOf(Uint8Array);
  install(TypedArray.prototype, typedArrayGuards(poll, TypedArray.prototype));
  if (typeof Iterator === 'function') install(Iterator.prototype, iteratorGuards());
  guardRegExp();
  guardProxy(counting);
};
