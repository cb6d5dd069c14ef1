/** Adds up the static checks and vitest's report, prints `N passed, N failed`, and exits 1 where anything failed or no test ran. */
import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string; readonly failureMessages: readonly string[] | null }[];
  }[];
}

const [checksPath = "", reportPath = ""] = process.argv.slice(2);
if (!existsSync(reportPath)) {
  console.log("FAILED: the tests ended without a report\n0 passed, 1 failed");
  process.exit(1);
}
const checks = readFileSync(checksPath, "utf8");
const report = JSON.parse(readFileSync(reportPath, "utf8")) as Report;

const passedChecks = checks.match(/^check \w+ +passed$/gm)?.length ?? 0;
const failedChecks = checks.match(/^check \w+ +FAILED$/gm)?.length ?? 0;
/** A file that could not be loaded, or failed outside its tests, has no failed test of its own: it counts as one. */
const brokenFiles = report.testResults.filter((file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"));
const secondTries = report.testResults.flatMap((file) =>
  file.assertionResults.filter((test) => test.status === "passed" && (test.failureMessages ?? []).length > 0).map((test) => ({ file, test })),
);
const skipped = report.numPendingTests + report.numTodoTests;
const passed = passedChecks + report.numPassedTests;
const failed =
  failedChecks + report.numFailedTests + brokenFiles.length + skipped + (report.success || report.numFailedTests + brokenFiles.length > 0 ? 0 : 1);

for (const file of brokenFiles) console.log(`FAILED ${file.name}: ${file.message}`);
for (const { file, test } of secondTries) {
  console.log(`PASSED ONLY AT ITS SECOND TRY, to be mended: ${relative(process.cwd(), file.name)}: ${test.fullName}: ${test.failureMessages?.[0]}`);
}
if (skipped > 0) console.log(`FAILED: ${skipped} tests were skipped; nothing is skipped here`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || report.numPassedTests === 0 ? 1 : 0;
