// An order's status as it changes. Not by `EventSource`, which can send no token.
import { shop } from './session.js';

const FINAL = new Set(['rejected', 'cancelled', 'completed']);
const PAUSES = [500, 1000, 2000, 5000, 10000];

export const isFinal = ({ status }) => FINAL.has(status);

const pause = (time, signal) => new Promise((after) => {
  setTimeout(after, time);
  signal.addEventListener('abort', after);
});

/** Resolves when somebody looks: a browser has few connections for a host, and tabs that nobody sees need none. */
const seen = (signal) => new Promise((resolve) => {
  if (!document.hidden || signal.aborted) return resolve();
  const look = () => { if (!document.hidden) resolve(); };
  document.addEventListener('visibilitychange', look, { signal });
  signal.addEventListener('abort', resolve);
});

/** Calls `told` with the order at each change until it is final, and `state` with whether it is connected. */
export async function follow(id, { signal, told, state }) {
  for (let failures = 0; !signal.aborted;) {
    await seen(signal);
    if (signal.aborted) return;
    const connection = new AbortController();
    const stop = () => connection.abort();
    const hide = () => { if (document.hidden) stop(); };
    signal.addEventListener('abort', stop);
    document.addEventListener('visibilitychange', hide);
    try {
      // The first comes at once, and is the order as it is.
      for await (const { data } of shop.getOrderEvents({ path: { id }, signal: connection.signal })) {
        failures = 0;
        state(true);
        const order = JSON.parse(data);
        told(order);
        if (isFinal(order)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!document.hidden && error.name === 'AbortError' && !connection.signal.aborted) return;
      if (error.status === 404) return;
    } finally {
      stop();
      signal.removeEventListener('abort', stop);
      document.removeEventListener('visibilitychange', hide);
    }
    if (document.hidden) continue;
    state(false);
    await pause(PAUSES[Math.min(failures++, PAUSES.length - 1)], signal);
  }
}
