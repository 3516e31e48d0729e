// One link of the chain: knows its name, the next link, and how often it was asked for it.

import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject(_vatPowers, parameters, baggage) {
  if (!baggage.has('visits')) {
    baggage.init('visits', 0);
  }

  return makeDefaultExo('Link', {
    setNext(next) {
      baggage.init('next', next);
    },
    getNext() {
      baggage.set('visits', baggage.get('visits') + 1);
      return baggage.get('next');
    },
    getName() {
      return parameters.name;
    },
    getVisits() {
      return baggage.get('visits');
    },
  });
}
