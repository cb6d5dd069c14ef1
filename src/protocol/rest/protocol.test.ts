import { describe, expect, it } from "vitest";
import { AwsError } from "../../core/aws-error.ts";
import type { Operation, Service } from "../../contracts/service.ts";
import { createServiceCodec } from "../service-codec.ts";
import { TEST_CONTEXT } from "../test-model.ts";
import type { WireRequest } from "../wire.ts";

/** A made-up REST service, its schemas as the SDK's generator writes them. */
const NS = "com.example.rest";
const Tags = [2, NS, "Tags", 0, 0, 0];
const PutThing = [
  3,
  NS,
  "PutThingRequest",
  0,
  ["group", "thing", "kind", "limit", "deep", "only", "when", "tags", "renamed"],
  [[0, 1], [0, 1], 0, [1, { httpQuery: "max" }], [2, { httpQuery: "deep" }], [64, { httpQuery: "only" }], 4, () => Tags, [0, { jsonName: "other" }]],
  2,
];
const TagThing = [3, NS, "TagThingRequest", 0, ["resourceArn", "tags"], [[0, 1], () => Tags], 2];
const Headed = [3, NS, "HeadedRequest", 0, ["token"], [[0, { httpHeader: "x-token" }]]];
const Missing = [-3, NS, "ThingMissingException", { error: "client", httpError: 404 }, ["message", "thing"], [0, 0]];
const MODULE = {
  PutThing$: [9, NS, "PutThing", { http: ["POST", "/groups/{group}/things/{thing}", 201] }, () => PutThing, () => PutThing],
  ListThings$: [9, NS, "ListThings", { http: ["GET", "/groups", 200] }, () => "unit", () => "unit"],
  PutDefault$: [9, NS, "PutDefault", { http: ["POST", "/groups/{group}/things/default", 200] }, () => PutThing, () => "unit"],
  TagThing$: [9, NS, "TagThing", { http: ["POST", "/tags/{resourceArn}", 200] }, () => TagThing, () => TagThing],
  Headed$: [9, NS, "Headed", { http: ["GET", "/headed", 200] }, () => Headed, () => "unit"],
  ThingMissingException$: Missing,
};

const MEMBERS = {
  group: "used",
  thing: "used",
  kind: "used",
  limit: "used",
  deep: "used",
  only: "used",
  when: "used",
  tags: "used",
  renamed: "used",
} as const;

function service(handle: Operation["handle"] = (input) => Promise.resolve(input)): Service {
  return {
    name: "rest-test",
    signingName: "rest",
    apiVersion: "2026-01-01",
    protocol: "restJson1",
    loadSchemas: () => Promise.resolve(MODULE),
    operations: [
      { name: "PutThing", members: MEMBERS, handle },
      { name: "PutDefault", members: MEMBERS, handle: () => Promise.resolve(undefined) },
      { name: "TagThing", members: { resourceArn: "used", tags: "used" }, handle },
      { name: "Headed", members: {}, handle },
    ],
  };
}

async function call(line: string, body: string | object = "", handle?: Operation["handle"]) {
  const [method = "", url = ""] = line.split(" ");
  const [path = "", query = ""] = url.split("?");
  const request: WireRequest = { method, path, query, headers: {}, body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)) };
  let input: unknown;
  const codec = await createServiceCodec(
    service((given, context) => {
      input = given;
      return handle?.(given, context) ?? Promise.resolve(given);
    }),
  );
  const response = await codec.invoke(request, TEST_CONTEXT);
  return { operation: codec.operationName(request), input, ...response, answer: JSON.parse(response.body) as Record<string, unknown> };
}

describe("restJson1: requests", () => {
  it("reads members from the path, the query string and the body", async () => {
    const { input, status } = await call("POST /groups/g/things/t?max=7&deep=true&only=a&only=b%20c", {
      kind: "k",
      when: 946845296.5,
      tags: { a: "b" },
      other: "x",
    });
    expect(status).toBe(201);
    expect(input).toEqual({
      group: "g",
      thing: "t",
      limit: 7,
      deep: true,
      only: ["a", "b c"],
      kind: "k",
      when: new Date("2000-01-02T20:34:56.5Z"),
      tags: { a: "b" },
      renamed: "x",
    });
  });

  it("takes an ARN with escaped slashes and colons as one label", async () => {
    const arn = "arn:aws:eks:us-east-1:111122223333:cluster/shop";
    const { operation, input } = await call(`POST /tags/${encodeURIComponent(arn)}`, { tags: { a: "b" } });
    expect({ operation, input }).toEqual({ operation: "TagThing", input: { resourceArn: arn, tags: { a: "b" } } });
  });

  it("prefers the literal to the label, whichever the model lists first", async () => {
    expect((await call("POST /groups/g/things/default")).operation).toBe("PutDefault");
    expect((await call("POST /groups/g/things/other")).operation).toBe("PutThing");
  });

  it("a member of the path in the body is not heard", async () => {
    expect((await call("POST /groups/g/things/t", { group: "other", limit: 9 })).input).toEqual({ group: "g", thing: "t" });
  });

  it.each([
    ["POST /groups/g/things/t?max=seven", "", "STRING_VALUE can not be converted to Double at 'limit'."],
    ["POST /groups/g/things/t?deep=yes", "", "STRING_VALUE can not be converted to Boolean at 'deep'."],
    ["POST /groups/g/things/t", '{"kind":', "The request body is not valid JSON"],
    ["POST /groups/g/things/t", "[]", "Start of list found where not expected: expected Structure."],
  ])("refuses %s %s", async (line, body, message) => {
    const { status, answer, headers } = await call(line, body);
    expect(status).toBe(400);
    expect(headers["x-amzn-errortype"]).toBe("SerializationException");
    expect(answer["message"]).toContain(message);
  });

  it.each([
    "GET /groups/g/things/t",
    "POST /groups/g/things",
    "POST /groups/g/things/t/more",
    "POST /groups//things/t",
    "POST /groups/%E0%A4%A/things/t",
  ])("%s is no operation", async (line) => {
    const { operation, status, answer } = await call(line);
    expect(operation).toBeUndefined();
    expect(status).toBe(400);
    expect(answer).toEqual({ message: "rest-test has no operation at this method and path." });
  });

  it("names an operation that is not built", async () => {
    expect((await call("GET /groups")).answer["message"]).toBe("The operation ListThings of rest-test is not built in Tidegate yet.");
  });

  it("does not read a binding that it does not carry", async () => {
    expect((await call("GET /headed")).status).toBe(500);
  });
});

describe("restJson1: answers", () => {
  it("writes the members in a JSON body, by their names on the wire", async () => {
    const { answer, headers } = await call("POST /groups/g/things/t", {}, () => Promise.resolve({ kind: "k", renamed: "x", ours: 1 }));
    expect(answer).toEqual({ kind: "k", other: "x" });
    expect(headers).toEqual({ "content-type": "application/json", "x-amzn-requestid": TEST_CONTEXT.requestId });
  });

  it("writes a modelled error with its status, type and members", async () => {
    const { status, headers, answer } = await call("POST /groups/g/things/t", {}, () =>
      Promise.reject(new AwsError("ThingMissingException", "There is no t.", { fields: { thing: "t" } })),
    );
    expect(status).toBe(404);
    expect(headers["x-amzn-errortype"]).toBe("ThingMissingException");
    expect(answer).toEqual({ message: "There is no t.", thing: "t" });
  });
});
