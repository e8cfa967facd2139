// What a page looks like, in three widths and two themes: pictures for people to look at (SCREENSHOTS is their folder), and
// what axe-core finds.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { mkdirSync, readFileSync } from 'node:fs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FOLDER = process.env.SCREENSHOTS ?? 'screenshots';
const WIDTHS = [360, 768, 1440];
mkdirSync(FOLDER, { recursive: true });

/** What is wrong with the page that is shown: what axe-core finds in either theme, and what does not fit into its width. */
export async function look(name, viewer) {
  const found = [];
  await viewer.locator('main').waitFor();
  await viewer.locator('.skeleton').first().waitFor({ state: 'detached' });
  await viewer.waitForLoadState('networkidle').catch(() => {});
  for (const colorScheme of ['light', 'dark']) {
    await viewer.emulateMedia({ colorScheme });
    for (const width of WIDTHS) {
      await viewer.setViewportSize({ width, height: width < 700 ? 780 : 900 });
      await viewer.screenshot({ path: join(FOLDER, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      const wider = await viewer.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wider > 0) found.push(`${name} at ${width}: ${wider} px too wide`);
    }
    await viewer.evaluate(AXE);
    const { violations } = await viewer.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    found.push(...violations.map(({ id, nodes }) => `${name} ${colorScheme}: ${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 120)} ${failureSummary}`).slice(0, 3).join(' | ')}`));
  }
  return found;
}
