// The `console` of a vat: text to the vat's log.
//
// Always: printing never throws, and shows of an error its stack, causes and what its message hides.

import { notesOf, show } from './errors.js';

const isError = v => typeof v === 'object' && v !== null && v instanceof Error;

/** An error with stack, notes and causes, as text. */
export const errorText = (error, depth = 0) => {
  try {
    const head = `${error.name}: ${error.message}`;
    const stack = typeof error.stack === 'string' ? error.stack.trimEnd() : '';
    let text = stack.startsWith(head) ? stack : head + (stack === '' ? '' : `\n${stack}`);
    for (const note of notesOf(error)) text += `\n  note: ${note}`;
    if (depth < 5) {
      if (isError(error.cause)) text += `\n  caused by: ${errorText(error.cause, depth + 1)}`;
      for (const part of error.errors ?? []) if (isError(part)) text += `\n  of: ${errorText(part, depth + 1)}`;
    }
    return text;
  } catch {
    return 'an error that cannot be printed';
  }
};

const item = v => {
  if (typeof v === 'string') return v;
  return isError(v) ? errorText(v) : show(v);
};

const format = args => {
  try {
    let n = 0;
    let text = '';
    if (typeof args[0] === 'string' && args.length > 1 && args[0].includes('%')) {
      n = 1;
      text = args[0].replace(/%([sdifoOjc%])/g, (mark, kind) => {
        if (kind === '%') return '%';
        if (n >= args.length) return mark;
        const arg = args[n];
        n += 1;
        if (kind === 'c') return '';
        return kind === 'd' || kind === 'i' || kind === 'f' ? String(Number(arg)) : item(arg);
      });
    } else if (args.length > 0) {
      text = item(args[0]);
      n = 1;
    }
    for (; n < args.length; n += 1) text += ` ${item(args[n])}`;
    return text;
  } catch {
    return 'something that cannot be printed';
  }
};

/** Makes the console over `log(level, text)`. */
export const makeConsole = log => {
  let indent = '';
  const at = level => (...args) => {
    const text = format(args);
    log(level, indent === '' ? text : indent + text.replaceAll('\n', `\n${indent}`));
  };
  const info = at('info');
  const open = (...args) => {
    if (args.length > 0) info(...args);
    if (indent.length < 40) indent += '  ';
  };
  const counts = new Map();
  return {
    log: info, info, debug: at('debug'), trace: at('debug'), warn: at('warn'), error: at('error'), dir: v => info(v),
    table: v => info(v), group: open, groupCollapsed: open, groupEnd() { indent = indent.slice(2); },
    assert(condition, ...args) { if (!condition) at('error')('Assertion failed:', ...args); },
    count(label = 'default') {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      info(`${label}: ${counts.get(label)}`);
    },
    countReset(label = 'default') { counts.delete(label); },
    time() {}, timeEnd() {}, timeLog() {},
  };
};
