import { FORBIDDEN, type LeftOut, OPEN } from "./groups.ts";

/** What upstream's test binary writes by `--ginkgo.json-report`, as far as it is read here: all its tests, chosen or not. */
export interface GinkgoReport {
  readonly SpecReports: readonly GinkgoSpec[];
}

interface GinkgoSpec {
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly ContainerHierarchyLabels: readonly (readonly string[] | null)[] | null;
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly LeafNodeLabels: readonly string[] | null;
  readonly LeafNodeLocation: { readonly FileName: string };
  /** `passed`, `failed`, `timedout`, `skipped` … */
  readonly State: string;
  /** In ns. */
  readonly RunTime: number;
  readonly Failure?: { readonly Message: string };
}

export interface Result {
  /** Without upstream's marks. */
  readonly name: string;
  /** `forbidden` and `open`: left out by name. */
  readonly state: "passed" | "failed" | "forbidden" | "open" | "not-run";
  /** Of a failure, or why it was left out. */
  readonly words: string;
  readonly seconds: number;
}

/** What became of the conformance tests in these files; and of the set-up, where it failed. Pure. */
export function resultsOf({ SpecReports }: GinkgoReport, files: readonly string[]): readonly Result[] {
  return SpecReports.flatMap((spec): readonly Result[] => {
    const fullName = [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText || spec.LeafNodeType].join(" ");
    const [name, seconds, words] = [plain(fullName), spec.RunTime / 1e9, spec.Failure?.Message.split("\n")[0] ?? ""];
    if (spec.LeafNodeType !== "It") return spec.State === "passed" ? [] : [{ name, state: "failed", words, seconds }];
    const labels = new Set([...(spec.ContainerHierarchyLabels ?? []).flat(), ...(spec.LeafNodeLabels ?? [])]);
    if (!labels.has("Conformance") || !files.some((file) => spec.LeafNodeLocation.FileName.includes(file))) return [];
    if (spec.State === "passed") return [{ name, state: "passed", words, seconds }];
    if (spec.State !== "skipped" || words !== "") return [{ name, state: "failed", words, seconds }];
    const whyOf = (list: readonly LeftOut[]): string | undefined => list.find((each) => fullName.includes(each.name))?.why;
    const [forbidden, open] = [whyOf(FORBIDDEN), whyOf(OPEN)];
    if (forbidden !== undefined) return [{ name, state: "forbidden", words: forbidden, seconds }];
    if (open !== undefined) return [{ name, state: "open", words: open, seconds }];
    const isAlone = labels.has("Serial") || labels.has("Disruptive");
    return [{ name, state: "not-run", words: isAlone ? "it wants the cluster for itself" : "", seconds }];
  });
}

function plain(name: string): string {
  return name.replaceAll(/\s*\[(?!Environment)[^\]]*\]/g, "").trim();
}
