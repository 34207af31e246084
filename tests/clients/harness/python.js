// A Python process that is told what to do, and tells what happens, in lines of JSON.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { PATIENCE_MS, fits, until } from './until.js';

const REPOSITORY = new URL('../../..', import.meta.url).pathname;
const PYTHON = process.env.CLIENTS_PYTHON ?? `${REPOSITORY}.deps/clients/bin/python`;

/** Starts one of the scripts in `python/`. */
export async function startPython(script) {
  const path = new URL(`../python/${script}`, import.meta.url).pathname;
  const child = spawn(PYTHON, ['-u', path], { stdio: ['pipe', 'pipe', 'pipe'] });
  const calls = new Map();
  const events = [];
  let stderr = '';
  let ended = false;
  let number = 0;
  const fail = (why) => {
    ended = true;
    for (const { reject } of calls.values()) reject(new Error(`${script} ${why}:\n${stderr}`));
    calls.clear();
  };
  child.on('error', (error) => fail(error.message));
  child.on('exit', (code, signal) => fail(`exited with ${code ?? signal}`));
  child.stdin.on('error', () => {});
  child.stderr.on('data', (chunk) => (stderr += chunk));
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line);
    if (message.id === undefined) return events.push(message);
    const call = calls.get(message.id);
    calls.delete(message.id);
    if (message.error === undefined) call?.resolve(message.result);
    else call?.reject(Object.assign(new Error(message.error.message), message.error));
  });

  return {
    events,
    stderr: () => stderr,

    /** Calls a function of the script; what it raises is thrown, with its fields. */
    call(name, args = {}) {
      if (ended) return Promise.reject(new Error(`${script} has ended:\n${stderr}`));
      const id = number++;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          calls.delete(id);
          reject(new Error(`${script} did not answer ${name}:\n${stderr}`));
        }, PATIENCE_MS);
        const settle = (how) => (value) => (clearTimeout(timer), how(value));
        calls.set(id, { resolve: settle(resolve), reject: settle(reject) });
        child.stdin.write(`${JSON.stringify({ id, call: name, args })}\n`);
      });
    },

    /** The first event of a type that has these fields, as soon as there is one. */
    happened: (type, pattern = {}, patience = PATIENCE_MS) =>
      until(`${type} ${JSON.stringify(pattern)}`, () => events.find((it) => it.type === type && fits(it, pattern)), patience).catch(
        (error) => {
          throw new Error(`${error.message}; ${script} saw ${JSON.stringify(events.slice(-40))}\n${stderr}`);
        },
      ),

    async close() {
      if (ended) return;
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await exited;
      clearTimeout(timer);
    },
  };
}
