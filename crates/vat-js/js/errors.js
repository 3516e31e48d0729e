// The `assert` global and what @endo/errors exports: errors whose messages do not show values that were not quoted on
// purpose (a caller in another vat reads the message; the values may be secrets).
//
// Always: making a message runs no code of the values that it mentions, except getters and toJSON when they are quoted.
// Elsewhere: the details that a message hides go to the vat's log (console.js prints `notesOf`).

const NativeWeakMap = WeakMap;
const { freeze } = Object;
const { stringify } = JSON;

const quoted = new NativeWeakMap();
const details = new NativeWeakMap();
const notes = new NativeWeakMap();

const PASS_STYLE = Symbol.for('passStyle');

const isError = v => typeof v === 'object' && v !== null && v instanceof Error;

/** A text for any value: JSON where there is one, a description in brackets elsewhere. */
export const show = (value, space) => {
  const seen = new Set();
  const replacer = (_key, v) => {
    switch (typeof v) {
      case 'object': {
        if (v === null) return null;
        if (seen.has(v)) return '[Seen]';
        seen.add(v);
        if (isError(v)) return `[${v.name}: ${v.message}]`;
        const tag = v[Symbol.toStringTag];
        if (typeof tag === 'string' && v[PASS_STYLE] !== 'tagged') return `[${tag}]`;
        return v;
      }
      case 'function': return `[Function ${v.name || '<anon>'}]`;
      case 'string': return v.startsWith('[') ? `[${v}]` : v;
      case 'undefined': return '[undefined]';
      case 'symbol': return `[${String(v)}]`;
      case 'bigint': return `[${v}n]`;
      case 'number': return v !== v || v === Infinity || v === -Infinity ? `[${v}]` : v;
      default: return v;
    }
  };
  try {
    return stringify(value, replacer, space);
  } catch {
    return '[Something that failed to stringify]';
  }
};

const article = word => (/^[aeiou]/i.test(word) ? `an ${word}` : `a ${word}`);

/** Marks a value to be shown in messages. */
export const quote = (value, space) => {
  const token = freeze({ __proto__: null, toString: () => show(value, space) });
  quoted.set(token, { value, text: undefined, space });
  return token;
};

const IDENTIFIER = /^[\w:-]( ?[\w:-])*$/;

/** Like `quote`, without quotation marks when the value is a few plain words. */
export const bare = (value, space) => {
  if (typeof value !== 'string' || !IDENTIFIER.test(value)) return quote(value, space);
  const token = freeze({ __proto__: null, toString: () => value });
  quoted.set(token, { value, text: value });
  return token;
};

const redact = arg => {
  const q = typeof arg === 'object' && arg !== null ? quoted.get(arg) : undefined;
  if (q !== undefined) return q.text ?? show(q.value, q.space);
  if (isError(arg)) return `(${article(arg.name)})`;
  return `(${article(typeof arg)})`;
};

const reveal = arg => {
  const q = typeof arg === 'object' && arg !== null ? quoted.get(arg) : undefined;
  if (q !== undefined) return q.text ?? show(q.value, q.space);
  return show(arg);
};

const compose = ({ template, args }, each) => {
  let text = template[0];
  for (let i = 0; i < args.length; i += 1) text += each(args[i]) + template[i + 1];
  return text;
};

/** A template tag: the makings of a message. */
export const X = (template, ...args) => {
  const token = freeze({ __proto__: null, toString: () => compose({ template, args }, redact) });
  details.set(token, { template, args });
  return token;
};

const messageOf = d => {
  if (typeof d === 'string') return d;
  const parts = typeof d === 'object' && d !== null ? details.get(d) : undefined;
  return parts === undefined ? `${show(d)}` : compose(parts, redact);
};

/** What a message hides, for the log. */
export const noteError = (error, d) => {
  const parts = typeof d === 'object' && d !== null ? details.get(d) : undefined;
  const text = parts === undefined ? String(d) : compose(parts, reveal);
  const list = notes.get(error);
  if (list === undefined) notes.set(error, [text]);
  else list.push(text);
};

/** The notes of an error, for the log. */
export const notesOf = error => notes.get(error) ?? [];

/** Makes an error with a message from `X` (or a text). */
export const makeError = (d = X`Assert failed`, ErrorClass = Error, options = undefined) => {
  const message = messageOf(d);
  const cause = options?.cause;
  const error = ErrorClass === AggregateError
    ? new AggregateError(options?.errors ?? [], message, cause === undefined ? undefined : { cause })
    : new ErrorClass(message, cause === undefined ? undefined : { cause });
  const parts = typeof d === 'object' && d !== null ? details.get(d) : undefined;
  if (parts !== undefined) {
    const full = compose(parts, reveal);
    if (full !== message) noteError(error, full);
  }
  return error;
};

/** A template tag that throws. */
export const Fail = (template, ...args) => {
  throw makeError(X(template, ...args));
};

const fail = (d = X`Assert failed`, ErrorClass = undefined, options = undefined) => {
  throw makeError(d, ErrorClass, options);
};

/** Builds the `assert` function with its members. */
export const makeAssert = () => {
  const assert = (flag, d = X`Check failed`, ErrorClass = undefined, options = undefined) => {
    if (!flag) fail(d, ErrorClass, options);
  };
  const members = {
    error: makeError,
    fail,
    equal(actual, expected, d = undefined, ErrorClass = undefined) {
      if (!Object.is(actual, expected)) fail(d ?? X`Expected ${actual} is same as ${expected}`, ErrorClass ?? RangeError);
    },
    typeof(specimen, name, d = undefined) {
      if (typeof specimen !== name) fail(d ?? X`${specimen} must be ${bare(article(name))}`, TypeError);
    },
    string(specimen, d = undefined) { members.typeof(specimen, 'string', d); },
    note: noteError,
    details: X,
    Fail,
    quote,
    bare,
    raise(reason) { throw reason; },
  };
  members.makeAssert = () => assert;
  return Object.assign(assert, members);
};

/** True for arrays, objects and functions. */
export const isObject = v => (typeof v === 'object' && v !== null) || typeof v === 'function';

/** The namespace of `@endo/errors`. */
export const makeErrorsModule = assert => ({
  __proto__: null, assert, bare, b: bare, makeError, details: X, X, redacted: X, note: noteError, annotateError: noteError,
  quote, q: quote, Fail, throwRedacted: Fail,
  hideAndHardenFunction: f => f,
});
