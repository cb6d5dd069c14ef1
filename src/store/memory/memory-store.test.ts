import { describe } from "vitest";
import { storeConformance } from "../conformance.ts";
import { createMemoryStore } from "./memory-store.ts";

describe("memory store", () => storeConformance(async () => createMemoryStore()));
