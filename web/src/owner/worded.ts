/** A word of the server's in the page's own; the word itself where a later server uses one that is not known. */
export function worded(known: Readonly<Record<string, string>>, word: string): string {
  return Object.hasOwn(known, word) ? (known[word] ?? word) : word;
}
