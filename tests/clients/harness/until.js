// Waiting for what real processes and real sockets bring about.

/** Longest wait for anything; a loaded machine takes its time, and nobody waits in vain for long. */
export const PATIENCE_MS = 30_000;

const LOOK_MS = 50;

/** Looks until `look` gives something truthy, and resolves to it; fails with what it gave last. */
export async function until(what, look, patience = PATIENCE_MS) {
  const deadline = Date.now() + patience;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > deadline) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Looks until `holds` is true of what `look` gives, and resolves to that; fails with what was there last. */
export async function untilIt(what, look, holds, patience = PATIENCE_MS) {
  let last;
  try {
    await until(what, async () => holds((last = await look())), patience);
  } catch (error) {
    throw new Error(`${error.message}; last seen: ${JSON.stringify(last)}`);
  }
  return last;
}

/** Whether `it` has every field of `pattern`. */
export function fits(it, pattern) {
  return Object.entries(pattern).every(([key, value]) => JSON.stringify(it[key]) === JSON.stringify(value));
}
