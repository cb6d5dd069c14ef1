import { NormalizedSchema } from "@smithy/core/schema";
import { describe, expect, it } from "vitest";
import type { Service } from "../contracts/service.ts";
import { loadConstraints } from "./constraints.ts";
import { createServiceCodec } from "./service-codec.ts";
import { TEST_CONTEXT } from "./test-model.ts";
import { operationsOf } from "./schema.ts";

const CLIENTS: Readonly<Record<string, () => Promise<Readonly<Record<string, unknown>>>>> = {
  ecs: () => import("@aws-sdk/client-ecs"),
  ecr: () => import("@aws-sdk/client-ecr"),
  ec2: () => import("@aws-sdk/client-ec2"),
  elbv2: () => import("@aws-sdk/client-elastic-load-balancing-v2"),
  logs: () => import("@aws-sdk/client-cloudwatch-logs"),
  iam: () => import("@aws-sdk/client-iam"),
  sts: () => import("@aws-sdk/client-sts"),
};

describe.each(Object.keys(CLIENTS))("constraints of %s", (service) => {
  it("name operations, structures and members that the SDK's schemas have", async () => {
    const [file, module] = await Promise.all([loadConstraints(service), CLIENTS[service]!()]);
    const operations = operationsOf(module);
    expect(Object.keys(file.operations).filter((name) => !operations.has(name))).toEqual([]);
    const structures = new Map<string, readonly string[]>();
    for (const schema of Object.values(module)) {
      if (Array.isArray(schema) && (schema[0] === 3 || schema[0] === 4)) structures.set(String(schema[2]), schema[4] as string[]);
    }
    const strays = Object.entries(file.members).flatMap(([structure, members]) =>
      Object.keys(members)
        .filter((member) => !structures.get(structure)?.includes(member))
        .map((member) => `${structure}.${member}`),
    );
    expect(strays).toEqual([]);
  });

  it("have patterns that compile and shapes that are all there", async () => {
    const file = await loadConstraints(service);
    for (const { pattern, regex } of Object.values(file.shapes))
      if (pattern !== undefined) expect(() => new RegExp(`^(?:${regex ?? pattern})$`, "u")).not.toThrow();
    const named = [
      ...Object.values(file.shapes).flatMap(({ member, key, value }) => [member, key, value]),
      ...Object.values(file.members).flatMap((members) => Object.values(members)),
    ];
    expect(named.filter((name) => name !== undefined && !(name in file.shapes))).toEqual([]);
  });
});

describe("a real service's constraints", () => {
  const ecs: Service = {
    name: "ecs",
    signingName: "ecs",
    targetPrefix: "AmazonEC2ContainerServiceV20141113",
    apiVersion: "2014-11-13",
    protocol: "awsJson1_1",
    loadSchemas: CLIENTS["ecs"]!,
    operations: [
      {
        name: "RunTask",
        members: {
          taskDefinition: "used",
          count: "used",
          launchType: { refused: "only FARGATE runs here", unless: ["FARGATE"] },
          referenceId: { ignored: "nothing reads it" },
          "overrides.cpu": "used",
          "overrides.containerOverrides.name": "used",
          tags: "used",
        },
        handle: (input: unknown) => Promise.resolve({ tasks: [], failures: [{ reason: JSON.stringify(input) }] }),
      },
    ],
  };

  async function run(input: object): Promise<string> {
    const codec = await createServiceCodec(ecs);
    const headers = { "x-amz-target": "AmazonEC2ContainerServiceV20141113.RunTask" };
    const response = await codec.invoke({ method: "POST", path: "/", query: "", headers, body: Buffer.from(JSON.stringify(input)) }, TEST_CONTEXT);
    const body = JSON.parse(response.body) as { readonly __type?: string; readonly message?: string };
    return body.__type === undefined ? "ok" : `${body.__type}: ${body.message}`;
  }

  const value = (shown: string, path: string, rule: string): string =>
    `InvalidParameterException: 1 validation error detected: Value '${shown}' at '${path}' failed to satisfy constraint: ${rule}`;

  it.each([
    [{ taskDefinition: "web" }, "ok"],
    [
      {},
      "InvalidParameterException: 1 validation error detected: Value null at 'taskDefinition' failed to satisfy constraint: Member must not be null",
    ],
    [
      { taskDefinition: "web", launchType: "CLOUD" },
      value("CLOUD", "launchType", "Member must satisfy enum value set: [EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES]"),
    ],
    [
      { taskDefinition: "web", tags: Array.from({ length: 51 }, () => ({ key: "k" })) },
      value(`[${Array.from({ length: 51 }, () => "{…}").join(", ")}]`, "tags", "Member must have length less than or equal to 50"),
    ],
    [
      { taskDefinition: "web", tags: [{ key: "x".repeat(129) }] },
      value("x".repeat(129), "tags.1.member.key", "Member must have length less than or equal to 128"),
    ],
    [
      { taskDefinition: "web", tags: [{ key: "😀".repeat(100) }] },
      value("😀".repeat(100), "tags.1.member.key", "Member must satisfy regular expression pattern: ([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)"),
    ],
    [{ taskDefinition: "web", count: 1.5 }, "SerializationException: DECIMAL_VALUE can not be converted to Integer at 'count'."],
    [{ taskDefinition: "web", launchType: "FARGATE", referenceId: "r", tags: [] }, "ok"],
    [{ taskDefinition: "web", launchType: "EC2" }, "UnsupportedFeatureException: Tidegate does not support launchType: only FARGATE runs here."],
    [
      { taskDefinition: "web", enableExecuteCommand: true },
      "UnsupportedFeatureException: Tidegate does not support enableExecuteCommand: it is not built yet.",
    ],
    [{ taskDefinition: "web", placementConstraints: [] }, "ok"],
    [{ taskDefinition: "web", overrides: { cpu: "1", containerOverrides: [{ name: "a" }] } }, "ok"],
    [
      { taskDefinition: "web", overrides: { containerOverrides: [{ name: "a" }, { cpu: 1 }] } },
      "UnsupportedFeatureException: Tidegate does not support overrides.containerOverrides.cpu: it is not built yet.",
    ],
    [
      { taskDefinition: "web", overrides: { memory: "1" } },
      "UnsupportedFeatureException: Tidegate does not support overrides.memory: it is not built yet.",
    ],
  ])("%j", async (input, answer) => {
    expect(await run(input)).toBe(answer);
  });

  it("a treatment of a member that does not exist is found at once", async () => {
    const [operation] = ecs.operations;
    const codec = await createServiceCodec({ ...ecs, operations: [{ ...operation!, members: { taskdefinition: "used" } }] });
    expect(() => codec.operation("RunTask")).toThrow("the input has no member taskdefinition");
  });

  it("the SDK's schemas still carry the required count where it is looked for", async () => {
    const { RunTaskRequest$ } = await import("@aws-sdk/client-ecs");
    expect((NormalizedSchema.of(RunTaskRequest$).getSchema() as unknown as unknown[])[6]).toBe(1);
  });
});
