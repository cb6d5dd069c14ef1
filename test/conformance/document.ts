import { KUBERNETES_VERSION } from "../../src/builder/kubernetes/look.ts";
import type { Result } from "./report.ts";

const HEAD = `# Upstream's conformance tests

The tests of Kubernetes ${KUBERNETES_VERSION} that are marked for conformance, of pods, volumes, networking and the workload controllers, as upstream has them, run
against a cluster of Tidegate all of whose pods are on Fargate. Written by \`npm run test:conformance\` (\`test/conformance/run.ts\`), which builds upstream's
tests and their program \`agnhost\` from the official Go modules (\`kubernetes/conformance/\`), makes the images that they name without a public registry
(agnhost over Debian where upstream has Alpine; Debian's busybox), creates a cluster and runs them. What is not run is named, with its reason, in
\`test/conformance/groups.ts\`. Tests that want a cluster for themselves (\`[Serial]\`, \`[Disruptive]\`), and those of kubectl, the API server's own objects,
scheduling and authentication, were not run: they are about upstream's programs, which run here unmodified.
`;

const SECTIONS: readonly (readonly [Result["state"], string])[] = [
  ["failed", "Failed"],
  ["open", "Open"],
  ["forbidden", "Not on Fargate"],
  ["not-run", "Not run"],
  ["passed", "Passed"],
];

/** docs/kubernetes-conformance.md, of a run of all groups. Pure. */
export function documentOf(groups: Readonly<Record<string, readonly Result[]>>): string {
  const all = Object.entries(groups);
  const rows = all.map(([group, results]) => `| ${group} | ${SECTIONS.map(([state]) => count(results, state)).join(" | ")} |\n`);
  const table = `| | ${SECTIONS.map(([, title]) => title.toLowerCase()).join(" | ")} |\n|---|${SECTIONS.map(() => "---|").join("")}\n${rows.join("")}`;
  const parts = SECTIONS.flatMap(([state, title]) => {
    const lists = all.flatMap(([group, results]) => {
      const lines = results
        .filter((each) => each.state === state)
        .map(({ name, words }) => `- ${escaped(name)}${words === "" ? "" : `: ${words}`}\n`);
      return lines.length === 0 ? [] : [`### ${title}: ${group}\n\n${lines.toSorted().join("")}`];
    });
    return lists.length === 0 ? [] : [`## ${title}\n\n${lists.join("\n")}`];
  });
  return [HEAD, table, ...parts].join("\n");
}

function count(results: readonly Result[], state: Result["state"]): number {
  return results.filter((each) => each.state === state).length;
}

function escaped(name: string): string {
  return name.replaceAll("*", String.raw`\*`);
}
