import { describe, expect, it } from 'vitest';
import { browserName } from './browserName';

const LIKE = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)';

describe('the name of a browser', () => {
  it('is read from what it says of itself', () => {
    expect(
      [
        'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0',
        `${LIKE} Chrome/156.0.0.0 Safari/537.36`,
        `${LIKE} HeadlessChrome/156.0.0.0 Safari/537.36`,
        'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0',
        'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36',
        'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
        'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15',
      ].map(browserName),
    ).toEqual([
      'Firefox 153 on Linux',
      'Chrome 156 on Linux',
      'Chrome 156 on Linux',
      'Edge 156 on Windows',
      'Chrome 156 on Android',
      'Safari 18 on iOS',
      'Safari 18 on macOS',
    ]);
  });

  it('is what a program says that is no browser', () => {
    expect(['curl/8.5.0', ' node ', '', '   '].map(browserName)).toEqual([
      'curl/8.5.0',
      'node',
      'A program that says nothing of itself',
      'A program that says nothing of itself',
    ]);
  });
});
