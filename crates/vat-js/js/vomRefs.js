// Texts of references to stored objects, and which slots may be stored durably. The grammar is in INTERFACE.md.

import { show } from './keys.js';

/** `o+d10/1:2` without its facet. */
export const baseOf = vref => {
  const colon = vref.indexOf(':');
  return colon < 0 ? vref : vref.slice(0, colon);
};

/** The part of the key that tells whose row it is: `v` for what is lost with the heap. */
export const spaceOf = vref => (vref[2] === 'v' ? 'v' : '');

/** True for objects of other vats. */
export const isImport = slot => slot.startsWith('o-');

/** True for slots that may be stored durably. */
export const isDurableSlot = slot => isImport(slot) || slot.startsWith('o+d');

/** Refuses a packed value that cannot be stored durably; `complain(index, text)` makes the message. */
export const insistDurable = (packed, complain) => {
  for (let i = 1; i < packed.length; i += 1) {
    if (!isDurableSlot(packed[i]))
      throw Error(complain(i - 1, show({ body: `#${packed[0]}`, slots: packed.slice(1) })));
  }
};
