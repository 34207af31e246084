// What the tests need in the page beside LiveKit's client. Runs in Chromium, so it can use nothing from outside.

export function inPage() {
  const { Room, RoomEvent, Participant, Track, TrackPublication, setLogLevel } = window.LivekitClient;
  setLogLevel('warn');
  window.events = [];

  /** The fields of an event's argument that tests look at. */
  const describe = (it) => {
    if (it instanceof Participant) return { identity: it.identity };
    if (it instanceof TrackPublication) return { sid: it.trackSid, kind: it.kind, source: it.source, name: it.trackName, muted: it.isMuted };
    if (it instanceof Track) return { sid: it.sid, kind: it.kind };
    if (it instanceof Uint8Array) return { text: new TextDecoder().decode(it) };
    if (it instanceof Error) return { error: it.message };
    return {};
  };
  window.note = (type, ...values) => {
    const plain = values.filter((it) => it === null || ['string', 'number', 'boolean'].includes(typeof it));
    const event = Object.assign({ type }, ...values.map(describe));
    if (plain.length > 0) event.values = plain;
    window.events.push(event);
  };

  window.join = async (url, token, options) => {
    const { connect = {}, ...rest } = options;
    window.room = new Room({ adaptiveStream: false, dynacast: true, ...rest });
    for (const event of Object.values(RoomEvent)) window.room.on(event, (...values) => window.note(event, ...values));
    window.room
      .on(RoomEvent.TrackSubscribed, (track) => document.body.append(track.attach()))
      .on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((element) => element.remove()));
    await window.room.connect(url, token, connect);
  };

  const publication = (identity, source) => {
    const publications = [...(window.room.remoteParticipants.get(identity)?.trackPublications.values() ?? [])];
    return publications.find((it) => it.source === source || it.trackName === source);
  };

  window.received = async (identity, source) => {
    const track = publication(identity, source)?.track;
    const report = await track?.receiver?.getStats();
    const inbound = [...(report?.values() ?? [])].find((it) => it.type === 'inbound-rtp');
    if (!inbound) return null;
    const { packetsReceived, framesDecoded, frameWidth, frameHeight, freezeCount, totalAudioEnergy, totalSamplesReceived, concealedSamples } = inbound;
    const codec = report.get(inbound.codecId)?.mimeType;
    const [element] = track.attachedElements;
    const framesShown = element?.getVideoPlaybackQuality?.().totalVideoFrames;
    return { packetsReceived, framesDecoded, framesShown, frameWidth, frameHeight, freezeCount, totalAudioEnergy, totalSamplesReceived, concealedSamples, codec };
  };

  window.picture = (identity, source) => {
    const [video] = publication(identity, source)?.track?.attachedElements ?? [];
    if (!video?.videoWidth) return null;
    const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 36 });
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const sums = [0, 0, 0];
    const luma = [];
    for (let i = 0; i < data.length; i += 4) {
      sums.forEach((_, c) => (sums[c] += data[i + c]));
      luma.push(0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]);
    }
    const mean = luma.reduce((a, b) => a + b) / luma.length;
    const spread = Math.sqrt(luma.reduce((sum, it) => sum + (it - mean) ** 2, 0) / luma.length);
    return { width: video.videoWidth, height: video.videoHeight, rgb: sums.map((sum) => sum / luma.length), mean, spread, luma };
  };

  const analysers = new Map();
  window.pitch = async (identity, source) => {
    const track = publication(identity, source)?.track;
    if (!track) return null;
    if (!analysers.has(track.sid)) {
      const context = new AudioContext({ sampleRate: 48000 });
      const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
      context.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(analyser);
      await context.resume();
      analysers.set(track.sid, analyser);
    }
    const analyser = analysers.get(track.sid);
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const loudest = bins.reduce((best, level, i) => (level > bins[best] ? i : best), 1);
    return { hertz: (loudest * 48000) / analyser.fftSize, level: bins[loudest] };
  };
}
