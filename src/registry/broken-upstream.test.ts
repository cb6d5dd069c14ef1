/** A public registry whose connections break off, at bytes that the seed chooses. */
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { randomOf, rounds, seed } from "../../test/recovery/matrix.ts";
import { blobOf, startTestRegistry, type TestBlob } from "./test-registry.ts";

interface BrokenRegistry extends AsyncDisposable {
  readonly url: string;
  /** Where each answer is cut, in bytes sent; beyond the list, answers are whole. */
  cuts: number[];
  knowsRanges: boolean;
  readonly ranges: (string | undefined)[];
}

async function brokenRegistry(blob: TestBlob): Promise<BrokenRegistry> {
  const broken = { url: "", cuts: [] as number[], knowsRanges: true, ranges: [] as (string | undefined)[] };
  const server: Server = createServer((request, response) => {
    broken.ranges.push(request.headers.range);
    const start = broken.knowsRanges ? Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0) : 0;
    const body = blob.bytes.subarray(start);
    response.writeHead(start > 0 ? 206 : 200, { "content-length": body.length });
    const cut = broken.cuts.shift();
    if (cut === undefined || cut >= body.length) response.end(body);
    else response.write(body.subarray(0, cut), () => setImmediate(() => request.socket.resetAndDestroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  broken.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(broken, {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

const pathOf = (blob: TestBlob): string => `/v2/library/tool/blobs/${blob.digest}?ns=docker.io`;

it("goes on where a connection was reset, and keeps the blob whole", async () => {
  const random = randomOf("broken-upstream");
  for (let round = 0; round < rounds({ part: 4, whole: 40 }); round++) {
    const blob = blobOf(randomBytes(random.between(1, 2_000_000)));
    await using upstream = await brokenRegistry(blob);
    await using server = await startTestRegistry({ store: createMemoryStore(), config: { upstreamUrlOf: () => upstream.url } });
    upstream.knowsRanges = random.next() < 0.7;
    upstream.cuts = Array.from({ length: random.between(1, 3) }, () => random.between(0, blob.bytes.length));
    const answer = await server.call(pathOf(blob));
    const hint = `seed ${seed}, round ${round}`;
    expect(answer.status, hint).toBe(200);
    expect(Buffer.from(await answer.arrayBuffer()).equals(blob.bytes), hint).toBe(true);
    expect((await server.call(pathOf(blob), { method: "HEAD" })).status, hint).toBe(200);
    expect(await readdir(join(server.folder, "tmp")), hint).toEqual([]);
  }
});

it("gives up in words when it lasts, keeps nothing of it, and serves it once the registry is well", async () => {
  const blob = blobOf(randomBytes(500_000));
  await using upstream = await brokenRegistry(blob);
  await using server = await startTestRegistry({ store: createMemoryStore(), config: { upstreamUrlOf: () => upstream.url } });
  upstream.cuts = [100_000, 0, 0, 0, 0];
  // In the middle of an answer there is no room for words: the client sees its connection break off.
  const ended = await server
    .call(pathOf(blob))
    .then(async (answer) => {
      await answer.arrayBuffer();
      return answer.status;
    })
    .catch(() => "broken off");
  expect([502, "broken off"]).toContain(ended);
  const [range, ...others] = upstream.ranges.slice(1);
  expect([range, others]).toEqual([expect.stringMatching(/^bytes=\d+-$/), [range, range, range]]);
  expect((await server.call(pathOf(blob), { method: "HEAD" })).status).toBe(404);
  // The client hears of it first.
  await expect.poll(() => readdir(join(server.folder, "tmp"))).toEqual([]);
  upstream.cuts = [100_000, 0, 0, 0, 0];
  // Asked for a part, the registry fetches the whole first, and can say what went wrong.
  const part = await server.call(pathOf(blob), { headers: { range: "bytes=5-8" } });
  expect(part.status).toBe(502);
  expect(await part.text()).toMatch(/cannot pull docker\.io\/library\/tool@.*broke off after \d+ of 500000 bytes.*Nothing of it was kept/);
  const whole = await server.call(pathOf(blob));
  expect(Buffer.from(await whole.arrayBuffer()).equals(blob.bytes)).toBe(true);
});
