import { makeExo, defineExoClass, defineExoClassKit } from '@endo/exo';
import { M } from '@endo/patterns';

const CounterI = M.interface('Counter', {
  increment: M.call().optional(M.gte(1)).returns(M.number()),
  getCount: M.call().returns(M.number()),
});

const makeCounter = defineExoClass('Counter', CounterI, (start = 0) => ({ count: start }), {
  increment(by = 1) {
    const { state } = this;
    state.count += by;
    return state.count;
  },
  getCount() {
    return this.state.count;
  },
});

const makeValve = defineExoClassKit(
  'Valve',
  {
    handle: M.interface('ValveHandle', { turn: M.call(M.boolean()).returns() }),
    gauge: M.interface('ValveGauge', { isOpen: M.call().returns(M.boolean()) }),
  },
  () => ({ open: false }),
  {
    handle: {
      turn(open) {
        this.state.open = open;
      },
    },
    gauge: {
      isOpen() {
        return this.state.open;
      },
    },
  },
);

const RootI = M.interface('Root', {
  bootstrap: M.call(M.record(), M.record()).returns(M.promise()),
  makeCounter: M.call().optional(M.number()).returns(M.remotable('Counter')),
  makeValve: M.call().returns(M.splitRecord({ handle: M.remotable(), gauge: M.remotable() })),
  sum: M.call(M.arrayOf(M.number())).returns(M.number()),
  later: M.callWhen(M.await(M.string())).returns(M.string()),
  either: M.call(M.or(M.string(), M.bigint())).returns(M.string()),
});

export const buildRootObject = () =>
  makeExo('Root', RootI, {
    async bootstrap(_vats, _services) {
      return 'guarded';
    },
    makeCounter(start) {
      return makeCounter(start);
    },
    makeValve() {
      return harden(makeValve());
    },
    sum(numbers) {
      return numbers.reduce((a, b) => a + b, 0);
    },
    async later(text) {
      return `later ${text}`;
    },
    either(value) {
      return typeof value;
    },
  });
