// A TCP proxy that a test can cut.
import { connect, createServer } from 'node:net';

/** Listens on a free port of 127.0.0.1, and passes everything on to another one. */
export async function tcpProxy(target) {
  const open = new Set();
  const held = [];
  let mode = 'pass';
  let refused = 0;
  const pass = (client) => {
    const upstream = connect(target, '127.0.0.1');
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      open.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => (open.delete(from), to.destroy()));
    }
  };
  const server = createServer((client) => {
    client.on('error', () => {});
    if (mode === 'pass') return pass(client);
    if (mode === 'hold') return void held.push(client);
    refused += 1;
    client.resetAndDestroy();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const cut = (next) => {
    mode = next;
    for (const socket of open) socket.resetAndDestroy();
  };
  return {
    port: server.address().port,
    /** Cuts every connection; new ones get no answer until it is mended. */
    cutAndHold: () => cut('hold'),
    /** Cuts every connection; new ones are refused until it is mended. */
    cutAndRefuse: () => cut('refuse'),
    /** Connections that wait. */
    held: () => held.length,
    /** Connections that were refused. */
    refused: () => refused,
    /** Lets connections through again, those that wait as well. */
    mend() {
      mode = 'pass';
      for (const client of held.splice(0)) pass(client);
    },
    close() {
      for (const socket of [...open, ...held]) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
