// A foreign peer: it speaks the protocol named `whatever` as the reference does, on js-libp2p, and holds one conversation
// for each of its hosts. It decides nothing by itself but greetings, acknowledgements and repetitions. Orders are read from
// the standard input, one JSON object a line; each is answered on the standard output by its number:
//
//   {"id":1,"as":"mallory","do":"start","seed":7,"listen":[]}   {"id":1,"ok":{…}} or {"id":1,"failed":"why"}
//
// References stand as they are on the wire, in the frame of whoever reads them. What waits fails after a minute.

import { Conversation } from './conversation.mjs';
import { framesOf, obey, startHost, tell } from './host.mjs';
import { multiaddr } from '@multiformats/multiaddr';
import { randomUUID } from 'node:crypto';

const PROTOCOL = 'whatever';
const HANG_MS = 60_000;
/** The reference says an acknowledgement alone after 50 ms. */
const ACK_MS = 10;

const greeting = (method, incarnationId) => JSON.stringify({ method, params: { incarnationId } });

class Peer {
  host;
  lines = [];
  /** The line on which we speak. */
  current;
  conversation = new Conversation(randomUUID());
  /** Messages that were heard and that somebody has to answer. */
  inbox = [];
  replies = new Map();
  /** Whether it takes what comes. */
  reads = true;
  #waiting = [];
  #ackTimer;

  /** Something has happened: whoever waits looks again. */
  changed() {
    for (const look of this.#waiting.splice(0)) {
      look();
    }
  }

  /** Waits until there is something. */
  async until(what, find) {
    const late = Date.now() + HANG_MS;
    for (;;) {
      const found = find();
      if (found !== undefined && found !== false) {
        return found;
      }
      const left = late - Date.now();
      if (left <= 0) {
        throw Error(`waited in vain for ${what}: ${JSON.stringify(this.state())}`);
      }
      let timer;
      await new Promise(resolve => {
        timer = setTimeout(resolve, left);
        this.#waiting.push(resolve);
      });
      clearTimeout(timer);
    }
  }

  state() {
    const { received, repeated, acked, acks, sent, complaints } = this.conversation;
    const lines = this.lines.map(({ ended, side }) => ended ?? side);
    return { received, repeated, acked, acks, said: sent.length, complaints, lines, inbox: this.inbox };
  }

  /** A stream: its first frame is to be a greeting, or the answer to ours. */
  open(stream, side) {
    const line = { stream, side, frames: framesOf(stream), tail: Promise.resolve() };
    this.lines.push(line);
    this.#read(line);
    this.changed();
    return line;
  }

  write(line, text) {
    this.raw(line, () => line.frames.write(new TextEncoder().encode(text)));
  }

  /** In order; what cannot be written any more is not: whoever reads the line finds out that it has ended. */
  raw(line, write) {
    line.tail = line.tail.then(write).catch(() => undefined);
  }

  async #read(line) {
    try {
      for (;;) {
        const text = new TextDecoder('utf-8', { fatal: true }).decode((await line.frames.read()).subarray());
        await this.until('permission to read', () => this.reads);
        this.#take(line, text);
        this.changed();
      }
    } catch (error) {
      line.ended = String(error.message);
      if (this.current === line) {
        this.current = undefined;
      }
      this.changed();
    }
  }

  #take(line, text) {
    if (line.greeting === undefined) {
      this.#meet(line, text);
      return;
    }
    if (text.includes('"method":"handshake')) {
      this.conversation.complaints.push(`it greets again: ${text}`);
      return;
    }
    const message = this.conversation.hears(text);
    if (message?.method === 'redeemURLReply') {
      const [granted, key, what] = message.params;
      this.replies.set(key, { granted, what });
    } else if (message !== undefined && message.params[0] !== 'notify') {
      this.inbox.push(message);
    }
    if (text.includes('"seq":')) {
      this.#acknowledge();
    }
  }

  #meet(line, text) {
    const { method, params } = JSON.parse(text);
    const expected = line.side === 'listener' ? 'handshake' : 'handshakeAck';
    if (method !== expected || typeof params?.incarnationId !== 'string') {
      this.conversation.complaints.push(`no ${expected}: ${text}`);
    }
    line.greeting = text;
    if (line.side === 'listener') {
      this.write(line, greeting('handshakeAck', this.conversation.incarnation));
    }
    this.conversation.greeted(params.incarnationId);
    this.current = line;
    for (const text of this.conversation.pending()) {
      this.write(line, text);
    }
  }

  #acknowledge() {
    this.#ackTimer ??= setTimeout(() => {
      this.#ackTimer = undefined;
      this.acknowledge();
    }, ACK_MS);
  }

  acknowledge() {
    if (this.current && this.conversation.received > 0 && !this.conversation.withholds) {
      this.write(this.current, JSON.stringify(this.conversation.ack()));
    }
  }

  /** A new message; without a line it waits for one. */
  say(method, params) {
    const { seq, text } = this.conversation.number(method, params);
    if (this.current) {
      this.write(this.current, text);
    }
    return seq;
  }

  line(number) {
    return number === undefined ? this.current : this.lines[number];
  }
}

const peers = new Map();

const deeds = {
  /** A host with an identity of its own. */
  start: async (peer, { seed, listen }) => {
    peer.host = await startHost(seed, listen);
    await peer.host.handle(PROTOCOL, stream => peer.open(stream, 'listener'), { maxInboundStreams: 256 });
    return { peer: peer.host.peerId.toString(), addresses: peer.host.getMultiaddrs().map(String) };
  },
  stop: peer => peer.host.stop(),
  /** Opens a stream. Greets, unless it is told what else to say first: a list of texts. Returns the line. */
  dial: async (peer, { address, first, protocol = PROTOCOL }) => {
    const connection = await peer.host.dial(multiaddr(address));
    const stream = await connection.newStream(protocol, { maxOutboundStreams: 256 });
    const line = peer.open(stream, 'dialler');
    for (const text of first ?? [greeting('handshake', peer.conversation.incarnation)]) {
      peer.write(line, text);
    }
    if (first === undefined) {
      await peer.until('an answer to the greeting', () => line.greeting ?? line.ended);
    }
    return { line: peer.lines.indexOf(line), greeting: line.greeting };
  },
  /** Returns the reference as we write it, or why there is none. */
  redeem: async (peer, { url, key = randomUUID() }) => {
    peer.say('redeemURL', [url, key]);
    const { granted, what } = await peer.until('a redemption', () => peer.replies.get(key));
    return granted ? { granted: what.replace('+', '-') } : { refused: what };
  },
  /**
   * Returns the result's name, as it will be written in the notification. `pad` makes it that much longer; what is `held`
   * has a number, and is not said until the next line or `again`.
   */
  call: (peer, { target, method, args = [], slots = [], pad = 0, held = false }) => {
    const result = peer.conversation.promise();
    const all = pad > 0 ? [...args, 'x'.repeat(pad)] : args;
    const methargs = { body: `#${JSON.stringify([method, all])}`, slots };
    const params = ['message', target, { methargs, result }];
    if (held) {
      peer.conversation.number('deliver', params);
    } else {
      peer.say('deliver', params);
    }
    return result.replace('+', '-');
  },
  promise: peer => peer.conversation.promise(),
  outcome: (peer, { promise }) =>
    peer.until(`the outcome of ${promise}`, () => peer.conversation.settled.get(promise)),
  /** The next message that somebody has to answer. */
  heard: async peer => {
    await peer.until('a message', () => peer.inbox.length > 0);
    return peer.inbox.shift();
  },
  say: (peer, { method, params }) => peer.say(method, params),
  again: (peer, { seq, line }) => peer.write(peer.line(line), peer.conversation.sent[seq - 1]),
  /** Any text as a frame. */
  frame: (peer, { text, line, times = 1 }) => {
    for (let time = 0; time < times; time += 1) {
      peer.write(peer.line(line), text);
    }
  },
  /** Any bytes, in no frame. */
  bytes: (peer, { hex, line }) => {
    const at = peer.line(line);
    peer.raw(at, async () => at.stream.send(Buffer.from(hex, 'hex')));
  },
  acknowledged: (peer, { seq }) => peer.until(`an acknowledgement of ${seq}`, () => peer.conversation.acked >= seq),
  acks: (peer, { count }) => peer.until(`${count} acknowledgements`, () => peer.conversation.acks >= count),
  repeated: (peer, { count }) => peer.until(`${count} repetitions`, () => peer.conversation.repeated >= count),
  received: (peer, { seq }) => peer.until(`message ${seq}`, () => peer.conversation.received >= seq),
  /** Waits until somebody has greeted us, or answered our greeting, on the line of this number. */
  met: (peer, { line }) => peer.until(`a greeting on line ${line}`, () => peer.lines[line]?.greeting),
  metOrEnded: (peer, { line }) =>
    peer.until(`anything on line ${line}`, () => {
      const { greeting, ended } = peer.lines[line];
      return ended ? 'ended' : greeting && 'met';
    }),
  ended: (peer, { line }) => peer.until(`the end of line ${line}`, () => peer.lines[line]?.ended),
  withholds: (peer, { withholds }) => {
    peer.conversation.withholds = withholds;
    peer.acknowledge();
  },
  reads: (peer, { reads }) => {
    peer.reads = reads;
    peer.changed();
  },
  /** One message after the other until the first of them is acknowledged; returns how many that took. */
  stream: async (peer, { method, params, most }) => {
    const first = peer.conversation.sent.length + 1;
    for (let count = 1; count <= most; count += 1) {
      peer.say(method, params);
      await peer.current.tail;
      await new Promise(resolve => { setImmediate(resolve); });
      if (peer.conversation.acked >= first) {
        return count;
      }
    }
    throw Error(`${most} messages without an acknowledgement`);
  },
  /** Closes our direction, as the reference closes. */
  end: async (peer, { line }) => {
    const at = peer.line(line);
    await at.tail;
    await at.stream.close();
  },
  abort: (peer, { line }) => peer.line(line).stream.abort(Error('aborted')),
  /** Loses everything but its identity. */
  forget: peer => {
    const { complaints } = peer.conversation;
    peer.conversation = new Conversation(randomUUID());
    peer.conversation.complaints = complaints;
    peer.current = undefined;
  },
  /** Forgets that it has said anything after this number, as a store from an old copy does. */
  turnBack: (peer, { said }) => {
    peer.conversation.sent.length = said;
  },
  state: peer => peer.state(),
};

await obey(process.stdin, async ({ id, as, do: deed, ...order }) => {
  if (!peers.has(as)) {
    peers.set(as, new Peer());
  }
  // Not awaited: what waits does not keep others waiting.
  (async () => deeds[deed](peers.get(as), order))().then(
    done => tell({ id, ok: done ?? null }),
    error => tell({ id, failed: String(error?.message ?? error) }),
  );
});
process.exit(0);
