import type { FastifyReply } from "fastify";
import type { FileHandle } from "node:fs/promises";
import type { ServerResponse } from "node:http";

const BUFFER_BYTES = 512 * 1024;

/**
 * Answers with bytes of a file, two buffers taking turns: one is read into while the other goes out. Half the work of a file stream, which
 * takes fresh memory for each chunk; that is why the reply is taken out of Fastify's hands. Takes over `file` and closes it. Never throws:
 * a reader that goes away, or a disk that fails midway, ends the connection, so nobody takes a part for the whole.
 */
export async function sendFile(reply: FastifyReply, file: FileHandle, range: { readonly start: number; readonly end: number }): Promise<void> {
  reply.hijack();
  const response = reply.raw;
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) response.setHeader(name, value);
  response.statusCode = reply.statusCode;
  try {
    await copy(response, file, range);
    response.end();
  } catch {
    response.destroy();
  } finally {
    await file.close();
  }
}

async function copy(response: ServerResponse, file: FileHandle, range: { readonly start: number; readonly end: number }): Promise<void> {
  const size = Math.min(BUFFER_BYTES, range.end - range.start + 1);
  const turns = [0, 1].map(() => ({ buffer: Buffer.allocUnsafeSlow(size), free: Promise.resolve() }));
  let position = range.start;
  while (position <= range.end) {
    const turn = turns.shift();
    if (turn === undefined) return;
    await turn.free;
    const { bytesRead } = await file.read(turn.buffer, 0, Math.min(size, range.end + 1 - position), position);
    if (bytesRead === 0) throw new Error("the file ended before the range");
    position += bytesRead;
    const free = written(response, turn.buffer.subarray(0, bytesRead));
    // Who fails is noticed when the buffer's turn comes again, or at the end.
    free.catch(() => {});
    turns.push({ buffer: turn.buffer, free });
  }
  for (const turn of turns) await turn.free;
}

/** Resolves when the kernel has taken the bytes; rejects when the connection is gone. */
function written(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    response.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
