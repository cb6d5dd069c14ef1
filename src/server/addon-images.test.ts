import { expect, it } from "vitest";
import { addonImage } from "../builder/kubernetes/image.ts";
import { ADDON_PROGRAMS, type AddonProgram } from "../builder/kubernetes/look.ts";
import { ADDONS } from "../services/eks/addons/catalogue.ts";

it("add-ons run the images that are made of what is built", () => {
  const images = ADDONS.flatMap(({ image, version }) => (image === undefined ? [] : [`${image} ${version}`]));
  const programs = Object.keys(ADDON_PROGRAMS) as AddonProgram[];
  expect(images.toSorted()).toEqual(programs.map((program) => `${addonImage(program)} v${ADDON_PROGRAMS[program]}-eksbuild.1`).toSorted());
});
