// One side of a distributed mint. What it pays leaves its books in the crank that sends it, and enters the other's in the
// crank that takes it: if each message takes effect exactly once, no money is made or lost. It protects itself against
// nothing, so that every message that is lost, repeated or out of order shows.

import { E } from '@endo/far';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject(_vatPowers, _parameters, baggage) {
  if (!baggage.has('balance')) {
    baggage.init('balance', 1_000_000);
    baggage.init('sent', 0);
    baggage.init('received', 0);
    baggage.init('disorder', 0);
  }
  let waiting = [];

  const pay = (count, amount, send = E) => {
    const peer = baggage.get('peer');
    const sent = baggage.get('sent');
    baggage.set('sent', sent + count);
    baggage.set('balance', baggage.get('balance') - count * amount);
    return Array.from({ length: count }, (_, i) => send(peer).deposit(sent + i + 1, amount));
  };

  const bank = makeDefaultExo('Bank', {
    bootstrap() {},

    meet(peer) {
      const learn = baggage.has('peer') ? 'set' : 'init';
      baggage[learn]('peer', peer);
    },

    // Answered when all payments have arrived.
    async pay(count, amount) {
      const numbers = await Promise.all(pay(count, amount));
      return numbers.length;
    },

    // Pays and never asks how it went.
    send(count) {
      pay(count, 1, E.sendOnly);
      return count;
    },

    // Pays and does not wait: `outcomes` tells how it went.
    begin(count) {
      waiting = pay(count, 1).map(paid => E.when(paid, () => 'paid', reason => reason.message));
      return count;
    },

    outcomes() {
      return Promise.all(waiting);
    },

    deposit(number, amount) {
      if (number !== baggage.get('received') + 1) {
        baggage.set('disorder', baggage.get('disorder') + 1);
      }
      baggage.set('received', number);
      baggage.set('balance', baggage.get('balance') + amount);
      return number;
    },

    books() {
      const [balance, sent, received, disorder] = ['balance', 'sent', 'received', 'disorder'].map(key => baggage.get(key));
      return harden({ balance, sent, received, disorder });
    },
  });
  return bank;
}
