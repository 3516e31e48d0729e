// A peer on js-libp2p that speaks `whatever`, framed as the reference frames it. It decides nothing: it does what its
// standard input says and tells on its standard output what happens, one JSON object a line in both directions.
//
//   node peer.mjs '{"seed":7,"listen":["/ip4/127.0.0.1/tcp/0"],"protocol":"whatever"}'
//
//   {"do":"dial","address":"/ip4/…/p2p/…"}      opens a stream          → open or failed
//   {"do":"send","line":1,"text":"…"}           a frame
//   {"do":"raw","line":1,"hex":"ff00"}          bytes as they are
//   {"do":"end","line":1}                       half-closes, as the reference closes
//   {"do":"abort","line":1}                     resets

import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { lpStream } from '@libp2p/utils';
import { webSockets } from '@libp2p/websockets';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { createInterface } from 'node:readline';

const MAX_FRAME_BYTES = 1_048_576;

const { seed, listen, protocol } = JSON.parse(process.argv[2]);
const lines = new Map();

const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const take = (stream, connection, side) => {
  const line = lines.size + 1;
  const frames = lpStream(stream, { maxDataLength: MAX_FRAME_BYTES });
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

const node = await createLibp2p({
  privateKey: await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(seed)),
  addresses: { listen },
  transports: [tcp(), webSockets(), circuitRelayTransport()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), ping: ping() },
  connectionGater: { denyDialMultiaddr: async () => false },
});
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

for await (const text of createInterface({ input: process.stdin })) {
  const order = JSON.parse(text);
  // Dials take their time, and others need not wait for them.
  const deed = deeds[order.do](order);
  if (order.do !== 'dial') {
    await Promise.resolve(deed).catch((error) => tell({ event: 'refused', order, why: String(error.message) }));
  }
}
await node.stop();
