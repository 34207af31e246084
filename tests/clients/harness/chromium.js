// Headless Chromium with LiveKit's client in its tabs, unchanged.
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { inPage } from './page.js';
import { PATIENCE_MS, fits, untilIt } from './until.js';

const LIVEKIT_CLIENT = fileURLToPath(new URL('../node_modules/livekit-client/dist/livekit-client.umd.js', import.meta.url));

/** Serves one empty page on localhost, which Chromium counts as a secure context. */
async function servePage() {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>HIVE client tests</title>');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { url: `http://localhost:${server.address().port}/`, close: () => server.close() };
}

/** Starts Chromium. `microphone` is a WAV file to speak once; without it the microphone beeps. */
export async function startBrowser({ microphone } = {}) {
  const page = await servePage();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--autoplay-policy=no-user-gesture-required',
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
      ...(microphone ? [`--use-file-for-fake-audio-capture=${microphone}%noloop`] : []),
    ],
  });
  return {
    async tab() {
      const context = await browser.newContext();
      return newTab(await context.newPage(), page.url);
    },
    async close() {
      await browser.close();
      page.close();
    },
  };
}

async function newTab(page, url) {
  const log = [];
  page.on('console', (message) => log.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => log.push(`uncaught: ${error}`));
  await page.goto(url);
  await page.addScriptTag({ path: LIVEKIT_CLIENT });
  await page.evaluate(inPage);

  const tab = {
    page,
    log,

    /** Runs a function in the page, where `room` is the client's `Room`. */
    run: (what, argument) => page.evaluate(what, argument),

    /** Joins a room; `options` are `Room`'s. Rejects with the client's own reason. */
    join: (at, token, options = {}) => page.evaluate(([at, token, options]) => window.join(at, token, options), [at, token, options]),

    /** What happened so far. */
    events: () => page.evaluate(() => window.events),

    /** The first event of a type that has these fields, as soon as there is one. */
    async happened(type, pattern = {}, patience = PATIENCE_MS) {
      const find = (events) => events.find((it) => it.type === type && fits(it, pattern));
      return find(await untilIt(`${type} ${JSON.stringify(pattern)}`, tab.events, find, patience));
    },

    /** What the track of somebody received so far, by the browser's statistics. */
    received: (identity, source) => page.evaluate(([identity, source]) => window.received(identity, source), [identity, source]),

    /** Waits until more of somebody's frames were decoded and shown than now. */
    async sees(identity, { frames = 10, source = 'camera' } = {}) {
      const before = await tab.received(identity, source);
      const grows = (now, field) => now[field] >= (before?.[field] ?? 0) + frames;
      return untilIt(`more video of ${identity}`, () => tab.received(identity, source), (now) => now && grows(now, 'framesDecoded') && grows(now, 'framesShown'));
    },

    /** Waits until somebody's microphone brought more audible sound than now. */
    async hears(identity, { source = 'microphone' } = {}) {
      const before = (await tab.received(identity, source))?.totalAudioEnergy ?? 0;
      // The beep of Chromium's fake microphone adds about 1e-3 a second, silence less than 1e-9.
      return untilIt(`sound of ${identity}`, () => tab.received(identity, source), (now) => now?.totalAudioEnergy > before + 1e-5);
    },

    /** Waits for two seconds of somebody's sound in which there is nothing to hear. */
    async hearsNothingOf(identity, { source = 'microphone' } = {}) {
      let start;
      await untilIt(
        `silence of ${identity}`,
        async () => {
          const now = await tab.received(identity, source);
          if (!start || now.totalAudioEnergy > start.totalAudioEnergy + 1e-6) start = now;
          return (now.totalSamplesReceived - start.totalSamplesReceived) / 48000;
        },
        (seconds) => seconds >= 2,
      );
    },

    /** A small copy of somebody's picture: its size, its mean colour, how much it varies, and its pixels. */
    picture: (identity, source = 'camera') => page.evaluate(([identity, source]) => window.picture(identity, source), [identity, source]),

    /** The loudest frequency of somebody's sound, in hertz, and its level in dBFS. */
    pitch: (identity, source = 'microphone') => page.evaluate(([identity, source]) => window.pitch(identity, source), [identity, source]),
  };
  return tab;
}
