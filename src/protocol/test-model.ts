import type { Operation, RequestContext, Service } from "../contracts/service.ts";
import { silentLogger } from "../core/logger.ts";
import type { WireRequest } from "./wire.ts";

/** A made-up service for the protocol's tests: its schemas are written as the SDK's generator writes them. */

const NS = "com.example.test";

const Inner = [3, NS, "Inner", 0, ["name", "flag", "inner", "values"], [0, 2, () => Inner, [() => Strings, 0]], 1];
const Strings = [1, NS, "Strings", 0, [0, { xmlName: "item" }]];
const InnerList = [1, NS, "InnerList", 0, [() => Inner, 0]];
const Labels = [2, NS, "Labels", 0, [0, 0], [0, 0]];
const NamedLabels = [2, NS, "NamedLabels", 0, [0, { xmlName: "K" }], [0, { xmlName: "V" }]];
const Choice = [4, NS, "Choice", 0, ["text", "count"], [0, 1]];
const Secret = [0, NS, "Secret", 8, 0];

const MEMBERS: Readonly<Record<string, unknown>> = {
  name: 0,
  count: 1,
  flag: 2,
  when: 4,
  data: 21,
  names: 64 | 0,
  renamed: [0, { xmlName: "Other", jsonName: "other" }],
  flat: [() => Strings, { xmlFlattened: 1 }],
  listed: [() => Strings, { xmlName: "listedSet", ec2QueryName: "Listed" }],
  inner: () => Inner,
  inners: () => InnerList,
  labels: () => Labels,
  flatLabels: [() => NamedLabels, { xmlFlattened: 1 }],
  numbers: 128 | 1,
  choice: () => Choice,
  anything: 15,
  secret: [() => Secret, 0],
};

const Everything = [3, NS, "Everything", 0, Object.keys(MEMBERS), Object.values(MEMBERS), 1];
const Busy = [-3, NS, "BusyException", { awsQueryError: ["Busy", 409], httpError: 409, error: "client" }, ["message", "holder"], [0, 0]];

export const TEST_MODULE: Readonly<Record<string, unknown>> = {
  Echo$: [9, NS, "Echo", 0, () => Everything, () => Everything],
  Nothing$: [9, NS, "Nothing", 0, () => "unit", () => "unit"],
  Unbuilt$: [9, NS, "Unbuilt", 0, () => "unit", () => "unit"],
  BusyException$: Busy,
  notASchema: () => 1,
};

/** What `Echo` was last called with is what it answers; `Nothing` answers nothing. */
export function testService(
  service: Partial<Service> & Pick<Service, "protocol">,
  operations: Partial<Record<string, Operation["handle"]>> = {},
): Service {
  return {
    name: "test-service",
    signingName: "test",
    targetPrefix: "Test_20260101",
    apiVersion: "2026-01-01",
    xmlNamespace: "https://test.example.com/doc/2026-01-01/",
    loadSchemas: () => Promise.resolve(TEST_MODULE),
    operations: [
      { name: "Echo", members: ALL_USED, handle: operations["Echo"] ?? ((input) => Promise.resolve(input)) },
      { name: "Nothing", members: {}, handle: operations["Nothing"] ?? (() => Promise.resolve(undefined)) },
    ],
    ...service,
  };
}

export const ALL_USED = Object.fromEntries(Object.keys(MEMBERS).map((name) => [name, "used" as const]));

export const TEST_CONTEXT: RequestContext = {
  account: "111122223333",
  region: "us-east-1",
  requestId: "00000000-0000-4000-a000-000000000001",
  principal: { arn: "arn:aws:iam::111122223333:root", userId: "111122223333", accessKeyId: "AKIDEXAMPLE" },
  nowMs: Date.UTC(2026, 0, 1),
  logger: silentLogger,
  host: "localhost",
};

export function jsonRequest(operation: string, body: unknown): WireRequest {
  return {
    method: "POST",
    path: "/",
    query: "",
    headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": `Test_20260101.${operation}` },
    body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)),
  };
}

export function formRequest(form: string): WireRequest {
  return { method: "POST", path: "/", query: "", headers: { "content-type": "application/x-www-form-urlencoded" }, body: Buffer.from(form) };
}
