import { describe, expect, test } from "vitest";
import { hasOverlay } from "./doctor.ts";

/** As a freshly booted Debian 12 has them, before anything was mounted. */
const FILESYSTEMS = "nodev\tsysfs\nnodev\ttmpfs\nnodev\tcgroup2\n\text4\n";
const MODULES = "kernel/fs/squashfs/squashfs.ko:\nkernel/fs/overlayfs/overlay.ko:\nkernel/drivers/net/veth.ko:\n";

describe("the overlay filesystem", () => {
  test("is there when it was used already, or is part of the kernel", () => {
    expect(hasOverlay({ filesystems: `${FILESYSTEMS}nodev\toverlay\n`, modules: "" })).toBe(true);
  });
  test("is there when it is a module that nobody has needed yet", () => {
    expect(hasOverlay({ filesystems: FILESYSTEMS, modules: MODULES })).toBe(true);
    expect(hasOverlay({ filesystems: FILESYSTEMS, modules: MODULES.replace("overlay.ko", "overlay.ko.xz") })).toBe(true);
  });
  test("is not there when neither knows it", () => {
    expect(hasOverlay({ filesystems: FILESYSTEMS, modules: MODULES.replace("overlay.ko", "other.ko") })).toBe(false);
  });
});
