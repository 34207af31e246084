// One sentence as a WAV file.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseWav, resample, writeWav } from '../../browser/wav.js';

export const SENTENCE = 'we need to finish the project next week';

/** A second of silence, one flite sentence; gives the file's name. */
export function speech(directory) {
  const spoken = join(directory, 'spoken.wav');
  execFileSync('flite', ['-voice', 'slt', '-t', SENTENCE, '-o', spoken]);
  const { rate, samples } = parseWav(readFileSync(spoken));
  const padded = new Float32Array(rate + samples.length);
  padded.set(samples, rate);
  const file = join(directory, 'speech.wav');
  writeFileSync(file, writeWav(resample({ rate, samples: padded }, 48000)));
  return file;
}
