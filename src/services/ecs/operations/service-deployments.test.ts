import { afterEach, beforeEach, expect, it } from "vitest";
import { createMemoryStore } from "../../../store/memory/memory-store.ts";
import { KEPT_DEPLOYMENTS } from "../service-deployments.ts";
import { type Answer, definition, type EcsUnderTest, IMAGE_DIGEST, NETWORK, setUpEcs } from "../testing.ts";

let test: EcsUnderTest;
beforeEach(async () => {
  test = await setUpEcs({ store: createMemoryStore() });
  await test.call("CreateCluster", {});
  await test.call("RegisterTaskDefinition", definition());
});
afterEach(() => test[Symbol.asyncDispose]());

const CREATE = { serviceName: "web", taskDefinition: "web", desiredCount: 2, launchType: "FARGATE", networkConfiguration: NETWORK } as const;
const BREAKER = { deploymentConfiguration: { deploymentCircuitBreaker: { enable: true, rollback: true } } } as const;
const shown = async (): Promise<Answer> => (await test.call("DescribeServices", { services: ["web"] })).services[0];
const list = async (options: object = {}): Promise<Answer[]> =>
  (await test.call("ListServiceDeployments", { service: "web", ...options })).serviceDeployments;
const statuses = async (): Promise<string[]> => (await list()).map(({ status }: Answer) => status as string);
const describeOne = async (arn: string): Promise<Answer> =>
  (await test.call("DescribeServiceDeployments", { serviceDeploymentArns: [arn] })).serviceDeployments[0];

it("tells a deployment's course, and what it is made from", async () => {
  const { service } = await test.call("CreateService", CREATE);
  expect(await statuses()).toEqual(["IN_PROGRESS"]);
  await test.settle(6_000);
  const [brief] = await list();
  const id = (service.deployments[0].id as string).split("/")[1];
  expect(brief).toMatchObject({
    serviceDeploymentArn: service.currentServiceDeployment,
    status: "SUCCESSFUL",
    finishedAt: expect.any(Date) as Date,
    targetServiceRevisionArn: `arn:aws:ecs:us-east-1:111122223333:service-revision/default/web/${id}`,
  });
  expect(await describeOne(service.currentServiceDeployment)).toMatchObject({
    status: "SUCCESSFUL",
    sourceServiceRevisions: [],
    targetServiceRevision: { arn: brief.targetServiceRevisionArn, requestedTaskCount: 2, runningTaskCount: 2, pendingTaskCount: 0 },
    deploymentCircuitBreaker: { status: "DISABLED", failureCount: 0, threshold: 3 },
    alarms: { status: "DISABLED" },
  });
  const { serviceRevisions } = await test.call("DescribeServiceRevisions", { serviceRevisionArns: [brief.targetServiceRevisionArn] });
  expect(serviceRevisions).toMatchObject([
    {
      taskDefinition: service.taskDefinition,
      launchType: "FARGATE",
      networkConfiguration: NETWORK,
      containerImages: [{ containerName: "app", imageDigest: IMAGE_DIGEST }],
    },
  ]);
});

it("keeps what is over: a success, one that a newer has replaced, one that the service's end has stopped", async () => {
  await test.call("CreateService", CREATE);
  await test.settle(6_000);
  const first = (await list())[0];
  test.engine.behaviour = "still";
  await test.call("UpdateService", { service: "web", forceNewDeployment: true });
  await test.settle(1_000);
  await test.call("UpdateService", { service: "web", forceNewDeployment: true });
  expect(await statuses()).toEqual(["IN_PROGRESS", "STOPPED", "SUCCESSFUL"]);
  const [newest, replaced] = await list();
  expect((await describeOne(newest.serviceDeploymentArn)).sourceServiceRevisions.map(({ arn }: Answer) => arn as string)).toEqual([
    replaced.targetServiceRevisionArn,
    first.targetServiceRevisionArn,
  ]);
  expect(await describeOne(replaced.serviceDeploymentArn)).toMatchObject({ status: "STOPPED", stoppedAt: expect.any(Date) as Date });
  expect(await list({ status: ["SUCCESSFUL"] })).toEqual([first]);
  expect(await list({ createdAt: { after: replaced.createdAt } })).toMatchObject([{ serviceDeploymentArn: newest.serviceDeploymentArn }]);
  const page = await test.call("ListServiceDeployments", { service: "web", maxResults: 2 });
  const rest = await test.call("ListServiceDeployments", { service: "web", maxResults: 2, nextToken: page.nextToken });
  expect([...page.serviceDeployments, ...rest.serviceDeployments]).toEqual(await list());
  await test.call("DeleteService", { service: "web", force: true });
  await test.settle();
  for (const { workload, status } of test.engine.views.values()) if (status.state !== "STOPPED") test.engine.end(workload.id, 143);
  await test.settle();
  expect((await shown()).status).toBe("INACTIVE");
  expect(await statuses()).toEqual(["STOPPED", "STOPPED", "SUCCESSFUL"]);
});

it("tells a rollback as the failed deployment's, while it goes on and when it is done", async () => {
  await test.call("CreateService", { ...CREATE, ...BREAKER });
  await test.settle(6_000);
  const [first] = await list();
  test.engine.behaviour = "fails";
  await test.call("UpdateService", { service: "web", forceNewDeployment: true });
  for (let look = 0; (await statuses())[0] === "IN_PROGRESS" && look < 60; look++) await test.settle(1_000);
  const [failed] = await list();
  expect(["ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]).toContain(failed.status);
  expect(await describeOne(failed.serviceDeploymentArn)).toMatchObject({
    statusReason: "ECS deployment circuit breaker: tasks failed to start.",
    rollback: { serviceRevisionArn: first.targetServiceRevisionArn, startedAt: expect.any(Date) as Date },
    deploymentCircuitBreaker: { status: "TRIGGERED", threshold: 3 },
  });
  test.engine.behaviour = "runs";
  await test.settle(60_000);
  expect(await statuses()).toEqual(["ROLLBACK_SUCCESSFUL", "SUCCESSFUL"]);
});

it("keeps the newest hundred, and none of a service that is forgotten", async () => {
  await test.call("CreateService", { ...CREATE, desiredCount: 0 });
  for (let count = 0; count < KEPT_DEPLOYMENTS + 1; count++) await test.call("UpdateService", { service: "web", forceNewDeployment: true });
  expect(await list({ maxResults: 100 })).toHaveLength(KEPT_DEPLOYMENTS);
  const [newest] = await list();
  await test.call("DeleteService", { service: "web" });
  await test.settle(2 * 60 * 60_000);
  const { failures } = await test.call("DescribeServiceRevisions", { serviceRevisionArns: [newest.targetServiceRevisionArn] });
  expect(failures).toEqual([{ arn: newest.targetServiceRevisionArn, reason: "MISSING" }]);
});

it("refuses what it cannot find", async () => {
  await expect(list({ service: "nope" })).rejects.toMatchObject({ code: "ServiceNotFoundException" });
  await expect(describeOne("arn:aws:ecs:us-east-1:111122223333:service/default/web")).rejects.toMatchObject({ code: "InvalidParameterException" });
  const arn = "arn:aws:ecs:us-east-1:111122223333:service-deployment/default/web/abc";
  expect(await test.call("DescribeServiceDeployments", { serviceDeploymentArns: [arn] })).toEqual({
    serviceDeployments: [],
    failures: [{ arn, reason: "MISSING" }],
  });
});
