// An order's status as it changes. Not by `EventSource`, which can send no token.
import { call, open } from './session.js';

const FINAL = new Set(['rejected', 'cancelled', 'completed']);
const PAUSES = [500, 1000, 2000, 5000, 10000];

export const isFinal = ({ status }) => FINAL.has(status);

/** The data of each event of a stream (HTML, 9.2.6). */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const block of blocks) {
        const data = block.split(/\r?\n/).filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart());
        if (data.length > 0) yield data.join('\n');
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

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
      const response = await open('GET', `/orders/${id}/events`, { signal: connection.signal, headers: { accept: 'text/event-stream' } });
      state(true);
      for await (const data of events(response.body)) {
        failures = 0;
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

export const order = (id, signal) => call('GET', `/orders/${id}`, { signal });
