// A believable catalogue: 8 categories with three products each. `node catalogue.mjs URL` puts it into a shop, with the
// admin's ADMIN_EMAIL and ADMIN_PASSWORD in the environment.
import { pathToFileURL } from 'node:url';
import { Shopkeeper } from './shopkeeper.mjs';

const CATALOGUE = {
  Tableware: [
    ['Espresso cup, speckled', 14.5, 38, 'Thrown by hand in small batches, with a glaze that turns out a little different each time.\nHolds 80 ml. Safe in the dishwasher.'],
    ['Breakfast mug', 19, 120, 'A mug for people who mean it: 400 ml, a handle for three fingers, and a foot that stays cool.'],
    ['Serving bowl, large', 48, 9, 'Wide enough for a salad for six. Stoneware, fired twice.'],
  ],
  'Coffee & tea': [
    ['House blend, 500 g', 13.9, 240, 'Chocolate, hazelnut, very little acid. Roasted on Tuesdays.'],
    ['Sencha from Yame, 100 g', 17.5, 44, 'First flush, steamed briefly. Bright green in the cup.'],
    ['Storage jar with oak lid', 26, 3, 'Keeps beans fresh and looks good doing it. For 500 g.'],
  ],
  Lighting: [
    ['Reading lamp “Otto”', 129, 17, 'A linen shade on a turned oak stem. Dimmable, with a cord of two metres.'],
    ['Bedside lamp “Ida”', 89, 25, 'The small sister of Otto. Warm light, a switch that one finds in the dark.'],
    ['Pendant lamp “Nils”', 189, 0, 'Spun from one sheet of steel, powder-coated outside, brass inside.'],
  ],
  Textiles: [
    ['Wool blanket, herringbone', 119, 31, 'Pure new wool, woven in a mill that has done nothing else since 1911. 140 by 200 cm.'],
    ['Linen tea towels, set of 3', 28, 77, 'They dry glasses without a trace, and get better with every wash.'],
    ['Cushion cover, corduroy', 34, 52, 'Wide wale, hidden zip. 50 by 50 cm, without the filling.'],
  ],
  Plants: [
    ['Monstera in a clay pot', 42, 14, 'About 50 cm high. Likes a bright corner and a drink once a week.'],
    ['Herb garden for the sill', 24.9, 60, 'Basil, thyme and chives, sown in peat-free soil.'],
    ['Rubber tree, small', 29, 4, 'Hard to kill. We have tried.'],
  ],
  'Books & paper': [
    ['Notebook, dotted, A5', 16, 200, '160 pages that lie flat, and take a fountain pen.'],
    ['A field guide to slow cooking', 32, 22, 'Ninety recipes that need time and little else.'],
    ['Letter set, cotton paper', 22.5, 35, '12 sheets and 12 envelopes, for what should not be a message.'],
  ],
  'Bath & care': [
    ['Olive oil soap', 7.9, 310, 'Cut by hand, dried for six months. Smells of nothing much, which is the point.'],
    ['Bath salt, rosemary', 15, 64, 'From the marshes of Guérande, with rosemary from the garden behind the workshop.'],
    ['Hand cream in a glass bottle', 18.5, 5, 'Shea, almond, beeswax. 100 ml.'],
  ],
  'Ceramics & vases': [
    ['Vase “Lund”', 64, 12, 'A quiet shape for a loud bunch. 28 cm high.'],
    ['Bud vase, set of two', 29, 48, 'For the one flower that was left over.'],
    ['Floor vase, raw clay', 149, 2, 'Unglazed outside, so that it ages. 55 cm high, for branches and dried grasses.'],
  ],
};

/** Adds what is not there yet; the ids by name. */
export async function seed(url, credentials) {
  const keeper = await Shopkeeper.logIn(url, credentials);
  const products = Object.entries(CATALOGUE).flatMap(([category, entries]) =>
    entries.map(([name, price, stock, description], index) => ({ category, name, price, stock, description, index })));
  // In the order of a shop that has grown: the newest are of every category.
  products.sort((one, other) => one.index - other.index);
  const ids = {};
  for (const { category, name, price, stock, description } of products) {
    const sku = name.toUpperCase().normalize('NFKD').replace(/[^A-Z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 32);
    const { id } = await keeper.add({ category, name, price, stock, description, sku, currency: 'EUR' }, `catalogue-${sku}`);
    ids[name] = id;
  }
  return ids;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { ADMIN_EMAIL: email, ADMIN_PASSWORD: password } = process.env;
  const ids = await seed(process.argv[2], { email, password });
  console.log(`${Object.keys(ids).length} products`);
}
