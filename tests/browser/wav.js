// The few bytes of RIFF/WAVE these tests read and write: 16-bit mono PCM.

/** Parses 16-bit mono WAV; streamed headers with unknown lengths (eSpeak NG's) are fine. */
export function parseWav(buffer) {
  let offset = 12;
  let rate = 0;
  while (offset + 8 <= buffer.length) {
    const id = buffer.toString('latin1', offset, offset + 4);
    const size = buffer.readUInt32LE(offset + 4);
    if (id === 'fmt ') rate = buffer.readUInt32LE(offset + 12);
    if (id === 'data') {
      const end = Math.min(offset + 8 + size, buffer.length);
      const samples = new Float32Array((end - offset - 8) >> 1);
      for (let i = 0; i < samples.length; i++) samples[i] = buffer.readInt16LE(offset + 8 + 2 * i) / 32768;
      return { rate, samples };
    }
    offset += 8 + size + (size & 1);
  }
  throw new Error('no data chunk in WAV');
}

/** Writes 16-bit mono WAV. */
export function writeWav({ rate, samples }) {
  const buffer = Buffer.alloc(44 + 2 * samples.length);
  buffer.write('RIFF', 0, 'latin1');
  buffer.writeUInt32LE(36 + 2 * samples.length, 4);
  buffer.write('WAVEfmt ', 8, 'latin1');
  buffer.writeUInt32LE(16, 16);
  buffer.writeUInt16LE(1, 20);
  buffer.writeUInt16LE(1, 22);
  buffer.writeUInt32LE(rate, 24);
  buffer.writeUInt32LE(2 * rate, 28);
  buffer.writeUInt16LE(2, 32);
  buffer.writeUInt16LE(16, 34);
  buffer.write('data', 36, 'latin1');
  buffer.writeUInt32LE(2 * samples.length, 40);
  samples.forEach((s, i) => buffer.writeInt16LE(Math.round(Math.max(-1, Math.min(1, s)) * 32767), 44 + 2 * i));
  return buffer;
}

/** Linear-interpolation resampling: enough to compare envelopes and waveforms below 2 kHz. */
export function resample({ rate, samples }, to) {
  const length = Math.floor((samples.length * to) / rate);
  const out = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const at = (i * rate) / to;
    const left = Math.floor(at);
    const right = Math.min(left + 1, samples.length - 1);
    out[i] = samples[left] + (samples[right] - samples[left]) * (at - left);
  }
  return { rate: to, samples: out };
}

/**
 * The highest normalised cross-correlation (0 to 1) of `needle` with any stretch of `haystack`,
 * both at one rate.
 */
export function bestMatch(needle, haystack) {
  let needleEnergy = 0;
  for (const s of needle) needleEnergy += s * s;
  let windowEnergy = 0;
  for (let i = 0; i < needle.length && i < haystack.length; i++) windowEnergy += haystack[i] ** 2;
  let best = 0;
  for (let lag = 0; lag + needle.length <= haystack.length; lag++) {
    let dot = 0;
    for (let i = 0; i < needle.length; i++) dot += needle[i] * haystack[lag + i];
    const norm = Math.sqrt(needleEnergy * windowEnergy);
    if (norm > 1e-6) best = Math.max(best, Math.abs(dot) / norm);
    windowEnergy += (haystack[lag + needle.length] ?? 0) ** 2 - haystack[lag] ** 2;
  }
  return best;
}
