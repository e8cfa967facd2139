import { randomUUID } from 'node:crypto';

/** A shop as its keeper sees it: by the API. */
export class Shopkeeper {
  constructor(url, token) {
    this.url = url;
    this.token = token;
  }

  static async logIn(url, credentials) {
    const { token } = await new Shopkeeper(url).call('POST', '/auth/login', credentials);
    return new Shopkeeper(url, token);
  }

  async call(method, path, body, headers = {}) {
    const response = await fetch(this.url + path, {
      method,
      body: body && JSON.stringify(body),
      headers: { ...(body && { 'content-type': 'application/json' }), ...(this.token && { authorization: `Bearer ${this.token}` }), ...headers },
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? undefined : response.json();
  }

  async add(product, key = randomUUID()) {
    return this.call('POST', '/products', { currency: 'EUR', price: 10, stock: 100, ...product }, { 'idempotency-key': key });
  }
}
