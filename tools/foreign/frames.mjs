// A peer on js-libp2p that speaks `whatever`, framed as the reference frames it. It decides nothing: it does what its
// standard input says and tells on its standard output what happens, one JSON object a line in both directions.
//
//   node frames.mjs '{"seed":7,"listen":["/ip4/127.0.0.1/tcp/0"],"protocol":"whatever"}'
//
//   {"do":"dial","address":"/ip4/…/p2p/…"}      opens a stream          → open or failed
//   {"do":"send","line":1,"text":"…"}           a frame
//   {"do":"raw","line":1,"hex":"ff00"}          bytes as they are
//   {"do":"end","line":1}                       half-closes, as the reference closes
//   {"do":"abort","line":1}                     resets

import { framesOf, obey, startHost, tell } from './host.mjs';
import { multiaddr } from '@multiformats/multiaddr';

const { seed, listen, protocol } = JSON.parse(process.argv[2]);
const lines = new Map();

const take = (stream, connection, side) => {
  const line = lines.size + 1;
  const frames = framesOf(stream);
  lines.set(line, { stream, frames });
  tell({ event: 'open', line, side, peer: connection.remotePeer.toString(), limited: connection.limits !== undefined });
  read(line, frames);
};

const read = async (line, frames) => {
  try {
    for (;;) {
      const frame = await frames.read();
      tell({ event: 'frame', line, text: new TextDecoder().decode(frame.subarray()) });
    }
  } catch (error) {
    tell({ event: 'end', line, why: String(error.message) });
  }
};

const node = await startHost(seed, listen);
await node.handle(protocol, (stream, connection) => take(stream, connection, 'listener'));

const tellAddresses = () => {
  const addresses = node.getMultiaddrs().map(String);
  if (addresses.length > 0) {
    tell({ event: 'listening', addresses });
  }
};
node.addEventListener('self:peer:update', tellAddresses);
tell({ event: 'ready', peer: node.peerId.toString() });
tellAddresses();

const deeds = {
  dial: async ({ address }) => {
    try {
      const connection = await node.dial(multiaddr(address));
      take(await connection.newStream(protocol), connection, 'dialler');
    } catch (error) {
      tell({ event: 'failed', address, why: String(error.message) });
    }
  },
  send: ({ line, text }) => lines.get(line).frames.write(new TextEncoder().encode(text)),
  raw: ({ line, hex }) => lines.get(line).stream.send(Buffer.from(hex, 'hex')),
  end: ({ line }) => lines.get(line).stream.close(),
  abort: ({ line }) => lines.get(line).stream.abort(new Error('aborted')),
};

await obey(process.stdin, async (order) => {
  // Dials take their time, and others need not wait for them.
  const deed = deeds[order.do](order);
  if (order.do !== 'dial') {
    await Promise.resolve(deed).catch((error) => tell({ event: 'refused', order, why: String(error.message) }));
  }
});
await node.stop();
