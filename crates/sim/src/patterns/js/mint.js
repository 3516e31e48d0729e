// A mint, as `../native/mint.rs`, but with its books in the heap: money moves by payments, and a payment is genuine if it
// can write into the books.

import { E, Far } from '@endo/far';

export function buildRootObject() {
  const accounts = new Map();
  const payments = new Map();
  const deposits = new Map();
  let lastDeposit = 0;

  const makePayment = id =>
    Far('payment', {
      payFor(number) {
        const deposit = deposits.get(number);
        if (deposit === undefined) {
          return;
        }
        const payment = payments.get(id);
        if (payment.spent === undefined) {
          payment.spent = deposit.account;
          accounts.set(deposit.account, accounts.get(deposit.account) + payment.amount);
        } else if (payment.spent !== deposit.account) {
          throw Error('the payment is spent');
        }
        deposit.paid = payment.amount;
      },
    });

  const makePurse = account =>
    Far('purse', {
      balance: () => accounts.get(account),
      withdraw(id, amount) {
        if (!payments.has(id)) {
          const balance = accounts.get(account);
          if (balance < amount) {
            throw Error(`only ${balance} left`);
          }
          accounts.set(account, balance - amount);
          payments.set(id, { amount, spent: undefined });
        }
        return makePayment(id);
      },
      async deposit(payment) {
        lastDeposit += 1;
        const number = lastDeposit;
        const deposit = { account, paid: undefined };
        deposits.set(number, deposit);
        try {
          await E(payment).payFor(number);
        } finally {
          deposits.delete(number);
        }
        if (deposit.paid === undefined) {
          throw Error('this is no payment of this mint');
        }
        return deposit.paid;
      },
    });

  return Far('mint', {
    bootstrap() {},
    tidy() {},
    forget() {},
    purse(name, amount) {
      if (!accounts.has(name)) {
        accounts.set(name, amount);
      }
      return makePurse(name);
    },
    total() {
      const open = [...payments.values()].filter(({ spent }) => spent === undefined);
      const amounts = [...accounts.values(), ...open.map(({ amount }) => amount)];
      return amounts.reduce((sum, amount) => sum + amount, 0);
    },
  });
}
