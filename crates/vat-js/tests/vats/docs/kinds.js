import { Far } from '@endo/far';

const { makeKindHandle, defineDurableKind, defineDurableKindMulti, makeScalarBigMapStore } = VatData;

export function buildRootObject(_vatPowers, _parameters, baggage) {
  const provide = (key, make) => {
    if (!baggage.has(key)) {
      baggage.init(key, make());
    }
    return baggage.get(key);
  };

  const pointHandle = provide('pointHandle', () => makeKindHandle('Point'));
  const makePoint = defineDurableKind(
    pointHandle,
    (x, y) => ({ x, y }),
    {
      move: ({ state, self }, dx, dy) => {
        state.x += dx;
        state.y += dy;
        return self;
      },
      where: ({ state }) => harden([state.x, state.y]),
    },
  );

  const jarHandle = provide('jarHandle', () => makeKindHandle('Jar'));
  const makeJar = defineDurableKindMulti(
    jarHandle,
    () => ({ sweets: 0 }),
    {
      filler: {
        fill: ({ state }, n) => {
          state.sweets += n;
        },
      },
      eater: {
        eat: ({ state, facets }) => {
          if (state.sweets === 0) {
            throw Error('the jar is empty');
          }
          state.sweets -= 1;
          return harden({ left: state.sweets, eater: facets.eater });
        },
      },
    },
    { finish: ({ state, facets }) => facets.filler.fill(state.sweets + 1) },
  );

  const things = provide('things', () => makeScalarBigMapStore('things', { durable: true }));

  return Far('root', {
    bootstrap() {
      things.init('point', makePoint(1, 2));
      const { filler, eater } = makeJar();
      things.init('filler', filler);
      things.init('eater', eater);
    },
    move: (dx, dy) => things.get('point').move(dx, dy).where(),
    point: () => things.get('point'),
    fill: n => things.get('filler').fill(n),
    eat: () => things.get('eater').eat().left,
    names: () => harden([...things.keys()]),
  });
}
