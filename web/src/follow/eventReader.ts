/** Server-sent events, out of the pieces in which they come. Pure. */

export interface ServerEvent {
  kind: string;
  id: string | null;
  data: string;
}

/** What the server tells at once is far shorter; whatever is longer is no stream of its events. */
const MOST_CHARS = 1024 * 1024;

/** Reads a stream. */
export class EventReader {
  private rest = '';

  /** The events that are whole with this piece. Throws where one does not end. */
  push(piece: string): ServerEvent[] {
    const blocks = (this.rest + piece).split('\n\n');
    this.rest = blocks.pop() ?? '';
    if (this.rest.length > MOST_CHARS) throw new Error('an event does not end');
    return blocks.map(readBlock).filter((event) => event !== null);
  }
}

/** An event; null for what only says how a stream is read. */
function readBlock(block: string): ServerEvent | null {
  let kind: string | null = null;
  let id: string | null = null;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') kind = value;
    else if (name === 'id') id = value;
    else if (name === 'data') data.push(value);
  }
  return kind === null ? null : { kind, id, data: data.join('\n') };
}
