/** What the access policies allow, as the ClusterRoles that they are equivalent to have it in Kubernetes 1.36. Data. */

export interface Rule {
  /** API groups; "" is the core's. */
  readonly groups: readonly string[];
  readonly verbs: readonly string[];
  /** With their subresources: `pods/log`. */
  readonly resources: readonly string[];
}

const READ = ["get", "list", "watch"];
const WRITE = ["create", "delete", "deletecollection", "patch", "update"];

/** system:aggregate-to-view */
const VIEW: readonly Rule[] = [
  {
    groups: [""],
    verbs: READ,
    resources:
      "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status".split(
        " ",
      ),
  },
  {
    groups: [""],
    verbs: READ,
    resources: "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status".split(
      " ",
    ),
  },
  { groups: [""], verbs: READ, resources: "namespaces".split(" ") },
  { groups: ["", "events.k8s.io"], verbs: READ, resources: "events".split(" ") },
  { groups: ["discovery.k8s.io"], verbs: READ, resources: "endpointslices".split(" ") },
  {
    groups: ["apps"],
    verbs: READ,
    resources:
      "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status".split(
        " ",
      ),
  },
  { groups: ["autoscaling"], verbs: READ, resources: "horizontalpodautoscalers horizontalpodautoscalers/status".split(" ") },
  { groups: ["batch"], verbs: READ, resources: "cronjobs cronjobs/status jobs jobs/status".split(" ") },
  {
    groups: ["extensions"],
    verbs: READ,
    resources:
      "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale".split(
        " ",
      ),
  },
  { groups: ["policy"], verbs: READ, resources: "poddisruptionbudgets poddisruptionbudgets/status".split(" ") },
  { groups: ["networking.k8s.io"], verbs: READ, resources: "ingresses ingresses/status networkpolicies".split(" ") },
  { groups: ["resource.k8s.io"], verbs: READ, resources: "resourceclaims resourceclaims/status resourceclaimtemplates".split(" ") },
];

/** system:aggregate-to-edit */
const EDIT: readonly Rule[] = [
  { groups: [""], verbs: READ, resources: "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy".split(" ") },
  { groups: [""], verbs: ["impersonate"], resources: "serviceaccounts".split(" ") },
  { groups: [""], verbs: WRITE, resources: "pods pods/attach pods/exec pods/portforward pods/proxy".split(" ") },
  { groups: [""], verbs: ["create"], resources: "pods/eviction".split(" ") },
  {
    groups: [""],
    verbs: WRITE,
    resources:
      "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy".split(
        " ",
      ),
  },
  { groups: [""], verbs: ["create"], resources: "serviceaccounts/token".split(" ") },
  { groups: ["", "events.k8s.io"], verbs: WRITE, resources: "events".split(" ") },
  {
    groups: ["apps"],
    verbs: WRITE,
    resources: "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale".split(
      " ",
    ),
  },
  { groups: ["autoscaling"], verbs: WRITE, resources: "horizontalpodautoscalers".split(" ") },
  { groups: ["batch"], verbs: WRITE, resources: "cronjobs jobs".split(" ") },
  {
    groups: ["extensions"],
    verbs: WRITE,
    resources:
      "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets replicasets/scale replicationcontrollers/scale".split(
        " ",
      ),
  },
  { groups: ["policy"], verbs: WRITE, resources: "poddisruptionbudgets".split(" ") },
  { groups: ["networking.k8s.io"], verbs: WRITE, resources: "ingresses networkpolicies".split(" ") },
  { groups: ["coordination.k8s.io"], verbs: [...READ, ...WRITE], resources: "leases".split(" ") },
  { groups: ["resource.k8s.io"], verbs: WRITE, resources: "resourceclaims resourceclaimtemplates".split(" ") },
];

/** system:aggregate-to-admin */
const ADMIN: readonly Rule[] = [
  { groups: ["authorization.k8s.io"], verbs: ["create"], resources: "localsubjectaccessreviews".split(" ") },
  { groups: ["rbac.authorization.k8s.io"], verbs: [...READ, ...WRITE], resources: "rolebindings roles".split(" ") },
];

/** `*` stands for any. */
const ANY = ["*"];

/** By the policy's name. Only a policy that allows anything allows URLs that are no resource. */
export const POLICY_RULES: Readonly<Record<string, { readonly rules: readonly Rule[]; readonly allowsUrls: boolean }>> = {
  AmazonEKSClusterAdminPolicy: { rules: [{ groups: ANY, verbs: ANY, resources: ANY }], allowsUrls: true },
  AmazonEKSAdminPolicy: { rules: [...VIEW, ...EDIT, ...ADMIN], allowsUrls: false },
  AmazonEKSEditPolicy: { rules: [...VIEW, ...EDIT], allowsUrls: false },
  AmazonEKSViewPolicy: { rules: VIEW, allowsUrls: false },
  AmazonEKSAdminViewPolicy: { rules: [{ groups: ANY, verbs: READ, resources: ANY }], allowsUrls: false },
};
