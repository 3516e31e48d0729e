// Recounts everything that the rows of a vat's state say about each other (the key grammar is in vom.js).

import assert from 'node:assert/strict';

const baseOf = vref => vref.replace(/:.*/, '');

const add = (counts, space, slots) => {
  for (const slot of slots) {
    if (slot.startsWith('~')) continue;
    const key = `${space}r.${baseOf(slot)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
};

const split = key => (key.startsWith('v') ? ['v', key.slice(1)] : ['', key]);

/** Throws if the rows disagree. */
export const audit = ({ rows, holds }) => {
  const counts = new Map();
  const recognized = new Set();
  const weak = new Map();
  const exist = new Set();
  const entries = new Map();
  for (const [key, value] of rows) {
    const [space, plain] = split(key);
    if (plain.startsWith('C.')) {
      const { t, s } = JSON.parse(value);
      weak.set(`${space}${plain.slice(2)}`, t === 3 || t === 5);
      exist.add(`${space === 'v' ? 'v' : 'd'}${t}/${plain.slice(2)}`);
      if (Array.isArray(s)) add(counts, space, s.slice(1));
    }
  }
  if (exist.has('d2/1')) add(counts, '', ['o+d2/1']);
  for (const [key, value] of rows) {
    const [space, plain] = split(key);
    const [kind] = plain.split('.');
    const rest = plain.slice(kind.length + 1);
    if (kind === 'o') {
      exist.add(rest);
      for (const packed of Object.values(JSON.parse(value))) add(counts, space, packed.slice(1));
    } else if (kind === 'c') {
      const id = rest.slice(0, rest.indexOf('.'));
      const inner = rest.slice(id.length + 1);
      assert.ok(weak.has(`${space}${id}`), `${key} of no store`);
      if (inner.startsWith('|')) {
        const vref = inner.slice(1);
        if (weak.get(`${space}${id}`)) recognized.add(`${space}w.${vref}|${id}`);
        else add(counts, space, [vref]);
        assert.ok(rows.has(`${space}c.${id}.r${value.padStart(10, '0')}:${vref}`), `${key} without entry`);
      } else {
        entries.set(`${space}${id}`, (entries.get(`${space}${id}`) ?? 0) + 1);
        add(counts, space, JSON.parse(value).slice(1));
      }
    } else if (kind === 'k') add(counts, '', (JSON.parse(value).shape ?? []).slice(1));
    else if (kind === 'p') {
      if (rest.startsWith('k')) add(counts, '', [value]);
      else for (const packed of JSON.parse(value)) add(counts, '', packed.slice(1));
    }
  }
  const stored = new Map([...rows].filter(([key]) => /^v?r\./.test(key)).map(([key, value]) => [key, Number(value)]));
  assert.deepEqual(new Map([...stored].sort()), new Map([...counts].sort()));
  assert.deepEqual([...rows.keys()].filter(key => /^v?w\./.test(key)).sort(), [...recognized].sort());
  for (const [store, count] of entries) {
    const [space, id] = split(store);
    assert.equal(Number(rows.get(`${space}n.c${id}`).split(',')[0]), count, `entries of ${store}`);
  }
  const alone = [...exist].filter(
    base => base.startsWith('d') && !rows.has(`r.o+${base}`) && !(rows.get(`e.${base}`) ?? '').includes('r'),
  );
  assert.deepEqual([...rows.keys()].filter(key => key.startsWith('z.')).sort(), alone.map(base => `z.${base}`).sort());
  for (const key of rows.keys()) {
    const found = /^v?e\.(.*)/.exec(key);
    if (found && !found[1].startsWith('d1/')) assert.ok(exist.has(found[1]), `${key} of no object`);
  }
  const expected = new Map();
  for (const key of recognized) if (key.startsWith('w.o-')) expected.set(key.slice(2, key.indexOf('|')), 1);
  for (const key of stored.keys()) if (key.startsWith('r.o-')) expected.set(key.slice(2), 2);
  const told = [...holds].filter(([vref]) => vref.startsWith('o'));
  assert.deepEqual(new Map(told.sort()), new Map([...expected].sort()));
};
