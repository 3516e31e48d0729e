// A tiny neutral notation for passable values, so that a program in any language can read the vectors:
// {"kind": "string", "value": "x"}, see README.md. `build` makes the value with the tools of one implementation,
// `describe` reads a value back. Neither knows which implementation it serves.

const wellKnown = name => Symbol[name];

/** Makes a value from its description. `kit`: {Far, makeTagged, harden, remotable(slot, iface), promise(slot)}. */
export const build = (d, kit) => {
  const { harden } = kit;
  switch (d.kind) {
    case 'undefined': return undefined;
    case 'null': return null;
    case 'boolean': case 'string': return d.value;
    case 'number': return d.value === '-0' ? -0 : Number(d.value);
    case 'bigint': return BigInt(d.value);
    case 'symbol': return d.value.wellKnown ? wellKnown(d.value.wellKnown) : Symbol.for(d.value.registered);
    case 'array': return harden(d.value.map(e => build(e, kit)));
    case 'record': {
      const out = {};
      for (const [k, v] of d.value) {
        Object.defineProperty(out, k, { value: build(v, kit), enumerable: true, writable: true, configurable: true });
      }
      return harden(out);
    }
    case 'tagged': return kit.makeTagged(d.value.tag, build(d.value.payload, kit));
    case 'error': {
      const E = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError }[d.value.name] ?? Error;
      const e = new E(d.value.message);
      if (e.name !== d.value.name) Object.defineProperty(e, 'name', { value: d.value.name });
      return harden(e);
    }
    case 'remotable': return kit.remotable(d.value.slot, d.value.iface);
    case 'promise': return kit.promise(d.value.slot);
    default: throw Error(`unknown kind ${d.kind}`);
  }
};

/** Describes a value. `kit`: {passStyleOf, getTag, slotOf, ifaceOf}. */
export const describe = (v, kit) => {
  const style = kit.passStyleOf(v);
  switch (style) {
    case 'undefined': case 'null': return { kind: style };
    case 'boolean': case 'string': return { kind: style, value: v };
    case 'number': return { kind: style, value: Object.is(v, -0) ? '-0' : String(v) };
    case 'bigint': return { kind: style, value: String(v) };
    case 'symbol': {
      const name = Symbol.keyFor(v);
      if (name !== undefined) return { kind: style, value: { registered: name } };
      for (const n of Object.getOwnPropertyNames(Symbol)) {
        if (Symbol[n] === v) return { kind: style, value: { wellKnown: n } };
      }
      throw Error('unnamed symbol');
    }
    case 'copyArray': return { kind: 'array', value: v.map(e => describe(e, kit)) };
    case 'copyRecord':
      return { kind: 'record', value: Object.keys(v).sort().map(k => [k, describe(v[k], kit)]) };
    case 'tagged':
      return { kind: 'tagged', value: { tag: v[Symbol.toStringTag], payload: describe(v.payload, kit) } };
    case 'error': return { kind: 'error', value: { name: v.name, message: v.message } };
    case 'remotable': return { kind: 'remotable', value: { slot: kit.slotOf(v), iface: kit.ifaceOf(v) } };
    case 'promise': return { kind: 'promise', value: { slot: kit.slotOf(v) } };
    default: throw Error(`cannot describe ${style}`);
  }
};
