import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import type { ContainerRuntime } from "../contracts/container-runtime.ts";
import type { ProbeAction } from "../contracts/workload.ts";
import type { Clock } from "../core/clock.ts";

export interface ActionTarget {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly containerId: string;
  /** The workload's address; http and tcp actions go there from the host. */
  readonly address: string;
}

export interface ActionResult {
  readonly ok: boolean;
  readonly words: string;
}

type HttpAction = Extract<ProbeAction, { type: "http" }>;

/** Runs a probe or hook once; a failure, also of the attempt itself, is a result. */
export async function runAction(action: ProbeAction, target: ActionTarget, withinMs: number): Promise<ActionResult> {
  // What is left of a grace period is no whole number, which timers insist on.
  const timeoutMs = Math.max(1, Math.ceil(withinMs));
  try {
    if (action.type === "exec") {
      const result = await target.runtime.execSync(target.containerId, { command: action.command, timeoutMs });
      return { ok: result.exitCode === 0, words: `exit code ${result.exitCode}: ${(result.stderr || result.stdout).slice(0, 4096)}` };
    }
    if (action.type === "http") return await httpAction(action, target.address, timeoutMs);
    if (action.type === "tcp") return await tcpAction({ host: action.host ?? target.address, port: action.port }, timeoutMs);
    if (action.type === "sleep") {
      await target.clock.sleep(Math.min(action.seconds * 1000, timeoutMs));
      return { ok: true, words: "slept" };
    }
    const { checkGrpcHealth } = await import("./grpc-probe.ts");
    await checkGrpcHealth({ host: target.address, port: action.port, service: action.service ?? "" }, timeoutMs, target.clock.nowMs());
    return { ok: true, words: "SERVING" };
  } catch (error) {
    return { ok: false, words: error instanceof Error ? error.message : String(error) };
  }
}

function httpAction(action: HttpAction, address: string, timeoutMs: number): Promise<ActionResult> {
  const host = action.host ?? address;
  const headers = Object.fromEntries([
    ["User-Agent", "kube-probe/1.36"],
    ["Accept", "*/*"],
    ...(action.headers ?? []).map(({ name, value }) => [name, value]),
  ]) as Record<string, string>;
  const options = {
    host,
    port: action.port,
    path: action.path,
    headers,
    agent: false as const,
    signal: AbortSignal.timeout(timeoutMs),
    rejectUnauthorized: false,
  };
  return new Promise((resolve) => {
    const send = action.scheme === "https" ? httpsRequest : httpRequest;
    const sent = send(options, (response) => {
      const status = response.statusCode ?? 0;
      response.destroy();
      resolve({ ok: status >= 200 && status < 400, words: `HTTP probe failed with statuscode: ${status}` });
    });
    const url = `${action.scheme}://${host}:${action.port}${action.path}`;
    sent.on("error", (error) => resolve({ ok: false, words: `Get "${url}": ${wordsOf(error, { host, port: action.port }, HTTP_TIMEOUT)}` }));
    sent.end();
  });
}

function tcpAction(at: { readonly host: string; readonly port: number }, timeoutMs: number): Promise<ActionResult> {
  return new Promise((resolve) => {
    const socket = connect({ ...at, signal: AbortSignal.timeout(timeoutMs) });
    const answer = (result: ActionResult): void => {
      socket.destroy();
      resolve(result);
    };
    socket.on("connect", () => answer({ ok: true, words: "connected" }));
    socket.on("error", (error) => answer({ ok: false, words: wordsOf(error, at, `dial tcp ${at.host}:${at.port}: i/o timeout`) }));
  });
}

const HTTP_TIMEOUT = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
const DIAL_FAILURES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
};

/** As the kubelet says it, whose words people look for. */
function wordsOf(error: NodeJS.ErrnoException, { host, port }: { readonly host: string; readonly port: number }, timeout: string): string {
  if (error.name === "AbortError") return timeout;
  const words = DIAL_FAILURES[error.code ?? ""];
  return words === undefined ? error.message : `dial tcp ${host}:${port}: connect: ${words}`;
}
