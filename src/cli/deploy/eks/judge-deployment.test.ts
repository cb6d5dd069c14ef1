import { describe, expect, it } from "vitest";
import { describeDeployment, explainUnready, judgeDeployment, type DeploymentView, type PodView } from "./judge-deployment.ts";
import { deploymentOf, ingressOf } from "./objects.ts";
import { mergeSettings } from "../settings.ts";

type Status = NonNullable<DeploymentView["status"]>;
const view = (status: Status): DeploymentView => ({
  metadata: { generation: 2 },
  spec: { replicas: 2, template: {} },
  status: { observedGeneration: 2, ...status },
});
const pod = (status: PodView["status"]): PodView => ({ metadata: { name: "shop-1" }, spec: { containers: [{ name: "shop" }] }, status });

describe("a roll-out on EKS", () => {
  it("is over when all pods are new and available, and none of before is left", () => {
    const all = { replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 };
    expect(judgeDeployment(view(all), [])).toEqual({ kind: "steady" });
    expect(judgeDeployment(view({ ...all, replicas: 3 }), [])).toEqual({ kind: "rolling" });
    expect(judgeDeployment(view({ ...all, observedGeneration: 1 }), [])).toEqual({ kind: "rolling" });
    expect(describeDeployment(view({ ...all, replicas: 3, readyReplicas: 1 }))).toBe("1 of 2 running, 1 of the revision before");
  });

  it("has failed with the pod's own reason", () => {
    const failed = (status: PodView["status"]): string => {
      const end = judgeDeployment(view({}), [pod(status)]);
      return end.kind === "failed" ? end.reason : end.kind;
    };
    const waiting = (reason: string, restartCount = 0): PodView["status"] => ({
      containerStatuses: [
        { name: "shop", restartCount, state: { waiting: { reason, message: "no such tag" } }, lastState: { terminated: { exitCode: 3 } } },
      ],
    });
    expect(failed(waiting("ImagePullBackOff"))).toBe("The pod shop-1 does not start: ImagePullBackOff: no such tag");
    expect(failed(waiting("CrashLoopBackOff", 1))).toBe("rolling");
    expect(failed(waiting("CrashLoopBackOff", 2))).toContain("starts, but ends again: 2 restarts so far, exit code 3");
    const place = { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "No address for the pod" };
    expect(failed({ conditions: [place] })).toBe("The pod shop-1 finds no place: No address for the pod");
    const stuck = { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message: "timed out" };
    expect(judgeDeployment(view({ conditions: [stuck] }), [])).toEqual({ kind: "failed", reason: "The pods do not become ready: timed out" });
  });

  it("says why a pod that runs is not ready, and what to do", () => {
    const gate = { type: "Ready", status: "False", message: 'the status of pod readiness gate "g" is not "True", but False' };
    const unready = pod({ phase: "Running", conditions: [gate] });
    const stuck = { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message: "timed out" };
    expect(judgeDeployment(view({ conditions: [stuck] }), [unready])).toMatchObject({ pod: "shop-1", unready });
    const refused = { reason: "Unhealthy", message: "Readiness probe failed: connection refused" };
    const asked = { port: 8080, healthPath: "/health" };
    expect(explainUnready(unready, { ...asked, events: [{ reason: "Pulled", message: "pulled" }, refused] })).toMatch(
      /^The pod shop-1: Readiness probe failed: connection refused\nDoes the app listen on port 8080, .* answer \/health with .*`--health-path` .*\n$/,
    );
    expect(explainUnready(unready, { ...asked, events: [] })).toContain(gate.message);
    expect(explainUnready(pod({}), { events: [], port: undefined, healthPath: "/" })).toBe("");
  });

  it("asks for pods of the task's size, each new one before an old one goes", () => {
    const settings = mergeSettings({}, { name: "shop", cpu: "1024", memory: "2048" }, "shop");
    const shipped = { settings, image: "i@sha256:0", environment: { A: "1" }, port: 3000 };
    expect(deploymentOf(shipped)).toMatchObject({
      spec: {
        replicas: 2,
        strategy: { rollingUpdate: { maxUnavailable: 0 } },
        template: {
          spec: { containers: [{ resources: { requests: { cpu: "1000m", memory: "1792Mi" } }, readinessProbe: { httpGet: { port: 3000 } } }] },
        },
      },
    });
    expect(deploymentOf({ ...shipped, port: undefined })).toMatchObject({ spec: { minReadySeconds: 5 } });
    expect(ingressOf(shipped)).toMatchObject({ spec: { ingressClassName: "alb" } });
  });
});
