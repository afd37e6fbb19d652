// Opens a WebSocket with Node's `ws` and stays silent: node quiet.js URL PORT ROOTS. Tells `open`, and how it was closed.
'use strict';
const fs = require('fs');
const WebSocket = require('ws');

const [url, port, roots] = process.argv.slice(2);
const address = new URL(url);
address.port = port;
const socket = new WebSocket(address.href, {
  ca: fs.readFileSync(roots),
  lookup: (name, options, done) => (options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)),
});
socket.on('open', () => console.log('open'));
socket.on('error', (error) => console.log(`failed ${error}`));
socket.on('close', (code, reason) => console.log(`closed ${code} ${reason}`));
