import { expect, it } from "vitest";
import { METRICS_SERVER } from "./metrics-server.ts";
import { faultsOf } from "./schema.ts";

const parts = { dnsAddress: "10.100.0.10", region: "us-east-1", clusterName: "shop" };
const objectsOf = (configuration: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(METRICS_SERVER.objects({ ...parts, configuration }).map((object) => [`${object.kind}/${object.metadata.name}`, object]));

it("listens elsewhere than its node's kubelet, checks kubelets' certificates, and is where the API server looks for figures", () => {
  const objects = objectsOf({});
  const text = JSON.stringify(objects["Deployment/metrics-server"]);
  expect(text).toContain("--secure-port=10251");
  expect(text).toContain(`"containerPort":10251`);
  expect(text).not.toContain("insecure");
  expect(objects["APIService/v1beta1.metrics.k8s.io"]).toMatchObject({
    spec: { group: "metrics.k8s.io", service: { name: "metrics-server", namespace: "kube-system", port: 443 } },
  });
  expect(objects["Service/metrics-server"]).toMatchObject({ spec: { selector: METRICS_SERVER.podLabels, ports: [{ targetPort: "https" }] } });
  expect(objects["ClusterRole/system:metrics-server"]).toMatchObject({ rules: [{ resources: ["nodes/metrics"], verbs: ["get"] }, {}] });
});

it("is as the user configures it", () => {
  const configuration = { replicas: 1, containerPort: 4443, addArgs: ["--v=4"], podLabels: { team: "ops" }, podDisruptionBudget: { enabled: false } };
  expect(faultsOf(METRICS_SERVER.schema, configuration)).toEqual([]);
  const objects = objectsOf(configuration);
  expect(objects["Deployment/metrics-server"]).toMatchObject({
    spec: {
      replicas: 1,
      selector: { matchLabels: METRICS_SERVER.podLabels },
      template: {
        metadata: { labels: { team: "ops", ...METRICS_SERVER.podLabels } },
        spec: { containers: [{ ports: [{ containerPort: 4443 }], args: expect.arrayContaining(["--secure-port=4443", "--v=4"]) as string[] }] },
      },
    },
  });
  expect(objects["PodDisruptionBudget/metrics-server"]).toBeUndefined();
  expect(objectsOf({})["PodDisruptionBudget/metrics-server"]).toMatchObject({ spec: { maxUnavailable: 1 } });
});
