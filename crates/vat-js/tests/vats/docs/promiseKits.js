import { E } from '@endo/eventual-send';
import { Far } from '@endo/marshal';
import { makePromiseKit } from '@endo/promise-kit';

export async function buildRootObject(vatPowers) {
  await null;
  const { promise: opened, resolve: open, reject: breakDown } = makePromiseKit();
  const visitors = [];

  const door = Far('door', {
    knock: name => {
      visitors.push(name);
      return opened.then(() => `welcome ${name}`);
    },
    visitors: () => harden(visitors.slice()),
  });

  return Far('root', {
    bootstrap: () => {},
    getDoor: () => door,
    getDoorWhenOpen: () => opened.then(() => door),
    open: () => open('open'),
    breakDown: reason => breakDown(Error(reason)),
    visit: async name => {
      const lateDoor = E(door).knock(name);
      return E.when(
        lateDoor,
        text => text,
        error => `no entry: ${error.message}`,
      );
    },
    visitOther: async (root, name) => {
      const answer = E(E(root).getDoorWhenOpen()).knock(name);
      E(root).open();
      return answer;
    },
  });
}
