// Kinds of stored objects: `defineKind…`, their instances, facets, state and representatives.
//
// Always: at most one representative (or cohort of facets) of an instance is alive, since the
// dispatcher's table is asked before one is made. Instances' states are in `vomRecords.js`, reference counts in the ledger
// (`vom.js`); methods are wrapped by `exo.js`.

import { baseOf, spaceOf, insistDurable } from './vomRefs.js';
import { makeRecords } from './vomRecords.js';
import { show, showNames } from './keys.js';

const KEPT_COHORTS = 32;

const facetiousness = behavior => {
  if (typeof behavior !== 'object' || behavior === null) return 'not';
  let result;
  for (const name of Reflect.ownKeys(behavior)) {
    const value = behavior[name];
    let one;
    if (typeof value === 'function') one = 'one';
    else if (typeof name !== 'symbol' && facetiousness(value) === 'one') one = 'many';
    else return 'not';
    if (result !== undefined && result !== one) return 'not';
    result = one;
  }
  return result ?? 'one';
};

/** What a durable kind remembers of its definition: → facet names or undefined. Changes `descriptor`. */
const agreeOnFacets = (descriptor, proposed) => {
  const { tag } = descriptor;
  if (descriptor.unfaceted && proposed)
    throw Error(`defineDurableKindMulti called for unfaceted KindHandle ${show(tag)}`);
  if (descriptor.facets && !proposed) throw Error(`defineDurableKind called for faceted KindHandle ${show(tag)}`);
  if (!proposed) {
    descriptor.unfaceted = true;
    return undefined;
  }
  const old = descriptor.facets ?? [];
  const missing = old.filter(name => !proposed.includes(name));
  if (missing.length > 0) {
    throw Error(
      `durable kind ${show(tag)} facets (${proposed.join(',')}) is missing ${missing[0]} from original definition (${old.join(',')})`,
    );
  }
  descriptor.facets = [...old, ...proposed.filter(name => !old.includes(name)).sort()];
  return descriptor.facets;
};

const isOptionalShape = (shape, kindOf) =>
  kindOf(shape) === 'match:or' &&
  shape.payload.some(one => one === undefined || (kindOf(one) === 'match:kind' && one.payload === 'undefined'));

/** A state shape may only gain fields that may be absent. */
const insistCompatibleShape = (oldPacked, newPacked, newShape, parts) => {
  if (JSON.stringify(oldPacked) === JSON.stringify(newPacked)) return;
  const complain = why => {
    throw Error(`durable Kind stateShape mismatch (${why})`);
  };
  const oldShape = parts.unpack(oldPacked);
  if (oldShape === undefined) complain('no old shape');
  if (newShape === undefined) complain('no new shape');
  const { kindOf } = parts.env.patterns();
  for (const name of Object.keys(oldShape)) {
    const same =
      Object.hasOwn(newShape, name) &&
      JSON.stringify(parts.pack(newShape[name])) === JSON.stringify(parts.pack(oldShape[name]));
    if (!same) complain(`body ${name}`);
  }
  for (const name of Object.keys(newShape)) {
    if (!Object.hasOwn(oldShape, name) && !isOptionalShape(newShape[name], kindOf)) complain(`body new field ${name}`);
  }
};

/**
 * A table of one value per object, kept inside the object (a private field) rather than in a WeakMap: the values refer back
 * to their objects, and an engine whose WeakMap values are strong would never let such an object go.
 */
const makeStamp = () => {
  const same = function same(object) {
    return object;
  };
  return class Stamp extends same {
    #value;
    constructor(object, value) {
      super(object);
      this.#value = value;
    }
    static get(object) {
      return typeof object === 'object' && object !== null && #value in object ? object.#value : undefined;
    }
  };
};

/** Definitions, instances and representatives. */
export const makeKinds = parts => {
  const { env, ledger, pack } = parts;
  const { harden, bridge } = env;
  const { stateGet, stateSet } = bridge;

  const records = makeRecords(parts);
  const kinds = new Map(); // `d10` or `v11` -> kind
  const handleIds = new env.WeakMap(); // kind handle -> id
  const handles = new Map(); // id -> kind handle, kept as long as the heap
  const Inside = makeStamp(); // representative -> { kind, base, index, cohort }
  const Base = makeStamp(); // state object -> its base and its representative or record of facets
  const pieces = new env.WeakSet(); // records of facets, contexts, state objects

  // Objects that were called lately are kept, since making a representative costs more than a call. Only the heap knows of
  // it: `letGo` is called before garbage is sought.
  const recent = new Set();
  const keepRecent = cohort => {
    if (cohort.isRecent) return;
    cohort.isRecent = true;
    recent.add(cohort);
    if (recent.size <= KEPT_COHORTS) return;
    for (const oldest of recent) {
      oldest.isRecent = false;
      recent.delete(oldest);
      return;
    }
  };

  const kindOfBase = base => kinds.get(base.slice(2, base.indexOf('/')));

  // ---- state objects

  const makeField = (kind, prop) => ({
    get() {
      const at = Base.get(this);
      if (at === undefined) throw Error('state accessors can only be applied to state');
      return records.read(kind, at.base, prop);
    },
    set(value) {
      const at = Base.get(this);
      if (at === undefined) throw Error('state accessors can only be applied to state');
      records.write(kind, at.base, prop, value);
    },
    enumerable: true,
    configurable: false,
  });

  const fieldOf = (kind, prop) => {
    let field = kind.fields.get(prop);
    if (field === undefined) {
      field = makeField(kind, prop);
      harden(field.get);
      harden(field.set);
      kind.fields.set(prop, field);
    }
    return field;
  };

  const makeState = (kind, base, keep) => {
    const state = {};
    const names = kind.stateShape === undefined ? records.names(base) : Object.keys(kind.stateShape);
    for (const prop of names) Object.defineProperty(state, prop, fieldOf(kind, prop));
    new Base(state, { base, keep });
    Object.freeze(state);
    pieces.add(state);
    return state;
  };

  const contextOf = (kind, index, rep) => {
    const inside = Inside.get(rep);
    if (inside === undefined || inside.kind !== kind || inside.index !== index) return undefined;
    const { cohort } = inside;
    let { context } = cohort;
    keepRecent(cohort);
    if (context === undefined) {
      const { keep } = cohort;
      const state = makeState(kind, inside.base, keep);
      context = Object.freeze(kind.facets === undefined ? { state, self: keep } : { state, facets: keep });
      pieces.add(context);
      cohort.context = context;
    }
    return context;
  };

  // ---- representatives

  const makeOne = (kind, index, base, cohort) => {
    const rep = Object.create(kind.prototypes[index]);
    new Inside(rep, { kind, base, index, cohort });
    Object.freeze(rep);
    env.register(kind.facets === undefined ? base : `${base}:${index}`, rep);
    return rep;
  };

  /** The representative, or the record of facets. */
  const represent = (kind, base) => {
    const cohort = { keep: undefined, context: undefined, isRecent: false };
    if (kind.facets === undefined) {
      cohort.keep = makeOne(kind, 0, base, cohort);
    } else {
      const facets = {};
      kind.facets.forEach((name, index) => {
        facets[name] = makeOne(kind, index, base, cohort);
      });
      cohort.keep = Object.freeze(facets);
      pieces.add(facets);
    }
    return cohort.keep;
  };

  const valueFor = vref => {
    const base = baseOf(vref);
    const kind = kindOfBase(base);
    if (kind === undefined) throw Error(`the kind of ${vref} is not defined`);
    if (!records.has(base)) throw Error(`no object ${vref}`);
    const colon = vref.indexOf(':');
    if (colon < 0 !== (kind.facets === undefined)) throw Error(`no object ${vref}`);
    if (colon < 0) return represent(kind, base);
    const index = Number(vref.slice(colon + 1));
    if (kind.facets[index] === undefined) throw Error(`no facet ${vref}`);
    // A facet added by an upgrade may be asked for while its siblings are alive.
    for (let i = 0; i < kind.facets.length; i += 1) {
      const sibling = env.valOf(`${base}:${i}`);
      if (sibling !== undefined) return Inside.get(sibling).cohort.keep[kind.facets[index]];
    }
    return represent(kind, base)[kind.facets[index]];
  };

  // ---- definitions

  const makeCheck = stateShape => {
    if (stateShape === undefined) return () => {};
    const { mustMatch } = env.patterns();
    return (value, prop) => {
      if (!Object.hasOwn(stateShape, prop)) {
        throw Error(`State must only have fields described by stateShape: ${showNames(Reflect.ownKeys(stateShape))}`);
      }
      mustMatch(value, stateShape[prop]);
    };
  };

  const provideTesters = (kind, options) => {
    const { receiveAmplifier, receiveInstanceTester } = options;
    const { tag, facets } = kind;
    const own = rep => {
      const inside = Inside.get(rep);
      return inside !== undefined && inside.kind === kind ? inside : undefined;
    };
    if (receiveAmplifier) {
      if (facets === undefined) throw Error(`Only facets of an exo class kit can be amplified, not ${show(tag)}`);
      const amplify = rep => {
        const inside = own(rep);
        if (inside === undefined) throw Error(`Must be a facet of ${show(tag)}: ${show(rep)}`);
        return inside.cohort.keep;
      };
      receiveAmplifier(harden(amplify));
    }
    if (receiveInstanceTester) {
      const isInstance = (rep, name = undefined) => {
        if (name === undefined) return own(rep) !== undefined;
        if (facets === undefined) {
          throw Error(`facetName can only be used with an exo class kit: ${show(tag)} has no facet ${show(name)}`);
        }
        if (!facets.includes(name)) throw Error(`exo class kit ${show(tag)} has no facet named ${show(name)}`);
        const inside = own(rep);
        return inside !== undefined && facets[inside.index] === name;
      };
      receiveInstanceTester(harden(isInstance));
    }
  };

  const makePrototypes = (kind, behavior, options) => {
    const { defendPrototype, insistSameFacets } = env.exos();
    const { interfaceGuard, interfaceGuardKit, thisfulMethods = false } = options;
    const { tag, facets } = kind;
    const style = thisfulMethods ? 'thisful' : 'contextFirst';
    if (facets === undefined) {
      if (interfaceGuardKit !== undefined) {
        throw Error(`Use an interfaceGuard, not interfaceGuardKit, to protect class ${show(tag)}`);
      }
      return [defendPrototype(tag, rep => contextOf(kind, 0, rep), behavior, style, interfaceGuard)];
    }
    if (interfaceGuard !== undefined) {
      throw Error(`Use an interfaceGuardKit, not interfaceGuard, to protect class kit ${show(tag)}`);
    }
    if (interfaceGuardKit !== undefined) insistSameFacets(tag, facets, interfaceGuardKit);
    return facets.map((name, index) =>
      defendPrototype(
        `${tag} ${name}`,
        rep => contextOf(kind, index, rep),
        behavior[name],
        style,
        interfaceGuardKit && interfaceGuardKit[name],
      ),
    );
  };

  const insistBehavior = (tag, behavior, expected) => {
    const actual = facetiousness(behavior);
    if (actual === 'not') throw Error(`invalid behavior specifier for ${show(tag)}`);
    if (actual === expected) return;
    if (expected === 'one')
      throw Error(`behavior of ${show(tag)} has facets: use defineKindMulti or defineDurableKindMulti`);
    throw Error(`behavior of ${show(tag)} has no facets: use defineKind or defineDurableKind`);
  };

  /** The descriptor of a durable kind after this definition; `stateShape` is checked against the former one. */
  const redescribe = (descriptor, proposed, stateShape) => {
    const facets = agreeOnFacets(descriptor, proposed);
    const shape = stateShape === undefined ? undefined : pack(stateShape);
    if (shape !== undefined) insistDurable(shape, (i, text) => `stateShape is not durable: slot ${i} of ${text}`);
    if (descriptor.shape !== undefined) insistCompatibleShape(descriptor.shape, shape, stateShape, parts);
    if (shape !== undefined) ledger.adjustAll(shape, '', 1);
    if (descriptor.shape !== undefined) ledger.adjustAll(descriptor.shape, '', -1);
    descriptor.shape = shape;
    return facets;
  };

  const nextInstance = kind => {
    if (kind.durable && kind.last === undefined) kind.last = Number(stateGet(`n.k${kind.id}`) ?? '0');
    kind.last += 1;
    if (kind.durable) stateSet(`n.k${kind.id}`, `${kind.last}`);
    return kind.last;
  };

  const makeMaker =
    (kind, init, finish) =>
    (...args) => {
      const base = `o+${kind.durable ? 'd' : 'v'}${kind.id}/${nextInstance(kind)}`;
      const initial = init ? init(...args) : {};
      if (typeof initial !== 'object' || initial === null)
        throw Error(`initial data must be object, not ${show(initial)}`);
      records.create(kind, base, initial);
      const made = represent(kind, base);
      if (finish) finish(contextOf(kind, 0, kind.facets === undefined ? made : made[kind.facets[0]]));
      return made;
    };

  const define = (kind, init, behavior, options) => {
    const { stateShape, finish } = options;
    kind.stateShape = stateShape;
    kind.checkValue = makeCheck(stateShape);
    kind.prototypes = makePrototypes(kind, behavior, options);
    provideTesters(kind, options);
    kinds.set(`${kind.durable ? 'd' : 'v'}${kind.id}`, kind);
    return harden(makeMaker(kind, init, finish));
  };

  const namesOf = (behavior, expected) => (expected === 'many' ? Object.keys(behavior).sort() : undefined);

  const checkShape = stateShape => {
    if (stateShape === undefined) return;
    harden(stateShape);
    if (env.passStyleOf(stateShape) !== 'copyRecord')
      throw Error(`A stateShape must be a copyRecord: ${show(stateShape)}`);
    env.patterns().assertPattern(stateShape);
  };

  const defineVirtual = (expected, tag, init, behavior, options = {}) => {
    insistBehavior(tag, behavior, expected);
    checkShape(options.stateShape);
    const id = parts.nextId();
    const facets = namesOf(behavior, expected);
    const kind = { id, tag, facets, durable: false, space: 'v', last: 0, fields: new Map() };
    return define(kind, init, behavior, options);
  };

  const defineDurable = (expected, handle, init, behavior, options = {}) => {
    const id = handleIds.get(handle);
    if (id === undefined) throw Error(`unknown handle ${show(handle)}`);
    const descriptor = JSON.parse(stateGet(`k.${id}`));
    const { tag } = descriptor;
    if (kinds.has(`d${id}`)) throw Error(`redefinition of durable kind ${show(tag)}`);
    insistBehavior(tag, behavior, expected);
    checkShape(options.stateShape);
    const before = JSON.stringify(descriptor);
    const facets = redescribe(descriptor, namesOf(behavior, expected), options.stateShape);
    const kind = { id, tag, facets, durable: true, space: '', last: undefined, fields: new Map() };
    const maker = define(kind, init, behavior, options);
    const after = JSON.stringify(descriptor);
    if (after !== before) stateSet(`k.${id}`, after);
    return maker;
  };

  const rememberHandle = (id, vref) => {
    const handle = env.Far('kind', {});
    handleIds.set(handle, id);
    handles.set(id, handle);
    env.register(vref, handle);
    return handle;
  };

  const makeKindHandle = tag => {
    if (typeof tag !== 'string') throw TypeError(`a kind's tag must be a string, not ${show(tag)}`);
    const id = parts.nextId();
    stateSet(`k.${id}`, JSON.stringify({ tag }));
    return rememberHandle(id, `o+d1/${id}`);
  };

  const canBeDurable = value => {
    const packed = pack(value);
    for (let i = 1; i < packed.length; i += 1) {
      if (!packed[i].startsWith('o-') && !packed[i].startsWith('o+d')) return false;
    }
    return true;
  };

  return {
    api: harden({
      defineKind: (...args) => defineVirtual('one', ...args),
      defineKindMulti: (...args) => defineVirtual('many', ...args),
      defineDurableKind: (...args) => defineDurable('one', ...args),
      defineDurableKindMulti: (...args) => defineDurable('many', ...args),
      makeKindHandle,
      canBeDurable,
    }),
    idOfHandle: handle => handleIds.get(handle),
    handleFor(vref) {
      const id = Number(vref.slice(vref.indexOf('/') + 1));
      if (handles.has(id)) return handles.get(id);
      if (stateGet(`k.${id}`) === undefined) throw Error(`no kind ${vref}`);
      return rememberHandle(id, vref);
    },
    valueFor,
    exists: base => records.has(base),
    facetCount: base => {
      const kind = kindOfBase(base);
      return kind?.facets?.length;
    },
    remove: base => records.remove(spaceOf(base), base),
    letGo() {
      for (const cohort of recent) cohort.isRecent = false;
      recent.clear();
    },
    isPart: value => pieces.has(value),
    insistAllDefined() {
      const missing = [];
      parts.eachKey('k.', key => {
        if (!kinds.has(`d${key.slice(2)}`)) missing.push(JSON.parse(stateGet(key)).tag);
      });
      if (missing.length > 0) throw Error(`defineDurableKind not called for tags: [${missing.join(',')}]`);
    },
    flush: records.flush,
  };
};
