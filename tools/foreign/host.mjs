// A host on js-libp2p, set up as the reference sets it up: TCP, WebSocket, relays, Noise, Yamux, identify, ping, and
// frames with a length in front. Deliberately not here: what is said in the frames (`peer.mjs`, `frames.mjs`).

import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { lpStream } from '@libp2p/utils';
import { webSockets } from '@libp2p/websockets';
import { createLibp2p } from 'libp2p';

/** No frame of the reference is longer. */
export const MAX_FRAME_BYTES = 1_048_576;

/** A host whose identity follows from a number below 256. */
export const startHost = async (seed, listen) =>
  createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(seed)),
    addresses: { listen },
    transports: [tcp(), webSockets(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping() },
    connectionGater: { denyDialMultiaddr: async () => false },
  });

/** The frames of a stream. */
export const framesOf = stream => lpStream(stream, { maxDataLength: MAX_FRAME_BYTES });

/** Carries out orders, one JSON object a line of the standard input, until it ends. */
export const obey = async (input, carryOut) => {
  const { createInterface } = await import('node:readline');
  for await (const text of createInterface({ input })) {
    await carryOut(JSON.parse(text));
  }
};

/** Tells something on the standard output, one JSON object a line. */
export const tell = event => process.stdout.write(`${JSON.stringify(event)}\n`);
