import type { Handler } from "./contracts";

/** What the worker says about a pod's containers (the pause container is one of them). */
export interface HostPodFacts {
    /** containerd's runtime of each container, for example "io.containerd.runsc.v1". */
    readonly runtimes: readonly string[];
    /** How many of the containers `runsc list` shows as running. */
    readonly runscRunning: number;
    /** What executes the sandbox, for example "/usr/bin/runsc"; empty if no sandbox runs. */
    readonly sandboxExecutable: string;
    /** Flags on the command line of that sandbox and their values, of those that were asked for. */
    readonly sandboxOptions: Readonly<Record<string, string>>;
}

type OptionsOf = Pick<Handler, "name" | "options">;

export const checks: Readonly<
    Record<
        "plainKernel" | "ownKernel" | "gvisorLog" | "plainLog" | "plainRuntime" | "sandboxed" | "options" | "canary",
        string
    >
>;
export const optionalChecks: Readonly<Record<"attacks" | "egress", string>>;
export function optionsInFile(handler: OptionsOf): Readonly<Record<string, string>>;
export function isGvisorLog(text: string): boolean;
export function mentionsGvisor(text: string): boolean;
export function endsOf(text: string): string;
export function isPlain(pod: HostPodFacts): boolean;
/** @param least how many containers must run. Default: 2 */
export function isSandboxed(pod: HostPodFacts, least?: number): boolean;
export function hasOptions(pod: Pick<HostPodFacts, "sandboxOptions">, handler: OptionsOf): boolean;
export function describeRuntime(pod: HostPodFacts): string;
export function describeOptions(pod: HostPodFacts, handler: OptionsOf): string;
