/** Which browser it is that calls itself so. Pure. */
import { texts } from '../texts';

/** What a name stands for; earlier ones go before later ones, for browsers also name those that they are like. */
const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/\bEdgA?\/(\d+)|\bEdgiOS\/(\d+)/, 'Edge'],
  [/\bOPR\/(\d+)/, 'Opera'],
  [/\b(?:Firefox|FxiOS)\/(\d+)/, 'Firefox'],
  [/\b(?:Headless)?(?:Chrome|Chromium|CriOS)\/(\d+)/, 'Chrome'],
  [/\bVersion\/(\d+)\S* (?:Mobile\/\S+ )?Safari\//, 'Safari'],
];

const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\bAndroid\b/, 'Android'],
  [/\b(?:iPhone|iPad|iPod)\b/, 'iOS'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b|\bMacintosh\b/, 'macOS'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b|\bX11\b/, 'Linux'],
];

/** `Firefox 153 on Linux`; what it says itself where that is no browser that is known. */
export function browserName(userAgent: string): string {
  const said = userAgent.trim();
  if (said === '') return texts.sessions.unknownBrowser;
  for (const [pattern, name] of BROWSERS) {
    const found = pattern.exec(said);
    if (found === null) continue;
    const browser = `${name} ${found.slice(1).find((version) => version !== undefined) ?? ''}`.trim();
    const system = SYSTEMS.find(([pattern]) => pattern.test(said));
    return system === undefined ? browser : texts.sessions.browserOn(browser, system[1]);
  }
  return said;
}
