import { Far } from '@endo/far';
import type { Baggage } from '@agoric/vat-data';

import { shout } from './text.ts';
import type { Style } from './text.ts';

type Greeting = { text: string; count: number };
interface Parameters {
  style?: Style;
}

enumLike('unused' as const);
function enumLike<Name extends string>(_name: Name): void {}

class Book {
  #seen: Map<string, number> = new Map();

  readonly title: string;

  constructor(title: string) {
    this.title = title;
  }

  next(name: string): number {
    const count = (this.#seen.get(name) ?? 0) + 1;
    this.#seen.set(name, count);
    return count;
  }
}

export function buildRootObject(_vatPowers: unknown, parameters: Parameters | undefined, baggage: Baggage) {
  const book = new Book('guests');
  const style: Style = parameters?.style ?? 'plain';
  const greet = <T extends string>(name: T): Greeting => ({
    text: style === 'loud' ? shout(`hello ${name}`) : `hello ${name}`,
    count: book.next(name),
  });

  return Far('Greeter', {
    bootstrap(): void {},
    hello(name: string): Greeting {
      const greeting = greet(name)!;
      if (!baggage.has('last')) baggage.init('last', name);
      else baggage.set('last', name);
      return harden(greeting satisfies Greeting);
    },
    last: (): string => baggage.get('last') as string,
    title: () => book.title,
  });
}
