// Runs `hive serve` as its own process for one test.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const REPOSITORY = new URL('../..', import.meta.url).pathname;
const BINARY = process.env.HIVE_BIN ?? join(REPOSITORY, 'target/debug/hive');
export const API_KEY = 'browser-test';
export const API_SECRET = 'a-secret-that-only-this-test-knows-0123456789';

/** The ports in the line of the log that says that the server is serving. */
function served(log) {
  const line = log.split('\n').find((it) => it.includes('"hive is serving"') && it.endsWith('}'));
  if (!line) return null;
  const { http, media } = JSON.parse(line);
  const port = (address) => Number(address.match(/:(\d+)\]?$/)[1]);
  return { httpPort: port(http), mediaPort: port(media.split(', ')[0]) };
}

/**
 * Starts the server and resolves once `/ready` answers 200. `extra` is more lines of YAML; `settings` override
 * single keys: `{ MEDIA__ADVERTISE: '[127.0.0.2]' }`.
 */
export async function startHive(extra = [], settings = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'hive-browser-'));
  const config = join(directory, 'hive.yaml');
  writeFileSync(
    config,
    [
      'http:',
      // The system picks the ports: one that is picked here may be somebody else's by the time it is bound.
      '  bind: "127.0.0.1:0"',
      'media:',
      '  bind: "127.0.0.1:0"',
      'log:',
      '  format: json',
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
    const ports = served(log);
    const base = `http://127.0.0.1:${ports?.httpPort}`;
    const ready = ports && (await fetch(`${base}/ready`).then((r) => r.ok, () => false));
    if (ready) return { base, ...ports, token, stop, log: () => log };
    if (Date.now() > deadline) {
      await stop();
      throw new Error(`hive serve was not ready within 60 s:\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
