// One server for one test file, and the clients that the test brings; all end with the test.
import { API_KEY, API_SECRET, startHive } from '../../browser/hive.js';
import { startBrowser } from './chromium.js';
import { startPython } from './python.js';
import { token } from './token.js';

/** Few engines: where nobody asks for languages, none is needed. */
const FRUGAL = { ENGINES__POCKETSPHINX__DECODERS: 1, ENGINES__APERTIUM__CHILDREN: 1, ENGINES__ESPEAK__CHILDREN: 1 };

/** Starts the server; `settings` and `extra` as in `startHive`. */
export async function stage(t, settings = {}, extra = []) {
  const hive = await startHive(extra, { ...FRUGAL, ...settings });
  const endings = [() => hive.stop()];
  t.after(async () => {
    for (const end of endings.reverse()) await end();
  });
  const url = hive.base.replace('http', 'ws');
  let browser;

  /** A tab of Chromium with livekit-client in it; all tabs of a test share one Chromium. */
  const tab = async (options = {}) => {
    if (!browser) {
      browser = startBrowser(options);
      endings.push(async () => (await browser).close());
    }
    return (await browser).tab();
  };

  /** A Python process: `peer.py` is LiveKit's client and room service, `whip.py` aiortc. */
  const process = async (script) => {
    const started = await startPython(script);
    endings.push(() => started.close());
    return started;
  };

  return {
    hive,
    url,
    tab,
    process,

    /** A tab that has joined a room; the rest of the options is for the client's `Room`. */
    async chromium(room, identity, { grants, claims, at = url, ...options } = {}) {
      const joined = await tab();
      await joined.join(at, token(room, identity, grants, claims), options);
      return joined;
    },

    /** A Python process that has joined a room. */
    async python(room, identity, { grants, claims, at = url, ...options } = {}) {
      const joined = await process('peer.py');
      await joined.call('connect', { url: at, token: token(room, identity, grants, claims), ...options });
      return joined;
    },

    /** LiveKit's room service in a Python process. */
    async roomService() {
      const service = await process('peer.py');
      await service.call('service', { url: hive.base, key: API_KEY, secret: API_SECRET });
      return service;
    },

    /** Has something end with the test, before what was there before it. */
    ends: (end) => endings.push(end),
  };
}
