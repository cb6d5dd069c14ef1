import * as kubernetes from "@kubernetes/client-node";
import { expect, it } from "vitest";
import { FIELD_STATES, type FieldState } from "./field-coverage.ts";
import { notBuiltYet, unsupportedOnFargate } from "./supported.ts";
import { testContainer, testPod } from "./testing.ts";

type Named = Readonly<Record<string, FieldState>>;
const MODELS = { ...kubernetes } as unknown as Readonly<Record<string, { getAttributeTypeMap?(): readonly { readonly name: string }[] }>>;

it.each(Object.entries(FIELD_STATES) as readonly (readonly [keyof typeof FIELD_STATES, Named])[])(
  "says of each field of %s what becomes of it",
  (type, states) => {
    const upstream = MODELS[type]?.getAttributeTypeMap?.().map(({ name }) => name) ?? [];
    expect(Object.keys(states).toSorted()).toEqual(upstream.toSorted());
  },
);

it("calls forbidden and refused what the scheduler refuses", () => {
  const specOf = (volume: string): kubernetes.V1PodSpec => testPod({ volumes: [{ name: "v", [volume]: {} }], containers: [testContainer()] }).spec!;
  for (const [volume, state] of Object.entries(FIELD_STATES.V1Volume)) {
    if (volume === "name") continue;
    const spec = specOf(volume);
    expect([volume, unsupportedOnFargate(spec).length > 0, notBuiltYet(spec).length > 0]).toEqual([
      volume,
      state === "forbidden",
      state === "refused",
    ]);
  }
});
