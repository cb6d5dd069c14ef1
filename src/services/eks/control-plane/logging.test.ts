import { describe, expect, it } from "vitest";
import { testCluster } from "../testing.ts";
import { changeLogs, logSinks, loggingView, sameLogs, type LogType } from "./logging.ts";

describe("a control plane's logs", () => {
  const sinks = (...logging: LogType[]): ReturnType<typeof logSinks> => logSinks({ cluster: testCluster({ logging }), workloadId: "w" });

  it("go to AWS's group and streams, the audit log apart from the API server's own", () => {
    expect(sinks()).toEqual({});
    expect(sinks("api")).toMatchObject({ "kube-apiserver": { group: "/aws/eks/shop/cluster", stream: "kube-apiserver-w" } });
    expect(sinks("api")["kube-apiserver"]).not.toHaveProperty("stdoutStream");
    expect(sinks("api", "audit")["kube-apiserver"]).toMatchObject({ stream: "kube-apiserver-w", stdoutStream: "kube-apiserver-audit-w" });
    expect(sinks("audit")["kube-apiserver"]).toMatchObject({ stream: "kube-apiserver-audit-w", dropsStderr: true });
    expect(Object.keys(sinks("controllerManager", "scheduler", "authenticator"))).toEqual(["kube-controller-manager", "kube-scheduler"]);
  });

  it("change by the types that are named, and are shown as on and off", () => {
    const on = changeLogs(["api"], [{ types: ["audit", "scheduler"], enabled: true }]);
    expect(on).toEqual(["api", "audit", "scheduler"]);
    expect(changeLogs(on, [{ types: ["api"], enabled: false }])).toEqual(["audit", "scheduler"]);
    expect(loggingView(["audit"]).clusterLogging).toEqual([
      { types: ["audit"], enabled: true },
      { types: ["api", "authenticator", "controllerManager", "scheduler"], enabled: false },
    ]);
    expect(loggingView().clusterLogging).toHaveLength(1);
    expect(sameLogs(["api", "audit"], ["audit", "api"])).toBe(true);
    expect(sameLogs(undefined, ["api"])).toBe(false);
  });
});
