// The cart: kept in this browser, the same for all its tabs.
const KEY = 'shop.cart';
/** An order has 100 lines at most, and each is looked up when the cart is opened. */
export const MOST_PRODUCTS = 50;
export const MOST_OF_ONE = 999;

const isLine = (line) =>
  typeof line?.id === 'string' && Number.isInteger(line.quantity) && line.quantity > 0 &&
  typeof line.price === 'number' && typeof line.currency === 'string';

/** What is in it: `{id, name, category, price, currency, quantity}`, the price as it was seen. */
export function lines() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(kept) ? kept.filter(isLine) : [];
  } catch {
    return [];
  }
}

function keep(wanted) {
  localStorage.setItem(KEY, JSON.stringify(wanted));
  dispatchEvent(new Event('cart'));
}

addEventListener('storage', ({ key }) => { if (key === KEY) dispatchEvent(new Event('cart')); });

export const count = () => lines().reduce((total, { quantity }) => total + quantity, 0);

/** Whether there was room for it. */
export function add(product, quantity = 1) {
  const wanted = lines();
  const there = wanted.find(({ id }) => id === product.id);
  if (there) Object.assign(there, product, { quantity: Math.min(there.quantity + quantity, MOST_OF_ONE) });
  else if (wanted.length >= MOST_PRODUCTS) return false;
  else wanted.push({ ...product, quantity });
  keep(wanted);
  return true;
}

export function change(id, changes) {
  keep(lines().map((line) => (line.id === id ? { ...line, ...changes } : line)));
}

export function remove(id) {
  keep(lines().filter((line) => line.id !== id));
}

/** Takes out what was bought; what was added meanwhile stays. */
export function takeOut(bought) {
  const left = lines().map((line) => {
    const items = bought.find(({ product_id: id }) => id === line.id);
    return { ...line, quantity: line.quantity - (items?.quantity ?? 0) };
  });
  keep(left.filter(({ quantity }) => quantity > 0));
}
