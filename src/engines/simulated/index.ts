export { createSimulatedLogCollector } from "./simulated-logs.ts";
export { createSimulatedNetwork } from "./simulated-network.ts";
export { createSimulatedRuntime } from "./simulated-runtime.ts";
export type { Behaviour, SimulationScript } from "./script.ts";
