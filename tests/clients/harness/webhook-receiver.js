// A backend that webhooks are posted to.
import { createServer } from 'node:http';

/** Listens on a free port, and answers the first `failures` posts with 503. */
export async function webhookReceiver({ failures = 0 } = {}) {
  const posts = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const failed = posts.length < failures;
    posts.push({ failed, body: Buffer.concat(chunks).toString(), headers: request.headers });
    response.writeHead(failed ? 503 : 200).end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  // The server may post until it has ended, which is after the test; it does not keep this process.
  server.unref();
  return { posts, url: `http://127.0.0.1:${server.address().port}/hook` };
}
