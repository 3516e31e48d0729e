// Exos: objects whose methods share a prototype, get their instance's context, and are protected by interface guards. Here
// are the heap exos of `@endo/exo` and `defendPrototype`, which also wraps the methods of stored objects (`vomKinds.js`).
// What a guard means is in `patterns.js`, which is only asked for when there is a guard.
//
// Always: a method runs only for an instance of its own class, and with arguments that its guard accepts.

import { show, showNames } from './keys.js';

/** The name of the method by which an exo tells its interface guard. */
export const GET_INTERFACE_GUARD = '__getInterfaceGuard__';

const { ownKeys } = Reflect;

const fail = text => {
  throw Error(text);
};

const difference = (left, right) => left.filter(name => !right.includes(name));

const never = () => false;

/** A cheap test that says yes only if the pattern matches for sure; else the pattern itself is asked. */
const makeQuickTest = ({ patterns }, pattern) => {
  switch (patterns().kindOf(pattern)) {
    case 'undefined':
      return value => value === undefined;
    case 'match:any':
      return value => {
        const type = typeof value;
        return type === 'string' || type === 'number' || type === 'undefined' || type === 'boolean';
      };
    case 'match:string':
      return pattern.payload.length > 0 ? never : value => typeof value === 'string' && value.length < 10_000;
    case 'match:nat':
      return pattern.payload.length > 0
        ? never
        : value => typeof value === 'bigint' && value >= 0n && value < 1_000_000_000_000_000n;
    case 'match:kind': {
      const kind = pattern.payload;
      return kind === 'number' || kind === 'boolean' || kind === 'undefined' ? value => typeof value === kind : never;
    }
    default:
      return never;
  }
};

/** How arguments and results are checked, made from the payload of a method guard. */
const makeArgCheck = ({ harden, patterns }, payload) => {
  const { isRawGuard, mustMatch, M } = patterns();
  const { argGuards, optionalArgGuards = [], restArgGuard } = payload;
  const required = argGuards.length;
  const declared = [...argGuards, ...optionalArgGuards];
  const raw = declared.map(guard => isRawGuard(guard));
  const restIsRaw = restArgGuard !== undefined && isRawGuard(restArgGuard);
  const quick = declared.map((guard, i) => (raw[i] ? never : makeQuickTest({ patterns }, guard)));
  const restIsFree = restArgGuard === undefined || restIsRaw || restArgGuard === M.any();

  return (args, label) => {
    if (args.length < required) {
      harden(args);
      fail(`${label}: Expected at least ${show(required)} arguments: ${show(args)}`);
    }
    const checked = args.length < declared.length ? args.length : declared.length;
    for (let i = 0; i < checked; i += 1) {
      if (raw[i] || quick[i](args[i]) || (i >= required && args[i] === undefined)) continue;
      mustMatch(harden(args[i]), declared[i], `${label}: arg ${i}${i >= required ? '?' : ''}`);
    }
    if (args.length > declared.length) {
      if (restArgGuard === undefined) {
        fail(
          `${show(label)} accepts at most ${show(declared.length)} arguments, not ${show(args.length)}: ${show(args)}`,
        );
      }
      if (!restIsRaw) mustMatch(harden(args.slice(declared.length)), restArgGuard, `${label}: ...rest`);
    } else if (!restIsFree) {
      mustMatch(harden([]), restArgGuard, `${label}: ...rest`);
    }
  };
};

const makeResultCheck = ({ harden, patterns }, { returnGuard }) => {
  const { isRawGuard, mustMatch } = patterns();
  if (isRawGuard(returnGuard)) return result => result;
  const quick = makeQuickTest({ patterns }, returnGuard);
  return (result, label) => {
    if (!quick(result)) mustMatch(harden(result), returnGuard, `${label}: result`);
    return result;
  };
};

const makeSyncMethod = (powers, getContext, call, payload, label) => {
  const checkArgs = makeArgCheck(powers, payload);
  const checkResult = makeResultCheck(powers, payload);
  const { method } = {
    method(...args) {
      const context = getContext(this, label);
      checkArgs(args, label);
      return checkResult(call(context, args), label);
    },
  };
  return method;
};

const makeAsyncMethod = (powers, getContext, call, payload, label) => {
  const { isAwaitArgGuard, getAwaitArgGuardPayload } = powers.patterns();
  const { argGuards, optionalArgGuards = [], restArgGuard } = payload;
  if (restArgGuard !== undefined && isAwaitArgGuard(restArgGuard))
    fail(`Rest args may not be awaited: ${show(restArgGuard)}`);
  const awaited = [];
  const settledGuard = (guard, i) => {
    if (!isAwaitArgGuard(guard)) return guard;
    awaited.push(i);
    return getAwaitArgGuardPayload(guard).argGuard;
  };
  const settledPayload = {
    ...payload,
    argGuards: argGuards.map(settledGuard),
    optionalArgGuards: optionalArgGuards.map((guard, i) => settledGuard(guard, i + argGuards.length)),
  };
  const checkArgs = makeArgCheck(powers, settledPayload);
  const checkResult = makeResultCheck(powers, payload);
  const { method } = {
    async method(...args) {
      const waiting = awaited.filter(i => i < args.length);
      const values = await Promise.all(waiting.map(i => args[i]));
      waiting.forEach((i, at) => {
        args[i] = values[at];
      });
      const context = getContext(this, label);
      checkArgs(args, label);
      return checkResult(await call(context, args), label);
    },
  };
  return method;
};

/** Arguments and results must be passable, whatever they are. */
const makePassableMethod = ({ harden, passStyleOf }, getContext, call, label) => {
  const insistPassable = (value, where) => {
    if (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol') return value;
    try {
      passStyleOf(harden(value));
    } catch (error) {
      fail(`${where}: ${error.message}`);
    }
    return value;
  };
  const { method } = {
    method(...args) {
      const context = getContext(this, label);
      for (let i = 0; i < args.length; i += 1) insistPassable(args[i], label);
      return insistPassable(call(context, args), label);
    },
  };
  return method;
};

const makeRawMethod = (getContext, call, label) => {
  const { method } = {
    method(...args) {
      return call(getContext(this, label), args);
    },
  };
  return method;
};

const methodNamesOf = behavior => {
  const names = new Set();
  for (let at = behavior; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of ownKeys(at)) {
      if (name === 'constructor' && at.constructor?.prototype?.constructor === at.constructor) continue;
      if (name === Symbol.toStringTag || name === Symbol.for('passStyle')) continue;
      if (typeof behavior[name] === 'function') names.add(name);
    }
  }
  return [...names];
};

/** What a guard says of each method, and of methods that it does not name. */
const readGuard = ({ patterns }, tag, guard, names) => {
  if (guard === undefined) return { guards: {}, otherwise: undefined };
  const { getInterfaceGuardPayload, getCopyMapEntries } = patterns();
  const payload = getInterfaceGuardPayload(guard);
  const { interfaceName, methodGuards, symbolMethodGuards, sloppy } = payload;
  const otherwise = payload.defaultGuards ?? (sloppy ? 'passable' : undefined);
  const guards = { ...methodGuards };
  if (symbolMethodGuards !== undefined) {
    for (const [symbol, methodGuard] of getCopyMapEntries(symbolMethodGuards)) guards[symbol] = methodGuard;
  }
  const guarded = ownKeys(guards);
  const missing = difference(guarded, names);
  if (missing.length > 0) fail(`methods ${showNames(missing)} not implemented by ${show(tag)}`);
  const unguarded = otherwise === undefined ? difference(names, guarded) : [];
  if (unguarded.length > 0) fail(`methods ${showNames(unguarded)} not guarded by ${show(interfaceName)}`);
  return { guards, otherwise };
};

const makeDefend = powers => {
  const { patterns } = powers;

  const guardedMethod = (getContext, call, methodGuard, label) => {
    const payload = patterns().getMethodGuardPayload(methodGuard);
    const make = payload.callKind === 'sync' ? makeSyncMethod : makeAsyncMethod;
    return make(powers, getContext, call, payload, label);
  };

  const callOf = (style, method) => {
    if (style === 'thisful') return (context, args) => Reflect.apply(method, context, args);
    return (context, args) => method(context, ...args);
  };

  /**
   * The prototype of instances with these methods. `contextFor(instance)` gives an instance's context, undefined if it is
   * none of ours. `style`: methods get the context as `this` ('thisful') or before their arguments ('contextFirst').
   */
  return (tag, contextFor, behavior, style, guard) => {
    const names = methodNamesOf(behavior);
    const { guards, otherwise } = readGuard(powers, tag, guard, names);
    const getContext = (self, label) => {
      const context = self ? contextFor(self) : fail(`Method ${label} called without 'this' object`);
      if (context === undefined) fail(`${show(label)} may only be applied to a valid instance: ${show(self)}`);
      return context;
    };
    const prototype = {};
    const add = (name, method, length) => {
      Object.defineProperty(method, 'name', { value: `In ${show(String(name))} method of (${tag})` });
      Object.defineProperty(method, 'length', { value: length });
      prototype[name] = method;
    };
    const fallback = otherwise ?? (style === 'thisful' ? 'passable' : 'raw');
    for (const name of names) {
      const label = `In ${show(String(name))} method of (${tag})`;
      const call = callOf(style, behavior[name]);
      const methodGuard = Object.hasOwn(guards, name) ? guards[name] : undefined;
      let method;
      if (methodGuard !== undefined) method = guardedMethod(getContext, call, methodGuard, label);
      else if (fallback === 'passable') method = makePassableMethod(powers, getContext, call, label);
      else method = makeRawMethod(getContext, call, label);
      add(name, method, behavior[name].length);
    }
    if (!Object.hasOwn(prototype, GET_INTERFACE_GUARD)) {
      const label = `In ${show(GET_INTERFACE_GUARD)} method of (${tag})`;
      add(
        GET_INTERFACE_GUARD,
        makeRawMethod(getContext, () => guard, label),
        0,
      );
    }
    return powers.Far(tag, prototype);
  };
};

const makeTester = (tag, facets, facetOf) => {
  const isInstance = (value, name = undefined) => {
    const found = typeof value === 'object' && value !== null ? facetOf(value) : undefined;
    if (name === undefined) return found !== undefined;
    if (facets === undefined) {
      fail(`facetName can only be used with an exo class kit: ${show(tag)} has no facet ${show(name)}`);
    }
    if (!facets.includes(name)) fail(`exo class kit ${show(tag)} has no facet named ${show(name)}`);
    return found === name;
  };
  return isInstance;
};

/**
 * An instance's context is kept inside the instance, in a private field: it refers back to the instance, which an engine
 * whose WeakMap values are strong would never let go.
 */
const makeContextStamp = () => {
  const same = function same(object) {
    return object;
  };
  return class Stamp extends same {
    #context;
    constructor(object, context) {
      super(object);
      this.#context = context;
    }
    static get(object) {
      return typeof object === 'object' && object !== null && #context in object ? object.#context : undefined;
    }
  };
};

/** The namespace of `@endo/exo`, with `defendPrototype` and `insistSameFacets` for stored kinds. */
export const makeExos = powers => {
  const { harden } = powers;
  const defendPrototype = makeDefend(powers);
  const empty = harden({});
  const initEmpty = () => empty;

  const makeInstance = (prototype, Context, context) => {
    const self = Object.create(prototype);
    new Context(self, context);
    return Object.freeze(self);
  };

  const defineExoClass = (tag, guard, init, methods, options = {}) => {
    harden(methods);
    const { finish, receiveAmplifier, receiveInstanceTester } = options;
    if (receiveAmplifier !== undefined) fail(`Only facets of an exo class kit can be amplified ${show(tag)}`);
    const Context = makeContextStamp();
    const prototype = defendPrototype(tag, Context.get, methods, 'thisful', guard);
    if (receiveInstanceTester) {
      receiveInstanceTester(
        harden(makeTester(tag, undefined, self => (Context.get(self) === undefined ? undefined : tag))),
      );
    }
    return harden((...args) => {
      const context = { state: Object.seal(init ? init(...args) : {}), self: undefined };
      context.self = makeInstance(prototype, Context, context);
      Object.freeze(context);
      if (finish) finish(context);
      return context.self;
    });
  };

  const insistSameFacets = (tag, facets, guardKit) => {
    const guarded = ownKeys(guardKit);
    const missing = difference(guarded, facets);
    if (missing.length > 0) fail(`Interfaces ${showNames(missing)} not implemented by ${show(tag)}`);
    const unguarded = difference(facets, guarded);
    if (unguarded.length > 0) fail(`Facets ${showNames(unguarded)} of ${show(tag)} not guarded by interfaces`);
  };

  const defineExoClassKit = (tag, guardKit, init, methodsKit, options = {}) => {
    harden(methodsKit);
    const { finish, receiveAmplifier, receiveInstanceTester } = options;
    const facetNames = ownKeys(methodsKit).sort();
    if (facetNames.length < 2) fail('A multi-facet object must have multiple facets');
    if (guardKit) insistSameFacets(tag, facetNames, guardKit);
    const stamps = facetNames.map(makeContextStamp);
    const prototypes = facetNames.map((name, i) =>
      defendPrototype(
        `${tag} ${String(name)}`,
        stamps[i].get,
        methodsKit[name],
        'thisful',
        guardKit ? guardKit[name] : undefined,
      ),
    );
    const indexOf = value => stamps.findIndex(Context => Context.get(value) !== undefined);
    if (receiveAmplifier) {
      const amplify = value => {
        const index = indexOf(value);
        if (index < 0) fail(`Must be a facet of ${show(tag)}: ${show(value)}`);
        return stamps[index].get(value).facets;
      };
      receiveAmplifier(harden(amplify));
    }
    if (receiveInstanceTester)
      receiveInstanceTester(harden(makeTester(tag, facetNames, value => facetNames[indexOf(value)])));
    return harden((...args) => {
      const context = { state: Object.seal(init ? init(...args) : {}), facets: undefined };
      const facets = {};
      for (const name of ownKeys(methodsKit)) {
        const index = facetNames.indexOf(name);
        facets[name] = makeInstance(prototypes[index], stamps[index], context);
      }
      context.facets = Object.freeze(facets);
      Object.freeze(context);
      if (finish) finish(context);
      return facets;
    });
  };

  const makeExo = (tag, guard, methods, options = undefined) =>
    defineExoClass(tag, guard, initEmpty, methods, options)();

  return harden({
    GET_INTERFACE_GUARD,
    initEmpty,
    defineExoClass,
    defineExoClassKit,
    makeExo,
    defendPrototype,
    insistSameFacets,
  });
};
