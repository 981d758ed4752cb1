import { expect, it } from 'vitest';
import { bestGrid } from './grid';

it('stacks two people on a phone and puts them side by side on a desk', () => {
  expect(bestGrid(390, 600, 2, 8).columns).toBe(1);
  expect(bestGrid(1200, 500, 2, 8).columns).toBe(2);
});

it('never overflows, whatever the numbers', () => {
  for (const [width, height] of [
    [390, 600],
    [1280, 720],
    [300, 40],
    [0, 0],
  ] as const) {
    for (let count = 1; count <= 50; count += 1) {
      const { columns, tileWidth, tileHeight } = bestGrid(width, height, count, 8);
      const rows = Math.ceil(count / columns);
      if (tileWidth === 0) continue;
      expect(columns * tileWidth + (columns - 1) * 8).toBeLessThanOrEqual(width);
      expect(rows * tileHeight + (rows - 1) * 8).toBeLessThanOrEqual(height);
    }
  }
});
