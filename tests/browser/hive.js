// Runs `hive serve` as its own process for one test.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const REPOSITORY = new URL('../..', import.meta.url).pathname;
const BINARY = process.env.HIVE_BIN ?? join(REPOSITORY, 'target/debug/hive');
export const API_KEY = 'browser-test';
export const API_SECRET = 'a-secret-that-only-this-test-knows-0123456789';

export async function freeTcpPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A port that is free on TCP and on UDP. */
async function freeMediaPort() {
  for (;;) {
    const port = await freeTcpPort();
    const socket = createSocket('udp4');
    const free = await new Promise((resolve) => {
      socket.once('error', () => resolve(false));
      socket.bind(port, '127.0.0.1', () => resolve(true));
    });
    await new Promise((resolve) => socket.close(resolve));
    if (free) return port;
  }
}

export async function freeUdpPort() {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await new Promise((resolve) => socket.once('listening', resolve));
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

/**
 * Starts the server and resolves once `/ready` answers 200. `extra` is more lines of YAML; `settings` override
 * single keys: `{ MEDIA__ADVERTISE: '[127.0.0.2]' }`.
 */
export async function startHive(extra = [], settings = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'hive-browser-'));
  const httpPort = await freeTcpPort();
  const mediaPort = await freeMediaPort();
  const base = `http://127.0.0.1:${httpPort}`;
  const config = join(directory, 'hive.yaml');
  writeFileSync(
    config,
    [
      'http:',
      `  bind: "127.0.0.1:${httpPort}"`,
      'media:',
      `  bind: "127.0.0.1:${mediaPort}"`,
      'auth:',
      '  keys:',
      `    ${API_KEY}: "${API_SECRET}"`,
      'engines:',
      `  assets: "${join(REPOSITORY, '.deps')}"`,
      ...extra,
      '',
    ].join('\n'),
  );
  const overrides = Object.entries(settings).map(([key, value]) => [`HIVE__${key}`, String(value)]);
  const server = spawn(BINARY, ['serve', '--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...Object.fromEntries(overrides) },
  });
  let log = '';
  server.stdout.on('data', (chunk) => (log += chunk));
  server.stderr.on('data', (chunk) => (log += chunk));

  const stop = async () => {
    if (server.exitCode === null) {
      server.kill('SIGTERM');
      await new Promise((resolve) => server.once('exit', resolve));
    }
    rmSync(directory, { recursive: true, force: true });
  };
  const token = (room, identity) =>
    execFileSync(
      BINARY,
      ['token', '--config', config, '--room', room, '--identity', identity, '--publish', '--subscribe'],
      { encoding: 'utf8' },
    ).trim();

  const deadline = Date.now() + 60_000;
  for (;;) {
    if (server.exitCode !== null) throw new Error(`hive serve exited with ${server.exitCode}:\n${log}`);
    const ready = await fetch(`${base}/ready`).then((r) => r.ok, () => false);
    if (ready) return { base, httpPort, mediaPort, token, stop, log: () => log };
    if (Date.now() > deadline) {
      await stop();
      throw new Error(`hive serve was not ready within 60 s:\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
