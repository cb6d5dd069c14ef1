import { describe, expect, it } from "vitest";
import type { Operation, Service } from "../src/contracts/service.ts";
import { coverageReport } from "./coverage-report.ts";

function sts(operations: readonly Pick<Operation, "name" | "members">[]): Service {
  return {
    name: "sts",
    signingName: "sts",
    apiVersion: "2011-06-15",
    protocol: "awsQuery",
    loadSchemas: () => import("@aws-sdk/client-sts"),
    operations: operations.map((operation) => ({ ...operation, handle: () => Promise.resolve({}) })),
  };
}

describe("coverage report", () => {
  it("tells what is built, ignored, refused and not named", async () => {
    const text = await coverageReport([
      sts([
        { name: "GetCallerIdentity", members: {} },
        {
          name: "GetSessionToken",
          members: { DurationSeconds: "used", SerialNumber: { ignored: "for a reason" }, TokenCode: { refused: "no MFA", unless: [""] } },
        },
      ]),
    ]);
    expect(text).toMatch(/\| \[sts\]\(#sts\) \| 2 \| \d+ \| awsQuery \|/);
    expect(text).toContain("### GetCallerIdentity\n\n- All members are acted on.\n");
    expect(text).toContain(
      '### GetSessionToken\n\n- Ignored:\n  - `SerialNumber`: for a reason\n- Refused:\n  - `TokenCode`: no MFA (let through: `""`)\n- Refused, not built yet: `MinimumSessionTokenSize`\n',
    );
    expect(text).toMatch(/Not built \(\d+\): AssumeRole, /);
  });

  it("fails on marks that the model does not have", async () => {
    await expect(coverageReport([sts([{ name: "GetCallerIdentity", members: { Nobody: "used" } }])])).rejects.toThrow(
      "sts GetCallerIdentity: the input has no member Nobody",
    );
    await expect(coverageReport([sts([{ name: "GetNobody", members: {} }])])).rejects.toThrow("sts: the model has no operation GetNobody");
  });
});
