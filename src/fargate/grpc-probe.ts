import { Client, credentials } from "@grpc/grpc-js";

/** Of grpc.health.v1: HealthCheckResponse.ServingStatus. */
const SERVING = 1;
const SERVICE_TAG = 0x0a;
const STATUS_TAG = 0x08;

/**
 * Asks `grpc.health.v1.Health/Check` once; rejects unless it answers SERVING. The two messages have one field each, which is read and written
 * here.
 */
export async function checkGrpcHealth(
  at: { readonly host: string; readonly port: number; readonly service: string },
  timeoutMs: number,
  nowMs: number,
): Promise<void> {
  const client = new Client(`${at.host}:${at.port}`, credentials.createInsecure(), { "grpc.primary_user_agent": "kube-probe/1.36" });
  try {
    const status = await new Promise<number>((resolve, reject) => {
      client.makeUnaryRequest(
        "/grpc.health.v1.Health/Check",
        (service: string) => encodeService(service),
        decodeStatus,
        at.service,
        { deadline: nowMs + timeoutMs },
        (error, answer) => (error === null ? resolve(answer ?? 0) : reject(error)),
      );
    });
    if (status !== SERVING) throw new Error(`service unhealthy (responded with "${STATUS_NAMES[status] ?? status}")`);
  } finally {
    client.close();
  }
}

const STATUS_NAMES: Readonly<Record<number, string>> = { 0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN" };

function encodeService(service: string): Buffer {
  const name = Buffer.from(service);
  return name.length === 0 ? name : Buffer.concat([Buffer.from([SERVICE_TAG, ...varint(name.length)]), name]);
}

function varint(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >> 7)];
}

function decodeStatus(message: Buffer): number {
  return message[0] === STATUS_TAG ? (message[1] ?? 0) : 0;
}
