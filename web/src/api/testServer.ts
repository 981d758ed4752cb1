/** Servers that tests ask instead of one. Whoever uses them takes them away again: `vi.unstubAllGlobals()`. */
import { vi } from 'vitest';

/** A server that answers everything in the same way; gives what it was asked. */
export function answer(status: number, body: unknown) {
  const spy = vi.fn(async (_path: string, _options: RequestInit) => Response.json(body, { status }));
  vi.stubGlobal('fetch', spy);
  return spy;
}

/** A server whose answers are made by `answers`; what was asked of it is noted as method, path and CSRF token. */
export function server(answers: (asked: string) => [number, unknown]) {
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (path: string, options: RequestInit) => {
    const said = new Headers(options.headers).get('X-CSRF-Token');
    asked.push(`${options.method} ${path} ${said ?? '-'}`);
    const [status, body] = answers(asked.at(-1) ?? '');
    return Response.json(body, { status });
  });
  return asked;
}
