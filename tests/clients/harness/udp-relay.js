// A UDP relay that a test can cut.
import { createSocket } from 'node:dgram';

/**
 * Listens on an address of the loopback network and passes datagrams on to 127.0.0.1, same port. The server sees
 * another source address for each client, as behind a NAT.
 */
export async function udpRelay(address, port) {
  const outside = createSocket('udp4').bind(port, address);
  await new Promise((resolve, reject) => outside.once('listening', resolve).once('error', reject));
  const clients = new Map();
  let cut = false;
  let passed = 0;
  let dropped = 0;
  const pass = (forward) => {
    if (cut) return void (dropped += 1);
    passed += 1;
    forward();
  };
  // A token bucket that holds a quarter of a second of the rate to clients.
  let bytesPerSecond = Infinity;
  let [tokens, filled] = [0, 0];
  const fits = (bytes) => {
    if (bytesPerSecond === Infinity) return true;
    const now = performance.now();
    tokens = Math.min(bytesPerSecond / 4, tokens + ((now - filled) / 1000) * bytesPerSecond);
    filled = now;
    if (tokens < bytes) return false;
    tokens -= bytes;
    return true;
  };
  const inside = ({ address, port: from }) => {
    const key = `${address}:${from}`;
    if (!clients.has(key)) {
      const socket = createSocket('udp4').bind(0, '127.0.0.1');
      socket.on('message', (datagram) => {
        if (!fits(datagram.length)) return void (dropped += 1);
        pass(() => outside.send(datagram, from, address));
      });
      clients.set(key, socket);
    }
    return clients.get(key);
  };
  outside.on('message', (datagram, from) => pass(() => inside(from).send(datagram, port, '127.0.0.1')));
  return {
    cut: () => void (cut = true),
    mend: () => void (cut = false),
    /** Lets no more than so many bits a second through to clients. */
    limit: (bitsPerSecond) => void (bytesPerSecond = bitsPerSecond / 8),
    passed: () => passed,
    dropped: () => dropped,
    close() {
      outside.close();
      for (const socket of clients.values()) socket.close();
    },
  };
}
