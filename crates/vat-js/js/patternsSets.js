// What is done with several sets or bags at once: unions, intersections and the like. Part of `patterns.js`; sets and bags
// themselves are in `patternsKeys.js`.
//
// Always: lists of elements come and go in reverse rank order.

import { show } from './keys.js';

const fail = text => {
  throw Error(text);
};

/** A sorted copy. `sort` would put undefined last whatever the comparison says, so items are wrapped. */
export const sortBy = (items, compare) =>
  Array.from(items, item => ({ item }))
    .sort((left, right) => compare(left.item, right.item))
    .map(({ item }) => item);

/** Walks two lists of [key, value] that are compared as a whole: calls `visit(leftValue, rightValue, key)`. */
export const walkPairs = (leftEntries, rightEntries, makeFullOrder, absent, visit) => {
  const order = makeFullOrder();
  const byKey = (left, right) => order(left[0], right[0]);
  const left = sortBy(leftEntries, byKey);
  const right = sortBy(rightEntries, byKey);
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    const comparison = i === left.length ? 1 : j === right.length ? -1 : byKey(left[i], right[j]);
    const key = comparison <= 0 ? left[i][0] : right[j][0];
    const leftValue = comparison <= 0 ? left[i++][1] : absent;
    const rightValue = comparison >= 0 ? right[j++][1] : absent;
    visit(leftValue, rightValue, key);
  }
};

/** Unions and the like of element lists, sets and bags, all sorted in reverse rank order. */
export const makeSetOperations = (tools, { setCompare, bagCompare }) => {
  const merge = (left, right, choose) => {
    const out = [];
    walkPairs(left, right, tools.makeFullOrder, 0n, (l, r, key) => {
      const count = choose(l, r, key);
      if (count > 0n) out.push([key, count]);
    });
    return out;
  };
  const ones = keys => keys.map(key => [key, 1n]);
  const onKeys = choose => (left, right) =>
    tools.coerceToElements(merge(ones(left), ones(right), choose).map(([key]) => key));
  const disjointUnion = (l, r, key) =>
    l > 0n && r > 0n ? fail(`Sets must not have common elements: ${show(key)}`) : l + r;
  const disjointSubtract = (l, r, key) => (r > l ? fail(`right element ${show(key)} was not in left`) : l - r);
  const max = (l, r) => (l > r ? l : r);
  const min = (l, r) => (l < r ? l : r);

  const elementsUnion = onKeys(max);
  const elementsDisjointUnion = onKeys(disjointUnion);
  const elementsIntersection = onKeys(min);
  const elementsDisjointSubtract = onKeys(disjointSubtract);
  const elementsCompare = (left, right) => setCompare(tools.makeCopySet(left), tools.makeCopySet(right));
  const elementsIsSuperset = (left, right) => elementsCompare(left, right) >= 0;
  const elementsIsDisjoint = (left, right) => elementsIntersection(left, right).length === 0;
  const onSets = operation => (left, right) => {
    const result = operation(tools.getCopySetKeys(left), tools.getCopySetKeys(right));
    return Array.isArray(result) ? tools.makeCopySet(result) : result;
  };
  const onBags = choose => (left, right) =>
    tools.makeCopyBag(merge(tools.getCopyBagEntries(left), tools.getCopyBagEntries(right), choose));
  return {
    elementsIsSuperset,
    elementsIsDisjoint,
    elementsCompare,
    elementsUnion,
    elementsDisjointUnion,
    elementsIntersection,
    elementsDisjointSubtract,
    setIsSuperset: onSets(elementsIsSuperset),
    setIsDisjoint: onSets(elementsIsDisjoint),
    setUnion: onSets(elementsUnion),
    setDisjointUnion: onSets(elementsDisjointUnion),
    setIntersection: onSets(elementsIntersection),
    setDisjointSubtract: onSets(elementsDisjointSubtract),
    bagIsSuperbag: (left, right) => bagCompare(left, right) >= 0,
    bagUnion: onBags((l, r) => l + r),
    bagIntersection: onBags(min),
    bagDisjointSubtract: onBags(disjointSubtract),
  };
};
