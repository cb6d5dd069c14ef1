import type { RuntimeStreamRequest } from "../../contracts/container-runtime.ts";
import type { StreamEndpoint } from "../../contracts/engine.ts";
import { Problem } from "../../core/problem.ts";
import { type ContainerdClient, isNotFound, problemOf, RpcError } from "./grpc.ts";

/**
 * Has containerd's streaming server expect a connection. It listens on loopback, at a port of its choice; the path holds a token that is good
 * once and for a minute. @throws Problem `not-found`, `conflict` when the container does not run.
 */
export async function prepareStream(client: ContainerdClient, request: RuntimeStreamRequest): Promise<StreamEndpoint> {
  const { what, call } = streamCall(client, request);
  try {
    return endpointOf((await call()).url);
  } catch (error) {
    if (error instanceof RpcError && /is in CONTAINER_|is not running|not in ready state|sandbox container .* is not/.test(error.message)) {
      throw new Problem("conflict", `cannot ${what}: it does not run`, { cause: error });
    }
    if (isNotFound(error)) throw new Problem("not-found", `cannot ${what}: it does not exist`, { cause: error });
    throw problemOf(error, `cannot ${what}`);
  }
}

interface StreamCall {
  readonly what: string;
  readonly call: () => Promise<{ readonly url: string }>;
}

function streamCall(client: ContainerdClient, request: RuntimeStreamRequest): StreamCall {
  if (request.type === "port-forward") {
    const { sandboxId, ports } = request;
    return { what: `forward ports of sandbox ${sandboxId}`, call: () => client.portForward({ podSandboxId: sandboxId, port: ports }) };
  }
  const { containerId, stdin, stdout, stderr, tty } = request;
  const streams = { containerId, stdin, stdout, stderr, tty };
  if (request.type === "attach") return { what: `attach to container ${containerId}`, call: () => client.attach(streams) };
  const { command } = request;
  return { what: `run ${JSON.stringify(command)} in container ${containerId}`, call: () => client.exec({ ...streams, cmd: command }) };
}

/** @throws Problem `unsupported` for what is not on this host's loopback: nobody else is to be trusted with a stream. */
export function endpointOf(url: string): StreamEndpoint {
  const { protocol, hostname, port, pathname, search } = new URL(url);
  if (protocol !== "http:" || hostname !== "127.0.0.1") {
    throw new Problem("unsupported", `containerd serves streams at ${protocol}//${hostname}, not by HTTP at 127.0.0.1: its own default was changed`);
  }
  return { port: Number(port || 80), path: `${pathname}${search}` };
}
