// An escrow agent: two parties who do not trust each other exchange money through it; both trust only it and the mint.
//
// Always: a deal is open until it is settled or cancelled, once and for ever; until then nothing leaves its vaults, and
// afterwards each vault can be emptied only by the one to whom it belongs. Every step may be repeated, because an answer
// can be lost in a crash.

import { E } from '@endo/far';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';
import { prepareExoClassKit, provideDurableWeakMapStore } from '@agoric/vat-data';

const settle = async state => {
  if (state.status === 'open') {
    const [left, right] = await Promise.all([
      E(state.leftVault).getBalance(),
      E(state.rightVault).getBalance(),
    ]);
    // Meanwhile the vaults can only have become fuller, but the deal may have been cancelled.
    const funded = left >= state.leftGives.amount && right >= state.rightGives.amount;
    if (state.status === 'open' && funded) {
      state.status = 'settled';
    }
  }
  return state.status;
};

const cancel = state => {
  if (state.status === 'open') {
    state.status = 'cancelled';
  }
  return state.status;
};

const collect = (state, ownVault, otherVault, to) => {
  switch (state.status) {
    case 'settled':
      return E(otherVault).close(to);
    case 'cancelled':
      return E(ownVault).close(to);
    default:
      throw Error('the deal is still open: settle or cancel it first');
  }
};

export function buildRootObject(_vatPowers, _parameters, baggage) {
  // Knows the genuine seats, so that nobody can be lured to a seat at somebody else's table.
  const seats = provideDurableWeakMapStore(baggage, 'seats');

  const makeDealKit = prepareExoClassKit(
    baggage,
    'Deal',
    undefined,
    (leftGives, leftVault, rightGives, rightVault) => ({
      status: 'open',
      leftGives,
      leftVault,
      rightGives,
      rightVault,
    }),
    {
      left: {
        terms() {
          return harden({ give: this.state.leftGives, want: this.state.rightGives });
        },
        vault() {
          return E(this.state.leftVault).getDepositFacet();
        },
        settle() {
          return settle(this.state);
        },
        cancel() {
          return cancel(this.state);
        },
        collect(to) {
          return collect(this.state, this.state.leftVault, this.state.rightVault, to);
        },
      },
      right: {
        terms() {
          return harden({ give: this.state.rightGives, want: this.state.leftGives });
        },
        vault() {
          return E(this.state.rightVault).getDepositFacet();
        },
        settle() {
          return settle(this.state);
        },
        cancel() {
          return cancel(this.state);
        },
        collect(to) {
          return collect(this.state, this.state.rightVault, this.state.leftVault, to);
        },
      },
    },
  );

  const makeVault = currency => {
    const issuers = baggage.get('issuers');
    if (!Object.hasOwn(issuers, currency)) {
      throw Error(`${currency} is not traded here`);
    }
    return E(issuers[currency]).makePurse();
  };

  return makeDefaultExo('Escrow', {
    setup(issuers) {
      baggage.init('issuers', issuers);
    },

    // `give` and `want` are `{ currency, amount }`. The caller sits left and sends the right seat to the other party.
    async open(give, want) {
      const [leftVault, rightVault] = await Promise.all([
        makeVault(give.currency),
        makeVault(want.currency),
      ]);
      const { left, right } = makeDealKit(give, leftVault, want, rightVault);
      seats.init(left, 'left');
      seats.init(right, 'right');
      return harden({ left, right });
    },

    // The terms of a seat that the caller was offered, if it is one of ours.
    verify(seat) {
      if (!seats.has(seat)) {
        throw Error('this is not a seat at a deal of ours');
      }
      return seat.terms();
    },
  });
}
