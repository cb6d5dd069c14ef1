import { readFile } from "node:fs/promises";
import type { V1PodSpec } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { removeWithoutTrace } from "../support/host-state.ts";
import { until } from "../support/instance.ts";
import { isReady, type PodsCluster, startPodsCluster } from "./support/pods-cluster.ts";
import { standsForRoles } from "./support/stands-for-roles.ts";

/** What a pod's spec asks for is what the pod has, by the real kubectl and the kernel; a cluster for all of it. */

let cluster: PodsCluster;
beforeAll(async () => {
  cluster = await startPodsCluster();
}, 45 * 60_000);
afterAll(() => removeWithoutTrace(cluster.instance));

const podOf: PodsCluster["podOf"] = (...parts) => cluster.podOf(...parts);

test(
  "volumes follow what they are made of, have their owners and limits, and cost the pod its life where it breaks them",
  { timeout: 240_000 },
  async () => {
    const { apply, kubectl, inPod, podUntil, events } = cluster;
    const config = (greeting: string): object => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "words" }, data: { greeting } });
    const mounts = [
      { name: "words", mountPath: "/words" },
      { name: "words", mountPath: "/one", subPath: "greeting" },
      { name: "later", mountPath: "/later" },
      { name: "labels", mountPath: "/labels" },
      { name: "fast", mountPath: "/fast" },
      { name: "scratch", mountPath: "/mine", subPathExpr: "$(POD)/mine" },
      { name: "scratch", mountPath: "/scratch" },
      { name: "token", mountPath: "/token" },
    ];
    const volumes: V1PodSpec["volumes"] = [
      { name: "words", configMap: { name: "words" } },
      { name: "later", secret: { secretName: "later", optional: true } },
      {
        name: "labels",
        downwardAPI: {
          items: [
            { path: "tier", fieldRef: { fieldPath: "metadata.labels['tier']" } },
            { path: "memory", resourceFieldRef: { containerName: "app", resource: "limits.memory", divisor: "1Mi" } },
          ],
        },
      },
      { name: "fast", emptyDir: { medium: "Memory", sizeLimit: "8Mi" } },
      { name: "scratch", emptyDir: { sizeLimit: "16Mi" } },
      { name: "token", projected: { sources: [{ serviceAccountToken: { path: "token", audience: "vault", expirationSeconds: 600 } }] } },
    ];
    const env = [{ name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }];
    const securityContext = { fsGroup: 2000, runAsUser: 1000 };
    await apply(config("hello"), podOf("volumes", { env, volumeMounts: mounts }, { volumes, securityContext }, { tier: "one" }));
    await podUntil("volumes", "is ready", isReady);
    expect(await inPod("volumes", "sh", "-c", "cat /words/greeting /labels/tier /labels/memory; ls /later")).toBe("helloone512");
    expect(await inPod("volumes", "sh", "-c", "touch /mine/x && ls /scratch/volumes/mine")).toBe("x\n");
    expect(await inPod("volumes", "sh", "-c", "ls -lnL /token/token /scratch | grep -v total")).toMatch(/^-rw-r-----\s+1 1000\s+2000 .*token/m);
    const claims = (await inPod("volumes", "cat", "/token/token")).split(".")[1] ?? "";
    expect(JSON.parse(Buffer.from(claims, "base64url").toString())).toMatchObject({ aud: ["vault"] });
    expect(await inPod("volumes", "sh", "-c", "dd if=/dev/zero of=/fast/full bs=1M count=9 2>/dev/null; grep /fast /proc/mounts")).toContain(
      "size=8192k",
    );

    // A change shows in volumes, not in a subPath; what was optional comes later.
    await apply(config("changed"));
    await kubectl("create", "secret", "generic", "later", "--from-literal", "key=value");
    await kubectl("label", "pod", "volumes", "tier=two", "--overwrite");
    await until("the volumes are up to date", async () =>
      (await inPod("volumes", "sh", "-c", "cat /words/greeting /labels/tier /one; cat /later/key 2>/dev/null")).includes("changedtwohellovalue"),
    );

    // More in an emptyDir than it holds: evicted, in the kubelet's words.
    await inPod("volumes", "dd", "if=/dev/zero", "of=/scratch/full", "bs=1M", "count=20");
    const evicted = await podUntil("volumes", "is evicted", ({ status }) => status?.reason === "Evicted" && status.phase === "Failed");
    expect(evicted.status).toMatchObject({ phase: "Failed", message: 'Usage of EmptyDir volume "scratch" exceeds the limit "16Mi". ' });
    await until("why it was evicted is told", async () => (await events("volumes")).some((line) => line.startsWith("Evicted Usage of EmptyDir")));
    await kubectl("delete", "pod", "volumes");
    expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(`${cluster.instance.dataDir}/workloads`);
    expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(`${cluster.instance.dataDir}/mounts`);

    // What is not there is said, and waited for.
    await apply(podOf("waits", { volumeMounts: [{ name: "v", mountPath: "/v" }] }, { volumes: [{ name: "v", configMap: { name: "missing" } }] }));
    await until("the volume is missed", async () =>
      (await events("waits")).includes('FailedMount MountVolume.SetUp failed for volume "v" : configmap "missing" not found'),
    );
    await kubectl("create", "configmap", "missing", "--from-literal", "a=b");
    await podUntil("waits", "is ready", isReady);
    await kubectl("delete", "pod", "waits");
  },
);

test("pods stand for the IAM roles of their service accounts", { timeout: 480_000 }, () => standsForRoles(cluster));
