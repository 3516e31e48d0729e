// An async generator behind an object, consumed by another vat with for-await.

import { E, Far } from '@endo/far';

const makeRemoteIterator = generator =>
  Far('RemoteIterator', {
    next: value => generator.next(value),
    return: value => generator.return(value),
    throw: reason => generator.throw(reason),
  });

const iterate = remote => ({
  [Symbol.asyncIterator]: () => ({
    next: () => E(remote).next(),
    return: () => E(remote).return(),
  }),
});

export function buildRootObject() {
  let closed = 0;

  async function* count(from, to, source) {
    try {
      for (let i = from; i <= to; i += 1) {
        yield harden({ i, note: source === undefined ? 'own' : await E(source).label(i) });
      }
    } finally {
      closed += 1;
    }
  }

  return Far('Generators', {
    bootstrap() {},
    label: i => `#${i}`,
    closed: () => closed,
    count: (from, to, source) => makeRemoteIterator(count(from, to, source)),
    async consume(x, from, to, source) {
      const items = [];
      for await (const { i, note } of iterate(E(x).count(from, to, source))) {
        items.push(`${i} ${note}`);
      }
      return harden(items);
    },
    async consumeSome(x, limit) {
      const items = [];
      for await (const { i } of iterate(E(x).count(1, 1000))) {
        items.push(i);
        if (items.length === limit) break;
      }
      return harden(items);
    },
  });
}
