// A text as a picture for the camera of another device.
import { generate } from '../vendor/lean-qr.js';
import { svg } from './elements.js';

/** Cameras want so many empty squares around it (ISO/IEC 18004). */
const MARGIN = 4;

/** Dark on white in either theme, as every camera reads it. `label` says what it is to whoever can't see it. */
export function qrCode(text, label) {
  const code = generate(text);
  const squares = [];
  for (let y = 0; y < code.size; y += 1) {
    for (let x = 0; x < code.size; x += 1) if (code.get(x, y)) squares.push(`M${x} ${y}h1v1h-1z`);
  }
  const side = code.size + 2 * MARGIN;
  return svg('svg', { class: 'qr-code', viewBox: `${-MARGIN} ${-MARGIN} ${side} ${side}`, role: 'img', 'aria-label': label, 'shape-rendering': 'crispEdges' },
    svg('path', { d: squares.join('') }));
}
