import { expect, it } from "vitest";
import { createMemoryStore } from "../../store/memory/memory-store.ts";
import { definition, setUpEcs } from "./testing.ts";

type Schema = readonly unknown[] | (() => Schema) | number;

/** Whether a member path leads somewhere in the SDK's schema of a structure. */
function leads(schema: Schema, path: readonly string[]): boolean {
  const resolved = typeof schema === "function" ? schema() : schema;
  if (path.length === 0) return true;
  if (!Array.isArray(resolved)) return false;
  const entries: readonly unknown[] = resolved;
  const kind = entries[0];
  // A member with traits of its own: its schema, then the traits.
  if (typeof kind !== "number") return leads(kind as Schema, path);
  // A list's element is its fifth entry; a structure's names and schemas are its fifth and sixth.
  if (kind === 1) return leads(entries[4] as Schema, path);
  const names = entries[4] as readonly string[];
  const at = names.indexOf(path[0] ?? "");
  return at >= 0 && leads((entries[5] as readonly Schema[])[at] ?? 0, path.slice(1));
}

it("treats only members that the model has, and leaves no required one out", async () => {
  await using test = await setUpEcs({ store: createMemoryStore(), controllers: false });
  const schemas = await test.ecs.loadSchemas();
  for (const operation of test.ecs.operations) {
    const schema = schemas[`${operation.name}$`] as readonly unknown[];
    expect(schema, operation.name).toBeDefined();
    const input = schema[4] as () => Schema;
    for (const path of Object.keys(operation.members))
      expect([operation.name, path, leads(input, path.split("."))]).toEqual([operation.name, path, true]);
    const structure = (typeof input === "function" ? input() : input) as readonly unknown[];
    const required = (structure[4] as readonly string[]).slice(0, Number(structure[6] ?? 0));
    for (const member of required) expect(operation.members, `${operation.name}.${member}`).toHaveProperty(member);
  }
});

it("keeps revisions apart when they are registered at once", async () => {
  await using test = await setUpEcs({ store: createMemoryStore(), controllers: false });
  const answers = await Promise.all([1, 2, 3].map(() => test.call("RegisterTaskDefinition", definition("web"))));
  expect(answers.map((answer) => answer.taskDefinition.revision).sort((a, b) => a - b)).toEqual([1, 2, 3]);
  expect((await test.call("ListTaskDefinitions", { sort: "DESC" })).taskDefinitionArns[0]).toMatch(/web:3$/);
});

it("keeps the family's number, and removes a deleted revision when nothing uses it", async () => {
  await using test = await setUpEcs({ store: createMemoryStore() });
  await test.call("RegisterTaskDefinition", definition("web"));
  expect((await test.call("DeleteTaskDefinitions", { taskDefinitions: ["web:1"] })).failures[0].detail).toContain("still in ACTIVE status");
  await test.call("DeregisterTaskDefinition", { taskDefinition: "web:1" });
  const { taskDefinitions } = await test.call("DeleteTaskDefinitions", { taskDefinitions: ["web:1"] });
  expect(taskDefinitions[0].status).toBe("DELETE_IN_PROGRESS");
  await test.settle();
  expect(await test.refusal("DescribeTaskDefinition", { taskDefinition: "web:1" })).toBe("ClientException: Unable to describe task definition.");
  expect((await test.call("RegisterTaskDefinition", definition("web"))).taskDefinition.revision).toBe(2);
});

it("has clusters that are re-created as they are, described, tagged and deleted", async () => {
  await using test = await setUpEcs({ store: createMemoryStore() });
  await test.call("CreateCluster", { clusterName: "c", capacityProviders: ["FARGATE", "FARGATE_SPOT"], tags: [{ key: "a", value: "1" }] });
  const arn = "arn:aws:ecs:us-east-1:111122223333:cluster/c";
  await test.call("TagResource", { resourceArn: arn, tags: [{ key: "b", value: "2" }] });
  await test.call("UntagResource", { resourceArn: arn, tagKeys: ["a"] });
  const { clusters, failures } = await test.call("DescribeClusters", { clusters: [arn, "none"], include: ["TAGS", "STATISTICS"] });
  expect(clusters[0]).toMatchObject({
    clusterArn: arn,
    status: "ACTIVE",
    tags: [{ key: "b", value: "2" }],
    capacityProviders: ["FARGATE", "FARGATE_SPOT"],
  });
  expect(clusters[0].statistics).toContainEqual({ name: "runningFargateTasksCount", value: "0" });
  expect(failures).toEqual([{ arn: "arn:aws:ecs:us-east-1:111122223333:cluster/none", reason: "MISSING" }]);
  await test.call("DeleteCluster", { cluster: "c" });
  expect((await test.call("DescribeClusters", { clusters: ["c"] })).clusters[0].status).toBe("INACTIVE");
  expect((await test.call("ListClusters", {})).clusterArns).toEqual([]);
  expect(await test.refusal("DeleteCluster", { cluster: "c" })).toBe("ClusterNotFoundException: Cluster not found.");
});
