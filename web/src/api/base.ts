/**
 * Where the server's paths are found. It may stand below a path of its address (https://example.org/calls), whether a proxy takes
 * that path off or not: each page of ours is right below it, so that the page's own address says it.
 */

/** What stands before each path of the server where a page of ours has this path: '' or '/calls'. */
export function prefixOf(pathname: string): string {
  // '//owner' is no other host's.
  const path = pathname.replace(/^\/+/, '/');
  return path.slice(0, path.lastIndexOf('/'));
}

const here = (): string => globalThis.location?.pathname ?? '';

/** Under what address of this site a path of the server is found. */
export const address = (path: string): string => `${prefixOf(here())}${path}`;

/** The same of what the server calls a link: a path of its own, or somebody else's whole address. */
export const resolved = (link: string): string => (/^\/(?!\/)/.test(link) ? address(link) : link);
