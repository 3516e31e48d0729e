// Guards: what an interface promises about its methods, made by `M.interface`, `M.call`, `M.callWhen`, `M.await`, `M.raw`. Part
// of `patterns.js`; they are enforced in `exo.js`.

const fail = text => {
  throw Error(text);
};

/** `exported` is for the namespace, including the complete `M`. */
export const makeGuards = (base, tools, { core, M }) => {
  const { harden, makeTagged } = base;
  const { payloadShapes, matches, mustMatch } = core;

  const awaitGuardShape = M.kind('guard:awaitArgGuard');
  const rawGuardShape = M.kind('guard:rawGuard');
  const methodGuardShape = M.kind('guard:methodGuard');
  const interfaceGuardShape = M.kind('guard:interfaceGuard');

  payloadShapes['guard:awaitArgGuard'] = harden({ argGuard: M.pattern() });
  payloadShapes['guard:rawGuard'] = M.record();
  const syncGuard = M.or(rawGuardShape, M.pattern());
  const argGuard = M.or(rawGuardShape, awaitGuardShape, M.pattern());
  const methodPayload = (callKind, guard) =>
    harden({
      callKind,
      argGuards: M.arrayOf(guard),
      optionalArgGuards: M.opt(M.arrayOf(guard)),
      restArgGuard: M.opt(syncGuard),
      returnGuard: syncGuard,
    });
  payloadShapes['guard:methodGuard'] = M.or(methodPayload('sync', syncGuard), methodPayload('async', argGuard));
  payloadShapes['guard:interfaceGuard'] = M.splitRecord(
    { interfaceName: M.string(), methodGuards: M.recordOf(M.string(), methodGuardShape, { numPropertiesLimit: 1000 }) },
    {
      defaultGuards: M.or(M.undefined(), 'passable', 'raw'),
      sloppy: M.boolean(),
      symbolMethodGuards: M.mapOf(M.symbol(), methodGuardShape),
    },
  );

  const make = (tag, payload, shape, label) => {
    const guard = makeTagged(tag, harden(payload));
    mustMatch(guard, shape, label);
    return guard;
  };

  const makeMethodGuardMaker = (callKind, argGuards, optionalArgGuards, restArgGuard) =>
    harden({
      optional: (...guards) => {
        if (optionalArgGuards !== undefined) fail('Can only have one set of optional guards');
        if (restArgGuard !== undefined) fail('optional arg guards must come before rest arg');
        return makeMethodGuardMaker(callKind, argGuards, guards, undefined);
      },
      rest: guard => {
        if (restArgGuard !== undefined) fail('Can only have one rest arg');
        return makeMethodGuardMaker(callKind, argGuards, optionalArgGuards, guard);
      },
      returns: (returnGuard = M.undefined()) =>
        make(
          'guard:methodGuard',
          { callKind, argGuards, optionalArgGuards, restArgGuard, returnGuard },
          methodGuardShape,
          'methodGuard',
        ),
    });

  const makeInterfaceGuard = (interfaceName, guards, options = {}) => {
    const { sloppy = false, defaultGuards = sloppy ? 'passable' : undefined } = options;
    const methodGuards = {};
    const symbolGuards = [];
    for (const name of Reflect.ownKeys(guards)) {
      if (typeof name === 'symbol') symbolGuards.push([name, guards[name]]);
      else methodGuards[name] = guards[name];
    }
    const payload = { interfaceName, methodGuards };
    if (symbolGuards.length > 0) payload.symbolMethodGuards = tools.makeCopyMap(symbolGuards);
    payload.defaultGuards = defaultGuards;
    return make('guard:interfaceGuard', payload, interfaceGuardShape, 'interfaceGuard');
  };

  const fullM = harden({
    ...M,
    interface: makeInterfaceGuard,
    call: (...guards) => makeMethodGuardMaker('sync', guards, undefined, undefined),
    callWhen: (...guards) => makeMethodGuardMaker('async', guards, undefined, undefined),
    await: pattern => make('guard:awaitArgGuard', { argGuard: pattern }, awaitGuardShape, 'awaitArgGuard'),
    raw: () => makeTagged('guard:rawGuard', harden({})),
  });

  const asserter = (shape, label) => value => mustMatch(value, shape, label);
  const assertAwaitArgGuard = asserter(awaitGuardShape, 'awaitArgGuard');
  const assertRawGuard = asserter(rawGuardShape, 'rawGuard');
  const assertMethodGuard = asserter(methodGuardShape, 'methodGuard');
  const assertInterfaceGuard = asserter(interfaceGuardShape, 'interfaceGuard');
  const payloadGetter = check => guard => {
    check(guard);
    return guard.payload;
  };
  const getInterfaceGuardPayload = payloadGetter(assertInterfaceGuard);

  return {
    exported: {
      M: fullM,
      isAwaitArgGuard: value => matches(value, awaitGuardShape),
      assertAwaitArgGuard,
      isRawGuard: value => matches(value, rawGuardShape),
      assertRawGuard,
      assertMethodGuard,
      assertInterfaceGuard,
      getAwaitArgGuardPayload: payloadGetter(assertAwaitArgGuard),
      getMethodGuardPayload: payloadGetter(assertMethodGuard),
      getInterfaceGuardPayload,
      getInterfaceMethodKeys: guard => {
        const { methodGuards, symbolMethodGuards } = getInterfaceGuardPayload(guard);
        const symbols = symbolMethodGuards === undefined ? [] : symbolMethodGuards.payload.keys;
        return harden([...Reflect.ownKeys(methodGuards), ...symbols]);
      },
      getNamedMethodGuards: guard => getInterfaceGuardPayload(guard).methodGuards,
      AwaitArgGuardShape: awaitGuardShape,
      RawGuardShape: rawGuardShape,
      MethodGuardShape: methodGuardShape,
      InterfaceGuardShape: interfaceGuardShape,
    },
  };
};
