// What runs in the page of whoever watches: the times at which pictures were shown and at which the other's tone was heard.

/** Joins, and from then on notes what is seen and heard of the other. */
export async function watch([url, jwt]) {
  const { Room, RoomEvent, Track } = window.LivekitClient;
  const room = new Room({ adaptiveStream: false });
  const seen = { pictures: [], sounds: [], size: [0, 0], said: [] };
  const now = () => performance.now() / 1000;
  const context = new AudioContext({ sampleRate: 48000 });
  await context.resume();
  room.on(RoomEvent.TrackSubscribed, (track) => {
    const element = track.attach();
    document.body.append(element);
    if (track.kind === Track.Kind.Video) {
      const shown = (_, { width, height }) => {
        seen.pictures.push(now());
        seen.size = [width, height];
        element.requestVideoFrameCallback(shown);
      };
      element.requestVideoFrameCallback(shown);
      return;
    }
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let last = now();
    setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const loud = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
      // A page that was held up heard nothing, and does not know whether there was something.
      const held = now() - last;
      last = now();
      if (held > 0.1) seen.sounds.push({ at: last, held });
      else if (loud > 0.02) seen.sounds.push({ at: last });
    }, 20);
  });
  // What the client says of its connection, and when.
  for (const event of ['SignalReconnecting', 'Reconnecting', 'SignalConnected', 'Reconnected', 'Disconnected'])
    room.on(RoomEvent[event], (reason) => seen.said.push({ at: now(), event, reason }));
  window.seen = seen;
  window.now = now;
  window.room = room;
  await room.connect(url, jwt);
}

/** The longest times without a picture and without sound since `from`, how large the last picture was, and what was made up of sound. */
export async function found(from) {
  const { seen, now } = window;
  const end = now();
  const longest = (times) => {
    let [last, most] = [from, 0];
    for (const time of [...times.filter((one) => one > from), end]) {
      most = Math.max(most, time - last);
      last = time;
    }
    return most;
  };
  let [concealed, received] = [0, 0];
  for (const publication of [...window.room.remoteParticipants.values()].flatMap((one) => [...one.trackPublications.values()])) {
    for (const report of (await publication.track?.getRTCStatsReport())?.values() ?? []) {
      if (report.type === 'inbound-rtp' && report.kind === 'audio') {
        concealed += report.concealedSamples - report.silentConcealedSamples;
        received += report.totalSamplesReceived;
      }
    }
  }
  return {
    still_s: longest(seen.pictures),
    silent_s: longest(seen.sounds.map(({ at }) => at)),
    pictures: seen.pictures.filter((one) => one > from).length / (end - from),
    size: seen.size,
    said: seen.said.filter(({ at }) => at > from).map(({ at, event, reason }) => `${(at - from).toFixed(1)} ${event} ${reason ?? ''}`),
    concealed,
    received,
  };
}
