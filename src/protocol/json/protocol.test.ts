import { describe, expect, it } from "vitest";
import { AwsError } from "../../core/aws-error.ts";
import { createServiceCodec } from "../service-codec.ts";
import { jsonRequest, TEST_CONTEXT, testService } from "../test-model.ts";

/** Cases after Smithy's httpRequestTests and httpResponseTests of awsJson1_1; their ids are in the names. */

async function echo(body: unknown): Promise<{ readonly input: unknown; readonly status: number; readonly answer: Record<string, unknown> }> {
  let input: unknown;
  const codec = await createServiceCodec(testService({ protocol: "awsJson1_1" }, { Echo: (given) => Promise.resolve((input = given)) }));
  const response = await codec.invoke(jsonRequest("Echo", body), TEST_CONTEXT);
  return { input, status: response.status, answer: JSON.parse(response.body) as Record<string, unknown> };
}

describe("awsJson1_1: requests and answers", () => {
  it.each([
    ["serializes_string_shapes", { name: "abc xyz" }, { name: "abc xyz" }],
    ["serializes_string_shapes_with_jsonvalue_trait: escapes", { name: 'a"b\\c\n\u2028é😀' }, { name: 'a"b\\c\n\u2028é😀' }],
    ["serializes_integer_shapes", { name: "n", count: 1234 }, { name: "n", count: 1234 }],
    ["serializes_boolean_shapes_true", { name: "n", flag: true }, { name: "n", flag: true }],
    ["serializes_boolean_shapes_false", { name: "n", flag: false }, { name: "n", flag: false }],
    ["serializes_timestamp_shapes", { name: "n", when: 946845296 }, { name: "n", when: new Date("2000-01-02T20:34:56Z") }],
    ["AwsJson11 fractional seconds", { name: "n", when: 946845296.123 }, { name: "n", when: new Date("2000-01-02T20:34:56.123Z") }],
    ["serializes_blob_shapes", { name: "n", data: "YmluYXJ5LXZhbHVl" }, { name: "n", data: new Uint8Array(Buffer.from("binary-value")) }],
    ["serializes_empty_list_shapes", { name: "n", names: [] }, { name: "n", names: [] }],
    ["serializes_list_shapes", { name: "n", names: ["a", "b"] }, { name: "n", names: ["a", "b"] }],
    [
      "serializes_list_of_structure_shapes",
      { name: "n", inners: [{ name: "a" }, { name: "b" }] },
      { name: "n", inners: [{ name: "a" }, { name: "b" }] },
    ],
    ["serializes_empty_map_shapes", { name: "n", labels: {} }, { name: "n", labels: {} }],
    ["serializes_map_shapes", { name: "n", labels: { a: "b", "": "c" } }, { name: "n", labels: { a: "b", "": "c" } }],
    [
      "serializes_recursive_structure_shapes",
      { name: "n", inner: { name: "1", inner: { name: "2" } } },
      { name: "n", inner: { name: "1", inner: { name: "2" } } },
    ],
    ["serializes_empty_structure_shapes", { name: "n", choice: {} }, { name: "n", choice: {} }],
    ["AwsJson11SerializeStringUnionValue", { name: "n", choice: { text: "foo" } }, { name: "n", choice: { text: "foo" } }],
    ["PutAndGetInlineDocumentsInput", { name: "n", anything: { foo: ["bar", 1, null] } }, { name: "n", anything: { foo: ["bar", 1, null] } }],
    ["awsJson ignores jsonName", { name: "n", renamed: "x" }, { name: "n", renamed: "x" }],
  ])("%s", async (_id, body, input) => {
    const result = await echo(body);
    expect(result.input).toEqual(input);
    expect(result.answer).toEqual(body);
  });

  it("AwsJson11StructuresDontSerializeNullValues: null is absent, in structures, lists and maps", async () => {
    const result = await echo({ name: "n", count: null, names: ["a", null], labels: { a: null, b: "c" } });
    expect(result.input).toEqual({ name: "n", names: ["a"], labels: { b: "c" } });
  });

  it("SDKAppliedContentEncoding aside, members that the model lacks are ignored, as AWS does", async () => {
    const result = await echo({ name: "n", nobodyKnows: 1, other: "jsonName is not for awsJson" });
    expect(result).toMatchObject({ status: 200, input: { name: "n" }, answer: { name: "n" } });
  });

  it("a key named __proto__ is data", async () => {
    const result = await echo('{"name":"n","labels":{"__proto__":"x"}}');
    expect(Object.getPrototypeOf((result.input as { labels: object }).labels)).toBe(Object.prototype);
    expect(Object.keys((result.input as { labels: object }).labels)).toEqual(["__proto__"]);
  });

  it("an operation without input takes an empty body; one without output answers {}", async () => {
    const codec = await createServiceCodec(testService({ protocol: "awsJson1_1" }));
    const response = await codec.invoke(jsonRequest("Nothing", ""), TEST_CONTEXT);
    expect(response).toMatchObject({
      status: 200,
      body: "{}",
      headers: { "content-type": "application/x-amz-json-1.1", "x-amzn-requestid": TEST_CONTEXT.requestId },
    });
  });

  it("answers hold only what the model has; times may be ms", async () => {
    const codec = await createServiceCodec(
      testService({ protocol: "awsJson1_1" }, { Echo: () => Promise.resolve({ name: "n", when: 946845296123, secretOfOurs: 1, names: undefined }) }),
    );
    const response = await codec.invoke(jsonRequest("Echo", { name: "n" }), TEST_CONTEXT);
    expect(JSON.parse(response.body)).toEqual({ name: "n", when: 946845296.123 });
  });

  it("keeps the text of a frozen structure in a list, and only of a frozen one", async () => {
    let reads = 0;
    const item = (frozen: boolean): object => {
      const made = Object.defineProperty({}, "name", { get: () => `read ${++reads}`, enumerable: true });
      return frozen ? Object.freeze(made) : made;
    };
    const inners = [item(true), item(false)];
    const codec = await createServiceCodec(testService({ protocol: "awsJson1_1" }, { Echo: () => Promise.resolve({ name: "n", inners }) }));
    const first = await codec.invoke(jsonRequest("Echo", { name: "n" }), TEST_CONTEXT);
    const second = await codec.invoke(jsonRequest("Echo", { name: "n" }), TEST_CONTEXT);
    expect(JSON.parse(first.body)).toMatchObject({ inners: [{ name: "read 1" }, { name: "read 2" }] });
    expect(JSON.parse(second.body)).toMatchObject({ inners: [{ name: "read 1" }, { name: "read 3" }] });
  });
});

describe("awsJson1_1: what is refused", () => {
  it.each([
    ["a body that is no JSON", '{"name"', /not valid JSON/],
    ["a body that is no structure", "[]", /Start of list found where not expected: expected Structure/],
    ["a number for a string", { name: 1 }, /NUMBER_VALUE can not be converted to String at 'name'/],
    ["a string for a number", { name: "n", numbers: { a: "1" } }, /STRING_VALUE can not be converted to Double at 'numbers.a'/],
    ["a string for a boolean", { name: "n", flag: "true" }, /STRING_VALUE can not be converted to Boolean at 'flag'/],
    ["a structure for a list", { name: "n", names: {} }, /Start of structure or map found where not expected at 'names'/],
    ["a wrong type deep inside", { name: "n", inners: [{ name: "a" }, { name: "b", values: [7] }] }, /at 'inners.2.member.values.1.member'/],
    ["a blob that is no base64", { name: "n", data: "a-b" }, /converted to Blob/],
    ["a time that is text", { name: "n", when: "2026-01-01" }, /converted to Timestamp/],
  ])("%s", async (_what, body, message) => {
    const { status, answer } = await echo(body);
    expect(status).toBe(400);
    expect(answer["__type"]).toBe("SerializationException");
    expect(answer["message"]).toMatch(message);
  });

  it("missing members, in order, all at once", async () => {
    const { status, answer } = await echo({ inners: [{}, { name: "x" }] });
    expect(status).toBe(400);
    expect(answer).toEqual({
      __type: "ValidationException",
      message:
        "2 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; Value null at 'inners.1.member.name' failed to satisfy constraint: Member must not be null",
    });
  });

  it.each([
    ["Unbuilt", "The operation Unbuilt of test-service is not built in Tidegate yet."],
    ["Nonsense", "test-service has no operation Nonsense."],
  ])("operation %s", async (operation, message) => {
    const codec = await createServiceCodec(testService({ protocol: "awsJson1_1" }));
    const response = await codec.invoke(jsonRequest(operation, {}), TEST_CONTEXT);
    expect(response.status).toBe(400);
    expect(response.headers["x-amzn-errortype"]).toBe("UnknownOperationException");
    expect(JSON.parse(response.body)).toEqual({ __type: "UnknownOperationException", message });
  });

  it("AwsJson11FooErrorUsingXAmznErrorType: a handler's error takes the model's status, and its fields go along", async () => {
    const failing = (): Promise<never> => Promise.reject(new AwsError("BusyException", "It is busy.", { fields: { holder: "me" } }));
    const codec = await createServiceCodec(testService({ protocol: "awsJson1_1" }, { Nothing: failing }));
    const response = await codec.invoke(jsonRequest("Nothing", {}), TEST_CONTEXT);
    expect(response.status).toBe(409);
    expect(JSON.parse(response.body)).toEqual({ __type: "BusyException", message: "It is busy.", holder: "me" });
  });

  it("anything else thrown is a 500 that tells nothing but the request id", async () => {
    const codec = await createServiceCodec(testService({ protocol: "awsJson1_1" }, { Nothing: () => Promise.reject(new Error("password=hunter2")) }));
    const response = await codec.invoke(jsonRequest("Nothing", {}), TEST_CONTEXT);
    expect(response.status).toBe(500);
    expect(response.body).toContain(TEST_CONTEXT.requestId);
    expect(response.body).not.toContain("hunter2");
  });
});
