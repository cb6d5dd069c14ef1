import { describe, expect, it } from "vitest";
import { AwsError } from "../../core/aws-error.ts";
import { createServiceCodec } from "../service-codec.ts";
import { formRequest, TEST_CONTEXT, testService } from "../test-model.ts";

/** Cases after Smithy's httpRequestTests and httpResponseTests of awsQuery and ec2Query; their ids are in the names. */

type Dialect = "awsQuery" | "ec2Query";

async function call(
  protocol: Dialect,
  form: string,
  output?: unknown,
): Promise<{ readonly input: unknown; readonly status: number; readonly body: string }> {
  let input: unknown;
  const handle = (given: unknown): Promise<unknown> => Promise.resolve(((input = given), output ?? { name: "n" }));
  const codec = await createServiceCodec(testService({ protocol }, { Echo: handle }));
  const response = await codec.invoke(formRequest(form), TEST_CONTEXT);
  return { input, status: response.status, body: response.body.replace('<?xml version="1.0" encoding="UTF-8"?>\n', "") };
}

const q = (parameters: string): string => `Action=Echo&Version=2026-01-01&${parameters}`;

describe("awsQuery: requests", () => {
  it.each([
    ["QuerySimpleInputParamsStrings", "name=val1", { name: "val1" }],
    ["QuerySimpleInputParamsBooleanTrue", "name=n&flag=true", { name: "n", flag: true }],
    ["QuerySimpleInputParamsInteger", "name=n&count=10", { name: "n", count: 10 }],
    ["QuerySimpleInputParamsBlob", "name=n&data=dmFsdWU%3D", { name: "n", data: new Uint8Array(Buffer.from("value")) }],
    ["QueryTimestampsInput", "name=n&when=2015-01-25T08%3A00%3A00Z", { name: "n", when: new Date("2015-01-25T08:00:00Z") }],
    ["QueryLists", "name=n&names.member.1=a&names.member.2=b", { name: "n", names: ["a", "b"] }],
    ["QueryLists: by number, not by text", "name=n&names.member.10=j&names.member.2=b&names.member.1=a", { name: "n", names: ["a", "b", "j"] }],
    ["EmptyQueryLists", "name=n&names=", { name: "n", names: [] }],
    ["QueryListArgWithXmlName", "name=n&Other=x", { name: "n", renamed: "x" }],
    ["QueryListArgWithXmlNameMember", "name=n&listedSet.item.1=x", { name: "n", listed: ["x"] }],
    ["QueryFlattenedListArgWithXmlName", "name=n&flat.1=a&flat.2=b", { name: "n", flat: ["a", "b"] }],
    ["QueryNestedStructures", "name=n&inner.name=i&inner.inner.name=j", { name: "n", inner: { name: "i", inner: { name: "j" } } }],
    ["QueryComplexListArg", "name=n&inners.member.1.name=a&inners.member.1.values.item.1=v", { name: "n", inners: [{ name: "a", values: ["v"] }] }],
    [
      "QuerySimpleMaps",
      "name=n&labels.entry.1.key=k&labels.entry.1.value=v&labels.entry.2.key=l&labels.entry.2.value=w",
      { name: "n", labels: { k: "v", l: "w" } },
    ],
    ["QueryQueryFlattenedMaps", "name=n&flatLabels.1.K=k&flatLabels.1.V=v", { name: "n", flatLabels: { k: "v" } }],
    ["spaces and plus signs", "name=a+b%2Bc%20d", { name: "a b+c d" }],
    ["parameters that the model lacks are ignored", "name=n&Nobody=1", { name: "n" }],
  ])("%s", async (_id, form, input) => {
    expect((await call("awsQuery", q(form))).input).toEqual(input);
  });

  it("takes parameters of the URL too, as a presigned GET sends them", async () => {
    const codec = await createServiceCodec(testService({ protocol: "awsQuery" }));
    const request = { ...formRequest(""), method: "GET", query: q("name=x&X-Amz-Signature=00"), headers: {} };
    expect((await codec.invoke(request, TEST_CONTEXT)).body).toContain("<EchoResult><name>x</name></EchoResult>");
  });
});

describe("awsQuery: answers", () => {
  it.each([
    ["QuerySimpleScalarProperties", { name: "n", count: 1, flag: false }, "<name>n</name><count>1</count><flag>false</flag>"],
    ["QueryXmlTimestamps", { name: "n", when: new Date("2014-04-29T18:30:38Z") }, "<name>n</name><when>2014-04-29T18:30:38Z</when>"],
    ["QueryXmlTimestamps, of ms", { name: "n", when: Date.UTC(2014, 3, 29, 18, 30, 38, 5) }, "<name>n</name><when>2014-04-29T18:30:38.005Z</when>"],
    ["QueryXmlBlobs", { name: "n", data: Buffer.from("value") }, "<name>n</name><data>dmFsdWU=</data>"],
    ["QueryXmlLists", { name: "n", names: ["a", "b"] }, "<name>n</name><names><member>a</member><member>b</member></names>"],
    ["QueryXmlEmptyLists", { name: "n", names: [] }, "<name>n</name><names/>"],
    ["QueryXmlListsWithXmlName", { name: "n", listed: ["a"], renamed: "r" }, "<name>n</name><Other>r</Other><listedSet><item>a</item></listedSet>"],
    ["QueryFlattenedXmlList", { name: "n", flat: ["a", "b"] }, "<name>n</name><flat>a</flat><flat>b</flat>"],
    ["QueryXmlMaps", { name: "n", labels: { k: "v" } }, "<name>n</name><labels><entry><key>k</key><value>v</value></entry></labels>"],
    ["QueryQueryFlattenedXmlMap", { name: "n", flatLabels: { k: "v" } }, "<name>n</name><flatLabels><K>k</K><V>v</V></flatLabels>"],
    [
      "RecursiveShapes",
      { name: "n", inner: { name: "i", inner: { name: "j" } } },
      "<name>n</name><inner><name>i</name><inner><name>j</name></inner></inner>",
    ],
    [
      "escapes and characters that XML lacks",
      { name: `<a href="x">&'\r\u0000\ud800😀</a>` },
      "<name>&lt;a href=&quot;x&quot;&gt;&amp;&apos;&#xD;\ufffd\ufffd😀&lt;/a&gt;</name>",
    ],
  ])("%s", async (_id, output, content) => {
    const { body } = await call("awsQuery", q("name=n"), output);
    expect(body).toBe(
      `<EchoResponse xmlns="https://test.example.com/doc/2026-01-01/"><EchoResult>${content}</EchoResult><ResponseMetadata><RequestId>${TEST_CONTEXT.requestId}</RequestId></ResponseMetadata></EchoResponse>`,
    );
  });

  it("QueryNoInputAndNoOutput: no result element", async () => {
    const { body } = await call("awsQuery", "Action=Nothing&Version=2026-01-01");
    expect(body).toMatch(/^<NothingResponse xmlns="[^"]+"><ResponseMetadata><RequestId>[^<]+<\/RequestId><\/ResponseMetadata><\/NothingResponse>$/);
  });

  it("QueryCustomizedError: the code and status of the model", async () => {
    const busy = (): Promise<never> => Promise.reject(new AwsError("BusyException", "It is <busy>."));
    const codec = await createServiceCodec(testService({ protocol: "awsQuery" }, { Nothing: busy }));
    const response = await codec.invoke(formRequest("Action=Nothing"), TEST_CONTEXT);
    expect(response.status).toBe(409);
    expect(response.headers["content-type"]).toBe("text/xml;charset=UTF-8");
    expect(response.body).toContain(
      `<ErrorResponse xmlns="https://test.example.com/doc/2026-01-01/"><Error><Type>Sender</Type><Code>Busy</Code><Message>It is &lt;busy&gt;.</Message></Error><RequestId>${TEST_CONTEXT.requestId}</RequestId></ErrorResponse>`,
    );
  });

  it.each([
    ["Action=Nonsense", 400, "InvalidAction", "Could not find operation Nonsense for version 2026-01-01"],
    ["Version=2026-01-01", 400, "MissingAction", "Action"],
    ["Action=Unbuilt", 400, "UnsupportedOperation", "The operation Unbuilt of test-service is not built in Tidegate yet."],
    ["Action=Echo", 400, "ValidationError", "Value null at &apos;name&apos; failed to satisfy constraint: Member must not be null"],
    ["Action=Echo&name=n&flag=maybe", 400, "MalformedInput", "Value &apos;maybe&apos; at &apos;flag&apos; can not be converted to Boolean."],
    ["Action=Echo&name=%zz", 400, "MalformedQueryString", "percent sign"],
  ])("refuses %s", async (form, status, code, message) => {
    const answer = await call("awsQuery", form);
    expect(answer.status).toBe(status);
    expect(answer.body).toContain(`<Code>${code}</Code>`);
    expect(answer.body).toContain(message);
  });
});

describe("ec2Query", () => {
  it.each([
    ["Ec2SimpleInputParamsStrings: capital first letters", "Name=val1&Count=10&Flag=true", { name: "val1", count: 10, flag: true }],
    ["Ec2SimpleInputParamsStringsWithXmlName", "Name=n&Other=x", { name: "n", renamed: "x" }],
    ["Ec2ListMember: always flat", "Name=n&Names.1=a&Names.2=b", { name: "n", names: ["a", "b"] }],
    ["Ec2ListNestedStructs", "Name=n&Inners.1.Name=a&Inners.1.Values.1=v", { name: "n", inners: [{ name: "a", values: ["v"] }] }],
    ["Ec2Query name wins over the XML name", "Name=n&Listed.1=x", { name: "n", listed: ["x"] }],
  ])("%s", async (_id, form, input) => {
    expect((await call("ec2Query", q(form))).input).toEqual(input);
  });

  it("Ec2XmlLists: members straight inside the response, times with ms", async () => {
    const { body } = await call("ec2Query", q("Name=n"), { name: "n", names: ["a"], when: new Date("2026-01-01T00:00:00Z") });
    expect(body).toBe(
      `<EchoResponse xmlns="https://test.example.com/doc/2026-01-01/"><requestId>${TEST_CONTEXT.requestId}</requestId><name>n</name><when>2026-01-01T00:00:00.000Z</when><names><item>a</item></names></EchoResponse>`,
    );
  });

  it("an operation without output answers <return>true</return>", async () => {
    expect((await call("ec2Query", "Action=Nothing")).body).toContain("<return>true</return>");
  });

  it.each([
    ["Action=Echo&Name=n&Nobody.1=x", "UnknownParameter", "The parameter Nobody.1 is not recognized"],
    ["Action=Echo&Name=n&Count=many", "InvalidParameterValue", "Value (many) for parameter count is invalid. Expected a(n) Double."],
    ["Action=Echo", "MissingParameter", "The request must contain the parameter name"],
    ["Action=Nonsense", "InvalidAction", "The action Nonsense is not valid for this web service."],
  ])("refuses %s", async (form, code, message) => {
    const answer = await call("ec2Query", form);
    expect(answer.status).toBe(400);
    expect(answer.body).toBe(
      `<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>${TEST_CONTEXT.requestId}</RequestID></Response>`,
    );
  });
});
