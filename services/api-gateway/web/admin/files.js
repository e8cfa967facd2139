// Files that the browser keeps for one, and keys that make a request safe to repeat.

/** Gives text to be kept as a file. */
export function save(name, text, type = 'text/csv;charset=utf-8') {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * The same key for the same text, always: 128 bits of FNV-1a, since `crypto.subtle` is there over HTTPS only. Two texts with
 * one key would be told by the API, which refuses a key that comes with another body.
 */
export function keyOf(text) {
  const prime = (1n << 88n) + 0x13bn;
  let hash = 0x6c62272e07bb014262b821756295c58dn;
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(128, (hash ^ BigInt(byte)) * prime);
  return hash.toString(16).padStart(32, '0');
}
