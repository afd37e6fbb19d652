// Talks to an echo server through the gateway with Node's `ws`: node client.js URL PORT ROOTS CLOSE (see client.py)
'use strict';
const fs = require('fs');
const crypto = require('crypto');
const WebSocket = require('ws');

const [url, port, roots, close] = process.argv.slice(2);

function open(url) {
  return new WebSocket(url, ['chat.v1', 'chat.v2'], {
    ca: fs.readFileSync(roots),
    perMessageDeflate: { threshold: 0 },
    lookup: (name, options, done) => (options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)),
  });
}

function once(socket, event) {
  return new Promise((resolve, reject) => {
    socket.once(event, (...values) => resolve(values));
    socket.once('error', reject);
  });
}

async function main() {
  const address = new URL(url);
  address.port = port;
  const socket = open(address.href);
  await once(socket, 'open');
  for (const message of ['hello', 'Grüße, 世界', crypto.randomBytes(900000), 'a'.repeat(300000)]) {
    const answer = once(socket, 'message');
    socket.send(message);
    const [data, isBinary] = await answer;
    if (isBinary !== Buffer.isBuffer(message) || !data.equals(Buffer.from(message))) throw new Error('another message came back');
  }
  const pong = once(socket, 'pong');
  socket.ping();
  await pong;
  const agreed = `subprotocol=${socket.protocol} extensions=${Object.keys(socket._extensions).join(',')}`;
  const closed = once(socket, 'close');
  socket.close(1000);
  if ((await closed)[0] !== 1000) throw new Error('not closed with 1000');

  if (close.startsWith('/')) address.pathname = close;
  const other = open(address.href);
  await once(other, 'open');
  const ordered = once(other, 'close');
  other.send(close);
  const [code, reason] = await ordered;
  if (code !== 4001 || reason.toString() !== 'by order') throw new Error(`closed with ${code} ${reason}`);
  console.log(`ok ${agreed}`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
