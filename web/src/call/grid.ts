/** How tiles of one shape fill a rectangle best. Pixels. */
export interface Grid {
  columns: number;
  tileWidth: number;
  tileHeight: number;
}

export function bestGrid(width: number, height: number, count: number, gap: number, aspect = 16 / 9): Grid {
  let best: Grid = { columns: 1, tileWidth: 0, tileHeight: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(count / columns);
    const roomX = (width - gap * (columns - 1)) / columns;
    const roomY = (height - gap * (rows - 1)) / rows;
    const tileWidth = Math.max(0, Math.floor(Math.min(roomX, roomY * aspect)));
    if (tileWidth > best.tileWidth) {
      best = { columns, tileWidth, tileHeight: Math.floor(tileWidth / aspect) };
    }
  }
  return best;
}
