import { describe, expect, it } from 'vitest';
import { readReport } from './report';

describe('the report of a recording', () => {
  it('reads who agreed to being recorded and when', () => {
    const consents = [
      { identity: 'bob', name: '', answer: 'declined', agreed_at: 5e9, withdrawn_at: 7e9 },
      { identity: 'ann', name: 'Ann', answer: 'agreed', agreed_at: 3e9, declined_at: 2e9 },
      { identity: 'cem', answer: 'perhaps', agreed_at: 'once' },
      7,
    ];
    const unsaid = { agreedAt: null, declinedAt: null, withdrawnAt: null };
    expect(readReport({ consents }).consents).toEqual([
      { ...unsaid, identity: 'ann', who: 'Ann', agrees: true, agreedAt: 3000, declinedAt: 2000 },
      { ...unsaid, identity: 'bob', who: 'bob', agrees: false, agreedAt: 5000, withdrawnAt: 7000 },
      { ...unsaid, identity: 'cem', who: 'cem', agrees: null },
    ]);
    expect(readReport({ consents: 'all' }).consents).toEqual([]);
    const left = { why: 'declined', from_ns: 1e9, to_ns: 2e9 };
    expect(readReport({ tracks: { TR_a: { left_out: left } } }).tracks?.[0]?.leftOut?.why).toBe('declined');
  });

  it('reads a report, by person and source, and does not trust it either', () => {
    const report = readReport({
      sha256: 'ab',
      skipped: [{ participant: 'Ann', from_ns: 1_333_000_000, to_ns: 2e9, why: 'it crashed' }, 7],
      tracks: {
        TR_b: {
          name: 'Bob',
          source: 'microphone',
          codecs: ['opus', 1],
          frames: 9,
          concealed_samples: 960,
          packets: { received: 20, kept: 9, dropped: { before_keyframe: 4, padding: 7 } },
        },
        TR_c: {
          identity: 'ann',
          source: 'camera',
          codecs: ['vp8'],
          frames: 30,
          gaps: { count: 2, total_ns: 400_000_000, longest: [] },
          lost_packets: 12,
          packets: {
            received: 60,
            kept: 40,
            dropped: { incomplete: 3, before_keyframe: 5, duplicate: 9, late: {} },
          },
          dropped: { late: 3, ahead: 1, after_end: 2, broken: 'many' },
          freezes: { count: 1, total_ns: 2e9 },
          sizes: {
            changes: 1,
            first: [
              { width: 640, height: 360 },
              { width: 1280, height: 720 },
            ],
          },
          sync: { worst_offset_ns: 12_000_000, drift_ppm: -40 },
        },
        TR_a: {
          identity: 'ann',
          source: 'telepathy',
          from_ns: 'soon',
          left_out: { why: 'encrypted', from_ns: 1e9, to_ns: 5e9, frames: 0 },
        },
        TR_x: null,
      },
    });
    expect(report).toMatchObject({ sha256: 'ab', droppedFrames: 0 });
    const suspended = [{ from_ns: 4_100_000_000, to_ns: 7e9 }, 'once'];
    expect(readReport({ suspended }).suspended).toEqual([{ fromSeconds: 4.1, toSeconds: 7 }]);
    expect(report.suspended).toEqual([]);
    expect(report.skipped).toEqual([
      { participant: 'Ann', fromSeconds: 1.333, toSeconds: 2, why: 'it crashed' },
    ]);
    expect(report.tracks?.map((track) => track.id)).toEqual(['TR_c', 'TR_a', 'TR_b']);
    expect(report.tracks?.[0]).toMatchObject({
      whose: 'ann',
      gaps: { count: 2, seconds: 0.4 },
      freezes: { count: 1, seconds: 2 },
      misplaced: 4,
      unusablePackets: 8,
      size: { width: 1280, height: 720 },
      worstOffsetMs: 12,
      driftPpm: -40,
    });
    expect(report.tracks?.[1]).toMatchObject({ source: null, fromSeconds: 0, frames: 0, size: null });
    expect(report.tracks?.[1]?.leftOut).toEqual({ why: 'encrypted', fromSeconds: 1, toSeconds: 5 });
    expect(report.tracks?.[0]?.leftOut).toBeNull();
    expect(report.tracks?.[2]).toMatchObject({
      codecs: ['opus'],
      concealedSeconds: 0.02,
      unusablePackets: 0,
    });
    expect(readReport({ egress_id: 'EG_1' })).toMatchObject({ sha256: null, tracks: null, skipped: [] });
  });
});
