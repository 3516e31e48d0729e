// What a vat answers when it is asked for its garbage (kernel-semantics §3.4): the imports that it does not hold any more
// and the exports that nobody can mention again.
//
// Always: this is the only delivery whose syscalls depend on what the engine has collected; ids go out sorted.
// Elsewhere: what makes an id suspect (liveslots.js, when a weak reference ends or the kernel drops an export), what
// stored data holds (vom.js).

import { isImport, isVirtual } from './ids.js';

const NativeSet = Set;

/** Makes `bringOutYourDead`. `tables` are the dispatcher's own; `getVom` because stored data is made after this. */
export const makeGarbage = ({ bridge, tables, valOf, liveWeak, getVom }) => {
  const { weak, dropped, droppedImports, maybeDead, maybeUnrecognized } = tables;

  const take = set => {
    const list = [...set].sort();
    set.clear();
    return list;
  };

  const examineDead = (vref, found) => {
    const vom = getVom();
    if (isImport(vref)) {
      if (liveWeak(vref) !== undefined || vom.isReachable(vref)) return;
      if (!droppedImports.has(vref)) found.dropImports.add(vref);
      if (vom.isRecognizable(vref)) droppedImports.add(vref);
      else {
        droppedImports.delete(vref);
        found.retireImports.add(vref);
      }
    } else if (isVirtual(vref)) {
      const retired = [];
      vom.collect(vref, retired);
      for (const each of retired) found.retireExports.add(each);
    } else if (dropped.has(vref) && valOf(vref) === undefined) {
      dropped.delete(vref);
      found.retireExports.add(vref);
      vom.forgetExport?.(vref);
    }
  };

  const bringOutYourDead = async () => {
    const vom = getVom();
    const found = { dropImports: new NativeSet(), retireImports: new NativeSet(), retireExports: new NativeSet() };
    vom.letGo();
    do {
      await bridge.gc();
      await undefined; // finalizers are jobs: those that the collection queued run before this goes on
      await undefined;
      for (const vref of take(maybeDead)) examineDead(vref, found);
      for (const vref of take(maybeUnrecognized)) {
        // Not in the table: dropped before, perhaps by the kernel when a heap was lost. In it: alive, or soon maybe dead.
        if (!isImport(vref) || maybeDead.has(vref) || weak.has(vref)) continue;
        if (!vom.isReachable(vref) && !vom.isRecognizable(vref)) {
          droppedImports.delete(vref);
          found.retireImports.add(vref);
        }
      }
    } while (maybeDead.size > 0 || maybeUnrecognized.size > 0);
    for (const kind of ['dropImports', 'retireImports', 'retireExports']) {
      if (found[kind].size > 0) bridge[kind]([...found[kind]].sort());
    }
    for (const vref of found.retireImports) vom.forgetImport?.(vref);
  };

  return bringOutYourDead;
};
