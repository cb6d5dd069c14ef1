import { expect, it } from "vitest";
import { redactRecord, scrubber } from "./redact.ts";

it("keeps identifiers, states and reasons, and leaves out what is a user's own wherever it stands", () => {
  const record = {
    workload: {
      id: "ab12",
      account: "100000000000",
      labels: { owner: "ecs", cluster: "default", secretLabel: "label-secret" },
      containers: [
        {
          name: "app",
          image: "localhost:4566/shop:1",
          command: ["sh", "-c", "PASSWORD=command-secret"],
          environment: [{ name: "DB_PASSWORD", value: "environment-secret" }],
          log: { type: "awslogs", group: "/shop" },
        },
      ],
      taskRoleArn: "arn:aws:iam::100000000000:role/shop",
      memoryMiB: 512,
    },
    credentialsId: "0b5c-endpoint-secret",
    stop: { code: "UserInitiated", reason: "asked for", atMs: 7 },
  };
  const { value, hidden } = redactRecord("fargate.workload", record);
  const shown = JSON.stringify(value);
  for (const secret of ["label-secret", "command-secret", "environment-secret", "endpoint-secret"]) expect(shown).not.toContain(secret);
  expect(value).toMatchObject({
    workload: {
      account: "100000000000",
      labels: { owner: "ecs", cluster: "default" },
      containers: [{ name: "app", image: "localhost:4566/shop:1", environment: [{ name: "DB_PASSWORD", value: "(18 characters left out)" }] }],
      taskRoleArn: "arn:aws:iam::100000000000:role/shop",
      memoryMiB: 512,
    },
    stop: record.stop,
  });
  expect(hidden).toEqual(expect.arrayContaining(["label-secret", "PASSWORD=command-secret", "environment-secret", "0b5c-endpoint-secret"]));
});

it("shows nothing at all of keys and sessions, and knows what to look for elsewhere", () => {
  const { value, hidden } = redactRecord("iam.access-key", { accessKeyId: "AKIA1", secretAccessKey: "s3cr3t-key", account: "100000000000" });
  expect(value).toBeUndefined();
  expect(hidden).toEqual(["AKIA1", "s3cr3t-key", "100000000000"]);
});

it("takes known texts out of other texts, longer ones before what is in them", () => {
  const scrub = scrubber(["longer-secret-text", "secret-text", "short"]);
  expect(scrub("a longer-secret-text, a secret-text, a short one")).toBe("a (left out), a (left out), a short one");
});
