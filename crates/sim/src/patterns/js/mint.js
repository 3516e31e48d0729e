// A mint, as `../native/mint.rs`, with its books in the durable state: money moves by payments, and a payment is genuine
// if it can write into the books. Purses and payment objects end with the heap. Withdrawing again under a name gives the
// same payment, and depositing a payment again where it went is no second deposit.

import { E, Far } from '@endo/far';

export function buildRootObject(_vatPowers, _parameters, baggage) {
  const put = (key, value) => (baggage.has(key) ? baggage.set(key, value) : baggage.init(key, value));
  const note = (key, otherwise) => (baggage.has(key) ? baggage.get(key) : otherwise);
  const add = (key, amount) => put(key, note(key, 0) + amount);
  const remove = key => baggage.has(key) && baggage.delete(key);

  const makePayment = id =>
    Far('payment', {
      payFor(number) {
        const account = note(`deposit ${number}`);
        if (account === undefined) {
          return;
        }
        const amount = baggage.get(`payment ${id}`);
        const spent = note(`spent ${id}`);
        if (spent === undefined) {
          add('open', -amount);
          add(`account ${account}`, amount);
          baggage.init(`spent ${id}`, account);
        } else if (spent !== account) {
          throw Error('the payment is spent');
        }
        put(`paid ${number}`, amount);
      },
    });

  const makePurse = account =>
    Far('purse', {
      balance: () => baggage.get(`account ${account}`),
      withdraw(id, amount) {
        if (!baggage.has(`payment ${id}`)) {
          const balance = baggage.get(`account ${account}`);
          if (balance < amount) {
            throw Error(`only ${balance} left`);
          }
          add(`account ${account}`, -amount);
          add('open', amount);
          baggage.init(`payment ${id}`, amount);
        }
        return makePayment(id);
      },
      async deposit(payment) {
        add('deposits', 1);
        const number = baggage.get('deposits');
        baggage.init(`deposit ${number}`, account);
        let paid;
        try {
          await E(payment).payFor(number);
        } finally {
          paid = note(`paid ${number}`);
          remove(`paid ${number}`);
          remove(`deposit ${number}`);
        }
        if (paid === undefined) {
          throw Error('this is no payment of this mint');
        }
        return paid;
      },
    });

  return Far('mint', {
    bootstrap() {},
    tidy() {},
    forget() {},
    purse(name, amount) {
      if (!baggage.has(`account ${name}`)) {
        baggage.init(`account ${name}`, amount);
        put('accounts', harden([...note('accounts', []), name]));
      }
      return makePurse(name);
    },
    total: () =>
      note('accounts', []).reduce((sum, name) => sum + baggage.get(`account ${name}`), note('open', 0)),
  });
}
