// Sets up the example: two currencies, an escrow agent, and two traders with money of one currency each.

import { E } from '@endo/far';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject(_vatPowers, parameters, baggage) {
  const { supply } = parameters;

  return makeDefaultExo('Market', {
    async bootstrap({ mint, escrow, alice, bob }) {
      const [gold, silver] = await Promise.all([
        E(mint).makeCurrency('gold'),
        E(mint).makeCurrency('silver'),
      ]);
      const [aliceGold, aliceSilver, bobGold, bobSilver] = await Promise.all([
        E(gold.mint).issue(supply),
        E(silver.issuer).makePurse(),
        E(gold.issuer).makePurse(),
        E(silver.mint).issue(supply),
      ]);
      // Nobody keeps the mint facets: from now on there is exactly as much money as there is.
      const issuers = harden({ gold: gold.issuer, silver: silver.issuer });
      baggage.init('issuers', issuers);
      await Promise.all([
        E(escrow).setup(issuers),
        E(alice).setup({ gold: aliceGold, silver: aliceSilver }, escrow),
        E(bob).setup({ gold: bobGold, silver: bobSilver }, escrow),
      ]);
      return harden({ mint, escrow, alice, bob });
    },

    async totals() {
      const { gold, silver } = baggage.get('issuers');
      const [goldTotal, silverTotal] = await Promise.all([E(gold).total(), E(silver).total()]);
      return harden({ gold: goldTotal, silver: silverTotal });
    },
  });
}
