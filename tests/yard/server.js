// A WebSocket server on Node's `ws`, with compression on: node server.js PORT
'use strict';
const http = require('http');
const { WebSocketServer } = require('ws');

const server = http.createServer((request, response) => response.end('hello from node'));
const sockets = new WebSocketServer({
  server,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (asked) => (asked.has('chat.v2') ? 'chat.v2' : false),
});
sockets.on('connection', (socket) => {
  // ws answers a client's fault with a close frame by itself; without a listener it would end the server as well.
  socket.on('error', () => {});
  socket.on('close', (code) => console.log(`closed ${code}`));
  socket.on('message', (data, isBinary) => {
    if (!isBinary && data.toString() === 'close') socket.close(4001, 'by order');
    else socket.send(data, { binary: isBinary });
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'));
