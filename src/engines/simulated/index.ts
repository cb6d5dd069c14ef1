export { createSimulatedLogCollector, type LogSimulation } from "./simulated-logs.ts";
export { createSimulatedNetwork, type NetworkSimulation, type SimulatedNetworkOptions } from "./simulated-network.ts";
export { createSimulatedRuntime, type SimulatedRuntimeOptions, type Simulation } from "./simulated-runtime.ts";
export type { Behaviour, ExecAnswer, SimulationScript } from "./script.ts";
