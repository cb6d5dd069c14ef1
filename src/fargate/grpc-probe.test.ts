import { Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach, expect, it } from "vitest";
import { systemClock } from "../core/clock.ts";
import { checkGrpcHealth } from "./grpc-probe.ts";

let server: Server | undefined;
afterEach(() => server?.forceShutdown());

/** Answers with a status to each service, by name. */
async function serve(statuses: Readonly<Record<string, number>>): Promise<number> {
  server = new Server();
  const check = {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: (message: Buffer) => ({ name: message.subarray(2).toString() }),
    responseSerialize: (status: number) => Buffer.from(status === 0 ? [] : [0x08, status]),
    responseDeserialize: () => 0,
  };
  server.addService(
    { check },
    {
      check: (call: { readonly request: { readonly name: string } }, done: (error: null, status: number) => void) =>
        done(null, statuses[call.request.name] ?? 0),
    },
  );
  return new Promise((resolve, reject) => {
    server?.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => (error === null ? resolve(port) : reject(error)));
  });
}

it("holds for SERVING alone, of the service that is asked for, in time", async () => {
  const port = await serve({ "": 1, "a.long.service": 2, well: 1 });
  const check = (service: string, timeoutMs = 2000): Promise<void> =>
    checkGrpcHealth({ host: "127.0.0.1", port, service }, timeoutMs, systemClock.nowMs());
  await expect(check("")).resolves.toBeUndefined();
  await expect(check("well")).resolves.toBeUndefined();
  await expect(check("a.long.service")).rejects.toThrow('service unhealthy (responded with "NOT_SERVING")');
  await expect(check("none")).rejects.toThrow("UNKNOWN");
  await expect(checkGrpcHealth({ host: "127.0.0.1", port: 1, service: "" }, 2000, systemClock.nowMs())).rejects.toThrow(/UNAVAILABLE|ECONNREFUSED/);
});
