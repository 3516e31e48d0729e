// A trader: has purses, pays, and exchanges money with other traders whom it does not trust.
//
// Always: a deal is remembered in the baggage before money goes into it, so that `recover` can bring it to an end
// whatever was lost in a crash.

import { E } from '@endo/far';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';
import { provideDurableMapStore } from '@agoric/vat-data';

export function buildRootObject(_vatPowers, parameters, baggage) {
  const { worth } = parameters; // what one of each currency is worth to this trader
  const deals = provideDurableMapStore(baggage, 'deals');

  const purseOf = currency => {
    const purses = baggage.get('purses');
    if (!Object.hasOwn(purses, currency)) {
      throw Error(`no purse for ${currency}`);
    }
    return purses[currency];
  };

  const depositFacet = currency => E(purseOf(currency)).getDepositFacet();

  const value = ({ currency, amount }) => (worth[currency] ?? 0) * amount;

  const remember = (seat, { give, want }) => {
    const id = baggage.get('nextDeal');
    baggage.set('nextDeal', id + 1);
    deals.init(id, harden({ seat, give, want }));
    return id;
  };

  const fund = async (seat, { currency, amount }) => {
    const vault = await E(seat).vault();
    return E(purseOf(currency)).transfer(amount, vault);
  };

  // Brings a deal to its end, one way or the other, and collects what is ours then.
  const finish = async id => {
    const { seat, give, want } = deals.get(id);
    let status = await E(seat).settle();
    if (status === 'open') {
      status = await E(seat).cancel();
    }
    const { currency } = status === 'settled' ? want : give;
    await E(seat).collect(await depositFacet(currency));
    if (deals.has(id)) {
      deals.delete(id);
    }
    return status;
  };

  return makeDefaultExo('Trader', {
    setup(purses, escrow) {
      baggage.init('purses', purses);
      baggage.init('escrow', escrow);
      baggage.init('nextDeal', 1);
    },

    getDepositFacet(currency) {
      return depositFacet(currency);
    },

    async balances() {
      const purses = Object.entries(baggage.get('purses'));
      const found = purses.map(async ([currency, purse]) => [currency, await E(purse).getBalance()]);
      return harden(Object.fromEntries(await Promise.all(found)));
    },

    async pay(peer, currency, amount) {
      const to = await E(peer).getDepositFacet(currency);
      return E(purseOf(currency)).transfer(amount, to);
    },

    // Proposes an exchange to another trader. Says how it ended: 'settled' or 'cancelled'.
    async trade(peer, give, want) {
      const { left: seat, right: invitation } = await E(baggage.get('escrow')).open(give, want);
      const id = remember(seat, { give, want });
      try {
        await fund(seat, give);
        await E(peer).consider(invitation);
      } catch (error) {
        console.log(`the deal fell through: ${error.message}`);
      }
      return finish(id);
    },

    // An exchange that another trader proposes. The terms are the escrow agent's word, not the other trader's.
    async consider(seat) {
      const terms = await E(baggage.get('escrow')).verify(seat);
      if (value(terms.want) < value(terms.give)) {
        throw Error('not worth it');
      }
      const id = remember(seat, terms);
      await fund(seat, terms.give);
      return finish(id);
    },

    // After a crash: ends the deals that were going on.
    async recover() {
      return Promise.all([...deals.keys()].map(finish));
    },
  });
}
