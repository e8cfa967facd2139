// Adding what a page shows to the cart, and sorting at a choice.
import * as cart from './cart.js';
import { say } from './elements.js';
import { t } from './texts.js';
import { go } from './navigation.js';

function add(shown, quantity) {
  const { product: id, name, price, currency, category } = shown.dataset;
  const added = cart.add({ id, name, category, price: Number(price), currency }, quantity);
  if (added) say(t('cart.added', name), { label: t('nav.cart'), act: () => go('/shop/cart') });
  else say(t('cart.full'));
}

export function show(main, { signal }) {
  main.addEventListener('click', ({ target }) => {
    const button = target.closest('[data-add]');
    if (button) add(button.closest('[data-product]'), 1);
  }, { signal });
  const buy = main.querySelector('[data-buy]');
  buy?.addEventListener('submit', (event) => {
    event.preventDefault();
    add(event.target.closest('[data-product]'), Number(event.target.elements.quantity.value));
  }, { signal });
  // What is clicked before there is somebody to hear it is lost.
  for (const button of main.querySelectorAll('[data-add], [data-buy] button')) button.disabled = false;
  // On narrow screens the categories are a line that is longer than the screen.
  const current = main.querySelector('.categories [aria-current]');
  const line = current?.closest('ul');
  if (line) line.scrollLeft = current.offsetLeft - (line.clientWidth - current.offsetWidth) / 2;
  const sort = main.querySelector('[data-sort]');
  sort?.addEventListener('change', () => sort.requestSubmit(), { signal });
}
