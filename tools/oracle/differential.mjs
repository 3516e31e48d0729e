// Runs every script on real liveslots and on the layer, and compares what their syscalls mean. With --write the agreed
// results go to expectations/<name>.json, which other programs replay (lib/script.mjs says how names are normalised).
import './lib/theirs.mjs';
import { writeFileSync } from 'node:fs';
import { startVat as theirs } from './lib/theirs.mjs';
import { startVat as ours } from './lib/ours.mjs';
import { run } from './lib/script.mjs';
import { scripts } from './scripts.mjs';
import { settle } from './lib/differences.mjs';

const only = process.argv.slice(2).filter(a => !a.startsWith('--'));
const write = process.argv.includes('--write');
let bad = 0;
const ATTEMPTS = 3;
const compare = async (name, script, attempt) => {
  let a; let b;
  try {
    a = (await run(script, theirs)).results;
    b = (await run(script, ours)).results;
  } catch (e) {
    console.log(`${name}: ${e && (e.stack ?? e.message ?? e)}`);
    bad += 1;
    return;
  }
  const differences = [];
  for (let i = 0; i < a.length; i += 1) {
    const [x, y] = settle(a[i], b[i], name, i).map(s => JSON.stringify(s, null, 1));
    if (x !== y) differences.push(`step ${i} ${JSON.stringify(i === 0 ? 'start' : script.steps[i - 1])}\n  liveslots ${JSON.stringify(a[i])}\n  ours      ${JSON.stringify(b[i])}`);
  }
  if (differences.length > 0 && attempt < ATTEMPTS) {
    // Node may collect garbage later than it was asked to, on either side.
    await compare(name, script, attempt + 1);
  } else if (differences.length > 0) {
    bad += 1;
    console.log(`${name}: DIFFERENT\n${differences.join('\n')}`);
  } else {
    if (only.length === 0) console.log(`${name}: ${a.length} steps agree`);
    if (write) {
      const lines = list => `[\n${list.map(x => `    ${JSON.stringify(x)}`).join(',\n')}\n  ]`;
      writeFileSync(new URL(`expectations/${name}.json`, import.meta.url),
        `{\n  "vat": ${JSON.stringify(script.vat)},\n  "steps": ${lines(script.steps)},\n  "expect": ${lines(b)}\n}\n`);
    }
  }
};
for (const [name, script] of Object.entries(scripts)) {
  if (only.length === 0 || only.includes(name)) await compare(name, script, 1);
}
console.log(bad === 0 ? 'all agree' : `${bad} scripts differ`);
process.exitCode = bad === 0 ? 0 : 1;
