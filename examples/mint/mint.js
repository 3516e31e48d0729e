// A mint: currencies, and purses that hold them.
//
// Always: money of a currency comes into being only through its mint facet; every purse's balance lies in the currency's
// ledger; moving money changes two entries of one ledger in one delivery, so that no crash comes between them.
// Elsewhere: exchanging money of different currencies (escrow.js).

import { makeDefaultExo } from '@metamask/kernel-utils/exo';
import { makeScalarBigMapStore, prepareExoClassKit } from '@agoric/vat-data';

const checkAmount = amount => {
  if (!Number.isSafeInteger(amount) || amount <= 0) {
    throw TypeError(`${amount} is not an amount: give a positive whole number`);
  }
};

const move = (ledger, from, to, amount) => {
  if (!ledger.has(to)) {
    throw Error('no such account: give the deposit facet of an open purse of the same currency');
  }
  const balance = ledger.has(from) ? ledger.get(from) : 0;
  if (balance < amount) {
    throw Error(`only ${balance} left in the purse, not ${amount}`);
  }
  ledger.set(from, balance - amount);
  ledger.set(to, ledger.get(to) + amount); // read again: it may be the same purse
};

export function buildRootObject(_vatPowers, _parameters, baggage) {
  // A purse has two facets. Its owner keeps `purse`; whoever has `deposit` can pay into it and nothing else. The ledger
  // knows the genuine deposit facets, so nobody can be paid in a currency of somebody else's making.
  const makePurseKit = prepareExoClassKit(
    baggage,
    'Purse',
    undefined,
    (name, ledger) => ({ name, ledger }),
    {
      purse: {
        getBalance() {
          const { ledger } = this.state;
          const { deposit } = this.facets;
          return ledger.has(deposit) ? ledger.get(deposit) : 0;
        },
        getDepositFacet() {
          return this.facets.deposit;
        },
        transfer(amount, to) {
          checkAmount(amount);
          move(this.state.ledger, this.facets.deposit, to, amount);
          return amount;
        },
        // Moves all that is left and takes the purse off the ledger. Doing it again does nothing.
        close(to) {
          const { ledger } = this.state;
          const { deposit } = this.facets;
          if (!ledger.has(deposit)) {
            return 0;
          }
          if (to === deposit) {
            throw Error('a purse cannot be closed into itself');
          }
          const amount = ledger.get(deposit);
          move(ledger, deposit, to, amount);
          ledger.delete(deposit);
          return amount;
        },
      },
      deposit: {
        getCurrency() {
          return this.state.name;
        },
      },
    },
  );

  const openPurse = (name, ledger, amount) => {
    const { purse, deposit } = makePurseKit(name, ledger);
    ledger.init(deposit, amount);
    return purse;
  };

  const makeCurrencyKit = prepareExoClassKit(
    baggage,
    'Currency',
    undefined,
    name => ({
      name,
      ledger: makeScalarBigMapStore(`${name} ledger`, { durable: true }),
    }),
    {
      mint: {
        issue(amount) {
          checkAmount(amount);
          return openPurse(this.state.name, this.state.ledger, amount);
        },
      },
      issuer: {
        getName() {
          return this.state.name;
        },
        makePurse() {
          return openPurse(this.state.name, this.state.ledger, 0);
        },
        // All money of this currency, wherever it is.
        total() {
          let total = 0;
          for (const balance of this.state.ledger.values()) {
            total += balance;
          }
          return total;
        },
      },
    },
  );

  return makeDefaultExo('Mint', {
    makeCurrency(name) {
      const { mint, issuer } = makeCurrencyKit(name);
      return harden({ mint, issuer });
    },
  });
}
