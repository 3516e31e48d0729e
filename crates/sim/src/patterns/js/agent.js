// An escrow agent, as `../native/agent.rs`: both sides of a deal get what they want, or both get back what they gave.

import { E, Far } from '@endo/far';
import { makePromiseKit } from '@endo/promise-kit';

export function buildRootObject() {
  const purses = new Map();
  const deals = new Map();

  const purse = currency => {
    if (!purses.has(currency)) {
      throw Error(`[LOST] nothing is kept as ${currency}`);
    }
    return purses.get(currency);
  };

  const payOut = async (deal, side, { currency, amount }, name) => {
    const payment = E(purse(currency)).withdraw(`${deal} ${name} ${side.who}`, amount);
    return E(side.party).accept(currency, payment);
  };

  const same = (left, right) => left.currency === right.currency && left.amount === right.amount;

  const close = (deal, sides) => {
    const [left, right] = sides;
    const agreed = same(left.give, right.want) && same(left.want, right.give);
    for (const side of sides) {
      const paid = payOut(deal, side, agreed ? side.want : side.give, agreed ? 'to' : 'back to');
      side.kit.resolve(
        paid.then(() => {
          if (!agreed) {
            throw Error('the terms differ');
          }
          return 'exchanged';
        }),
      );
    }
  };

  return Far('agent', {
    bootstrap() {},
    tidy() {},
    forget() {
      purses.clear();
      for (const { kit } of deals.values()) {
        kit.reject(Error('[LOST] it was forgotten')); // nothing more happens to one that was settled
      }
      deals.clear();
    },
    keep(currency, purse) {
      purses.set(currency, purse);
    },
    async offer(deal, who, party, currency, amount, want, price, payment) {
      const paid = await E(purse(currency)).deposit(payment);
      if (paid !== amount) {
        throw Error('the payment is not what was offered');
      }
      const kit = makePromiseKit();
      const side = { who, party, give: { currency, amount }, want: { currency: want, amount: price }, kit };
      if (deals.has(deal)) {
        close(deal, [deals.get(deal), side]);
      } else {
        deals.set(deal, side);
      }
      return kit.promise;
    },
  });
}
