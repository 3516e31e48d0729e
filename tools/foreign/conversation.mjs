// One side of a conversation in the protocol `whatever`: numbers, acknowledgements, what is pending, and a watch over what
// the other side may say. What always holds: whatever the reference would choke on is a complaint (a gap, an unknown
// reference, a promise settled twice, two different messages under one number, too much unacknowledged).
//
// Deliberately not here: streams and when to speak (`peer.mjs`); honesty: any text can be said in a number.

/** The reference refuses to have more than this unacknowledged. */
const WINDOW = 200;

const REFERENCE = /^r([op])([+-])([1-9][0-9]*)$/u;

/** What the references in a message are: those that name, and those that only point. */
const referencesIn = (method, params) => {
  if (method === 'redeemURLReply') {
    return params[0] ? [params[2]] : [];
  }
  const [kind, ...rest] = params;
  if (method !== 'deliver' || kind === 'bringOutYourDead') {
    return [];
  }
  if (kind === 'message') {
    const [target, { methargs, result }] = rest;
    return [target, result, ...methargs.slots];
  }
  if (kind === 'notify') {
    return rest[0].flatMap(([promise, , value]) => [promise, ...value.slots]);
  }
  return rest[0];
};

export class Conversation {
  constructor(incarnation) {
    this.incarnation = incarnation;
    this.theirs = undefined;
    this.complaints = [];
    /** Names that we have given out: `o1`, `p1`. Never reused. */
    this.given = new Set();
    /** Whether it acknowledges nothing at present. */
    this.withholds = false;
    this.promises = 0;
    this.begin();
  }

  /** From number 1 on. */
  begin() {
    this.sent = [];
    this.acked = 0;
    this.acks = 0;
    this.said = new Map();
    this.received = 0;
    this.repeated = 0;
    this.ackSaid = 0;
    this.settled = new Map();
  }

  /** The other side has told its incarnation. */
  greeted(incarnation) {
    if (this.theirs !== undefined && this.theirs !== incarnation) {
      this.begin();
    }
    this.theirs = incarnation;
  }

  /** A name for a new promise, as we write it. */
  promise() {
    this.promises += 1;
    return `rp+${this.promises}`;
  }

  /** A new message under the next number; pending from now on. */
  number(method, params) {
    const seq = this.sent.length + 1;
    const text = JSON.stringify({ seq, ...this.ack(), method, params });
    for (const [, kind, number] of text.matchAll(/"r([op])\+([0-9]+)"/gu)) {
      this.given.add(`${kind}${number}`);
    }
    this.sent.push(text);
    return { seq, text };
  }

  /** How far we have heard. */
  ack() {
    if (!this.withholds) {
      this.ackSaid = this.received;
    }
    return this.ackSaid > 0 ? { ack: this.ackSaid } : {};
  }

  /** What was not acknowledged. */
  pending() {
    return this.sent.slice(this.acked);
  }

  /** Takes a frame that is no greeting. Returns a message that is new. */
  hears(text) {
    const { seq, ack, method, params } = JSON.parse(text);
    if (ack !== undefined) {
      if (ack > this.sent.length) {
        this.complaints.push(`it acknowledges ${ack}, and ${this.sent.length} were said`);
      }
      this.acks += 1;
      this.acked = Math.max(this.acked, ack);
    }
    if (seq === undefined) {
      if (ack === undefined) {
        this.complaints.push(`neither number nor acknowledgement: ${text}`);
      }
      return undefined;
    }
    const content = JSON.stringify([method, params]);
    if (seq <= this.received) {
      this.repeated += 1;
      if (this.said.get(seq) !== content) {
        this.complaints.push(`something else under the number ${seq}: ${text}`);
      }
      return undefined;
    }
    if (seq > this.received + 1) {
      this.complaints.push(`${seq} comes after ${this.received}`);
    }
    this.received = seq;
    this.said.set(seq, content);
    if (this.received - this.ackSaid > WINDOW) {
      this.complaints.push(`${this.received} was said, and ${this.ackSaid} acknowledged`);
    }
    this.watch(method, params, text);
    return { method, params };
  }

  watch(method, params, text) {
    for (const reference of referencesIn(method, params)) {
      const [, kind, sign, number] = REFERENCE.exec(reference) ?? [];
      if (kind === undefined || (sign === '-' && !this.given.has(`${kind}${number}`))) {
        this.complaints.push(`${reference} is no reference for us: ${text}`);
      }
    }
    if (params[0] === 'notify') {
      for (const [promise, rejected, value] of params[1]) {
        if (this.settled.has(promise)) {
          this.complaints.push(`${promise} was settled before: ${text}`);
        }
        this.settled.set(promise, { rejected, ...value });
      }
    }
    const wrong = { dropExports: '+', retireExports: '+', retireImports: '-' }[params[0]];
    if (wrong !== undefined && params[1].some(reference => reference[2] === wrong)) {
      this.complaints.push(`a wrong sign: ${text}`);
    }
  }
}
