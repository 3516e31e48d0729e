// The ids that a vat gives to its exports and promises, and what can be read from an id.
//
// Always: an id is never given twice, by whichever heap. Ids are reserved in the vat's state by blocks, so that most
// deliveries do not write the counters; what is left of a block when a heap ends is skipped.
// Elsewhere: which object or promise has an id (liveslots.js), ids of stored objects (vom.js).

const FIRST_EXPORT = 10;
const FIRST_PROMISE = 5;
const BLOCK = 256;
const IDS_KEY = 'l.ids';

export const isVirtual = vref => {
  const c = vref.charCodeAt(2);
  return c === 0x64 || c === 0x76; // o+d, o+v
};
export const isVpid = vref => vref.charCodeAt(0) === 0x70;
export const isImport = vref => vref.charCodeAt(1) === 0x2d;

/** The counters of a vat. */
export const makeCounters = bridge => {
  let nextExport = 0;
  let nextPromise = 0;
  let exportMark = 0;
  let promiseMark = 0;
  const load = () => {
    const text = bridge.stateGet(IDS_KEY);
    const [e, p] = text === undefined ? [FIRST_EXPORT, FIRST_PROMISE] : text.split(' ').map(Number);
    nextExport = e;
    exportMark = e;
    nextPromise = p;
    promiseMark = p;
  };
  const save = () => bridge.stateSet(IDS_KEY, `${exportMark} ${promiseMark}`);
  return {
    exportId() {
      if (exportMark === 0) load();
      if (nextExport === exportMark) {
        exportMark += BLOCK;
        save();
      }
      nextExport += 1;
      return nextExport - 1;
    },
    promiseId() {
      if (promiseMark === 0) load();
      if (nextPromise === promiseMark) {
        promiseMark += BLOCK;
        save();
      }
      nextPromise += 1;
      return nextPromise - 1;
    },
  };
};
