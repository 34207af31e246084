// Access tokens in LiveKit's claim layout.
import { createHmac } from 'node:crypto';
import { API_KEY, API_SECRET } from '../../browser/hive.js';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token to join a room; `grants` add to or override the `video` claim, `claims` the others. */
export function token(room, identity, grants = {}, claims = {}) {
  const now = Math.floor(Date.now() / 1000);
  const body = {
    iss: API_KEY,
    sub: identity,
    nbf: now - 5,
    exp: now + 600,
    video: { room, roomJoin: true, ...grants },
    ...claims,
  };
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(body)}`;
  return `${signed}.${createHmac('sha256', API_SECRET).update(signed).digest('base64url')}`;
}
