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
  const unanswered = [];

  const pay = (count, amount, send = E) => {
    const peer = baggage.get('peer');
    const sent = baggage.get('sent');
    baggage.set('sent', sent + count);
    baggage.set('balance', baggage.get('balance') - count * amount);
    return Array.from({ length: count }, (_, i) => send(peer).deposit(sent + i + 1, amount));
  };

  const outcome = paid => E.when(paid, () => 'paid', reason => reason.message);

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
      waiting.push(...pay(count, 1).map(outcome));
      return count;
    },

    // Asks for what is not answered before the other side is told to; returns once all of it was heard there.
    async linger(count) {
      const peer = baggage.get('peer');
      waiting.push(...Array.from({ length: count }, () => outcome(E(peer).later())));
      await E(peer).books();
      return count;
    },

    // Of everything that was begun since this was asked last, in order.
    outcomes() {
      const all = Promise.all(waiting);
      waiting = [];
      return all;
    },

    later() {
      return new Promise(resolve => unanswered.push(resolve));
    },

    // Answers what waits; tells how much it was.
    release() {
      const answered = unanswered.splice(0);
      answered.forEach(resolve => resolve('late'));
      return answered.length;
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
